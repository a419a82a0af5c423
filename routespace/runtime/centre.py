"""Maps moved near zero: statistics taken in one pass lose what deviates little from a large mean."""

from __future__ import annotations

import torch
from torch import Tensor

EVERY, ENOUGH = 8, 512
"""Of so many positions of an image or more, one in `EVERY` tells where their mean is about."""


def near_means(x: Tensor, groups: int) -> Tensor:
    """A number (N, C, 1, 1) for each image and group of channels of x (N, C, H, W) that is about its mean."""
    batch, channels, high, wide = x.shape
    lines = x.permute(0, 2, 3, 1).reshape(batch, high * wide, channels)
    return _by_group(lines[:, :: _step(high * wide)].mean(1), groups)


def near_means_at(x: Tensor, groups: int, index: Tensor, counts: list[int]) -> Tensor:
    """The same of the positions at `index` (K,) of all N·H·W, `counts` of each image, in order of images."""
    batch, channels, high, wide = x.shape
    some = index[:: _step(min(counts))]
    image = some.div(high * wide, rounding_mode="floor")
    rows = x.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, some)
    sums = rows.new_zeros(batch, channels).index_add_(0, image, rows)
    found = torch.bincount(image, minlength=batch).clamp_min(1)
    return _by_group(sums / found[:, None], groups)


def _step(positions: int) -> int:
    return EVERY if positions >= ENOUGH else 1


def _by_group(means: Tensor, groups: int) -> Tensor:
    batch, channels = means.shape
    width = channels // groups
    return means.view(batch, groups, width).mean(2).repeat_interleave(width, 1)[:, :, None, None]
