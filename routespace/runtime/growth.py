"""Maps of gates grown by what ops demand: which positions of an op's result are wanted, and how much."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from routespace.runtime.positions.geometry import lies_between
from routespace.space.demand import Between, Branches, Demand, Everything, Size, Statistics, Window


def grown(weights: Tensor, after: Sequence[Demand], training: bool, local_norms: bool) -> Tensor:
    """`weights` (N, H, W) ≥ 0 of the results of an op, as weights of what comes before the ops in `after`.

    A position weighs as much as the heaviest position that needs it. Where statistics run over all positions, all
    are needed, unless `local_norms`.
    """
    for one in reversed(after):
        match one:
            case Window():
                weights = _behind_window(weights, one)
            case Statistics():
                if (one.stats.training if training else one.stats.inference) == "all" and not local_norms:
                    weights = _spread(weights, one.size)
            case Between():
                weights = _between(weights, one)
            case Everything():
                weights = _spread(weights, one.size)
            case Branches():
                parts = [grown(weights, part, training, local_norms) for part in one.parts]
                weights = torch.stack(parts).amax(0)
    return weights


def _spread(weights: Tensor, size: Size) -> Tensor:
    return weights.flatten(1).amax(1).view(-1, 1, 1).expand(-1, *size)


def _behind_window(weights: Tensor, window: Window) -> Tensor:
    kernel, stride, dilation, padding, size = window
    if stride > 1:
        batch, high, wide = weights.shape
        apart = weights.new_zeros(batch, (high - 1) * stride + 1, (wide - 1) * stride + 1)
        apart[:, ::stride, ::stride] = weights
        weights = apart
    before = dilation * (kernel - 1) - padding
    below, beside = (length - made + padding for length, made in zip(size, weights.shape[1:], strict=True))
    padded = F.pad(weights[:, None], [before, beside, before, below])
    return F.max_pool2d(padded, kernel, 1, 0, dilation)[:, 0]


def _between(weights: Tensor, between: Between) -> Tensor:
    rows, columns = (
        one.to(weights.device)
        for one in lies_between(between.size, (weights.shape[1], weights.shape[2]), between.factor, between.corners)
    )
    weights = torch.where(rows[:, :, None], weights[:, :, None, :], 0.0).amax(1)
    return torch.where(columns, weights[..., None], 0.0).amax(2)
