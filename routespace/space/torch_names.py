"""What ops of PyTorch are called here: for those who write a name from habit."""

from __future__ import annotations

import re

_NAME_TO_OP = {
    "conv": "conv(KERNEL, CHANNELS)",
    "linear": "conv(1, CHANNELS, bias)",
    "dense": "conv(1, CHANNELS, bias)",
    "fc": "conv(1, CHANNELS, bias)",
    "dwconv": "depthwise(KERNEL)",
    "depthwiseconv": "depthwise(KERNEL)",
    "separableconv": "sep_conv(KERNEL)",
    "bn": "batchnorm",
    "batchnorm": "batchnorm",
    "layernorm": "groupnorm(1)",
    "instancenorm": "groupnorm(channels)",
    "gn": "groupnorm(GROUPS)",
    "groupnorm": "groupnorm(GROUPS)",
    "swish": "silu",
    "sigmoid": "sigmoid",
    "maxpool": "maxpool(KERNEL, stride = STRIDE)",
    "avgpool": "avgpool(KERNEL, stride = STRIDE)",
    "adaptiveavgpool": "mean",
    "globalavgpool": "mean",
    "gap": "mean",
    "upsample": "resize(by = FACTOR)",
    "interpolate": "resize(by = FACTOR)",
    "cat": "concat(x, y)",
    "add": "x + y",
}


def torch_hint(name: str) -> str | None:
    """How an op is written that somebody calls as PyTorch does, or None for any other name.

    >>> torch_hint("LayerNorm"), torch_hint("conv3x3"), torch_hint("up")
    ('write `groupnorm(1)` for `LayerNorm`', 'write `conv(3, CHANNELS)` for `conv3x3`', None)
    """
    plain = name.lower().replace("_", "")
    square = re.fullmatch(r"conv(\d+)x\1", plain)
    if square:
        return f"write `conv({square[1]}, CHANNELS)` for `{name}`"
    op = _NAME_TO_OP.get(re.sub(r"[123]d$", "", plain))
    return f"write `{op}` for `{name}`" if op is not None and op != name else None
