"""Twenty spaces of ordinary size, each with one planted defect in an activation or an op of its own."""

from __future__ import annotations

GATES = (
    "leaves_its_range", "closes_silently", "shuts_late", "never_shuts", "opens_ties", "centres_the_batch",
    "noisy_in_training", "learns_nothing", "endless_slope", "cold(0.5)",
)  # fmt: skip
OPS = (
    "centred", "in_place", "dropping", "counting", "hiding", "cheap", "far_sighted", "rounding_down", "precise",
    "stopping",
)  # fmt: skip
_TEXT = """\
# A defect is planted in `{planted}`.

space planted(depth = 3, width = 8, classes = 4) {{
  input image: 3
  axis layer = 0..depth
  axis scale = s4, s8, s16 with stride = 4 * 2^scale

  op norm = batchnorm
  op cell = {cell}
  op stem = conv(3, width, stride = 4) | norm | relu

  gate soft per image {{
    body       conv(1, channels / 2) | norm | relu | mean | conv(1, routes, bias)
    activation {activation}
  }}

  node at layer, scale where scale <= layer {{
    x = image | stem if layer == 0
        else keep[layer - 1, scale] + up[layer - 1, scale + 1] + down[layer - 1, scale - 1]
    h = x | cell + identity
    send h by soft(x) {{
      keep: relu
      up:   relu | conv(1, channels / 2) | norm | relu | resize(to = scale - 1)
      down: relu | {down} | norm | relu
    }} closed keep = x
  }}

  output logits = ladder_decoder(keep[depth, scale], classes)

  live by_node
  cost macs
}}
"""
_DOWN = "conv(1, 2 * channels, stride = 2)"


def name_of(planted: str) -> str:
    """The name of what is planted, without arguments."""
    return planted.partition("(")[0]


def text_of(planted: str) -> str:
    """The text of the space in which `planted`, one of GATES or OPS, stands."""
    activation = planted if planted in GATES else "relu_tanh"
    cell, down = "conv(3) | norm", _DOWN
    if planted == "rounding_down":
        down = "rounding_down | conv(1, 2 * channels)"
    elif planted in OPS:
        cell = f"conv(3) | norm | {planted}"
    return _TEXT.format(planted=name_of(planted), cell=cell, activation=activation, down=down)
