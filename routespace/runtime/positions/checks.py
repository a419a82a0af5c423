"""Whether an input, a mask and a gain fit an op."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from routespace.runtime.errors import InputError
from routespace.runtime.layers import Sizes
from routespace.runtime.positions.geometry import leaves, size_after


def check(op: nn.Module, x: Tensor, mask: Tensor, sizes: Sizes, gain: Tensor | None) -> None:
    """InputError where one of them has a shape, type or device that does not fit."""
    if x.dim() != 4 or not x.is_floating_point():
        raise InputError(f"a gated expression takes floating-point maps (N, C, H, W), not {tuple(x.shape)} {x.dtype}")
    first = next((leaf for leaf in leaves(op) if isinstance(leaf, nn.Conv2d)), None)
    if first is not None and next(leaves(op)) is first and first.in_channels != x.shape[1]:
        raise InputError(f"the input has {x.shape[1]} channels; {first} takes {first.in_channels}")
    size = size_after(op, (x.shape[2], x.shape[3]), sizes)
    if min(size) < 1 or 0 in x.shape[2:]:
        raise InputError(f"an input of {x.shape[2]}x{x.shape[3]} leaves no position of output")
    wanted = (x.shape[0], 1, *size)
    for name, given in (("mask", mask), ("gain", gain)):
        if given is not None and (tuple(given.shape) != wanted or given.device != x.device):
            raise InputError(
                f"the {name} is {tuple(given.shape)} on {given.device}; the gated expression gives "
                f"{wanted} on {x.device}"
            )
    if mask.dtype != torch.bool:
        raise InputError(f"the mask is {mask.dtype}, not bool")
