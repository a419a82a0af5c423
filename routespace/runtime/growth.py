"""Maps of gates grown by what ops demand: which positions of an op's result are wanted, and how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

from routespace.space.registry import ByMode

Demand: TypeAlias = "tuple[int, int, int, int] | ByMode"
"""(kernel, stride, dilation, padding) of a window, or over which positions a norm's statistics run, by mode."""


def grown(weights: Tensor, after: Sequence[Demand], training: bool, local_norms: bool) -> Tensor:
    """`weights` (N, H, W) ≥ 0 of the results of an op, as weights of what comes before the ops in `after`.

    A position weighs as much as the heaviest position that needs it. Where statistics run over all positions, all
    are needed, unless `local_norms`.
    """
    for one in reversed(after):
        if isinstance(one, ByMode):
            if (one.training if training else one.inference) == "all" and not local_norms:
                weights = weights.flatten(1).amax(1).view(-1, 1, 1).expand_as(weights)
        else:
            weights = _behind_window(weights, *one)
    return weights


def _behind_window(weights: Tensor, kernel: int, stride: int, dilation: int, padding: int) -> Tensor:
    if stride > 1:
        batch, high, wide = weights.shape
        apart = weights.new_zeros(batch, (high - 1) * stride + 1, (wide - 1) * stride + 1)
        apart[:, ::stride, ::stride] = weights
        weights = apart
    rim = dilation * (kernel - 1) - padding
    padded = F.pad(weights[:, None], [rim] * 4)
    return F.max_pool2d(padded, kernel, 1, 0, dilation)[:, 0]
