"""Small spaces with what random ones seldom have: gates per position, for the laws that need no oracle, and others."""

from __future__ import annotations

_OPS = (
    "conv(3, dilation = 2, bias) | silu",
    "conv(3) | groupnorm(2, stats = active) | relu | conv(3)",
    "depthwise(5) | conv(1, bias)",
    "(conv(3) | relu) + conv(1)",
    "maxpool(3) | conv(3) | groupnorm(2)",
)
_TEXT = """space grains {{
  input image: 3
  axis layer = 0..2
  gate fine per position {{ body conv(3, routes, bias); activation geretanh(1.5) }}
  gate rough per position {{ body conv(3, routes, stride = 2, bias); activation relu_tanh }}
  gate whole per image {{ body mean | conv(1, routes, bias); activation relu_tanh }}
  node at layer {{
    x = image | conv(3, 4, stride = 2) | relu if layer == 0 else keep[layer - 1] + pass[layer - 1]
    h = x + (x | fine * ({inner}))
    send h by fine(h) {{ keep: {outer} }}
    send h by rough(h) {{ half: conv(3, stride = 2, bias) | resize(by = 2) | maxpool(3, stride = 2) }}
    send h by whole(x) {{ pass: relu }} closed pass = h
  }}
  output y = keep[2] + pass[2]
  output z = half[1]
  live {live}
}}"""

GRAINS = tuple(
    _TEXT.format(inner=inner, outer=outer, live=live)
    for inner, outer, live in zip(
        _OPS, (*_OPS[2:], *_OPS[:2]), ("by_route", "by_node", "always", "by_node", "by_route"), strict=True
    )
)

PLAIN = (
    """space twice {
  input image: 3
  axis layer = 0..2
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer {
    x = image | conv(3, 4, stride = 2) | relu if layer == 0 else keep[layer - 1] + keep[layer - 1] + side[layer - 1]
    send x by soft(x) { keep: conv(3); side: conv(1) | relu } closed keep = x | conv(1, channels)
  }
  output y = keep[2] + side[2]
  live by_node
}""",
    """space three {
  input image: 3
  axis layer = 0..2
  gate hard per image { body mean | conv(1, routes, bias); activation argmax }
  node at layer {
    x = image | conv(3, 4, stride = 2) | relu if layer == 0 else left[layer - 1] + right[layer - 1]
    send x by hard(x) { left: conv(3, bias); middle: conv(1, bias); right: relu }
  }
  output y = left[2] + middle[2] + right[2]
  live always
}""",
    """space counting {
  input image: 3
  axis layer = 0..2
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer {
    x = image | conv(3, 4, stride = 2) if layer == 0 else keep[layer - 1] + side[layer - 1]
    h = x | conv(3) | batchnorm(stats = active)
    send h by soft(x) { keep: conv(1) | batchnorm; side: relu } closed keep = x
  }
  output y = keep[2] + side[2]
}""",
    """space hard {
  input image: 3
  axis layer = 0..2
  gate run per image { body conv(1) | batchnorm | mean | conv(1, routes, bias); activation threshold(0.6) }
  gate pick per image { body mean | conv(1, routes, bias); activation threshold; gradient open }
  node at layer {
    x = image | conv(3, 4, stride = 4, bias) if layer == 0 else z[layer - 1]
    m = x + run(x) * (x | conv(3))
    y = x + run(x) * (m | conv(1, bias) | batchnorm(stats = active)) + run(x) * (x | conv(3) | batchnorm)
    k = x + run(x) * (x | conv(3))
    z = y + pick(x) * (k | conv(1))
  }
  output y = z[2]
}""",
)
