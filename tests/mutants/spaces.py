"""Small spaces with gates per position, for the laws that need no oracle."""

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
