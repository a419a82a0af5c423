"""Norms whose statistics run over some positions of their maps only.

The norms of this package compute so within `at_positions`: they are called as modules all the same, and whatever hangs
on a module is called with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.running import by_running_statistics


class Chosen(NamedTuple):
    """Positions (N, 1, H, W) of a map that statistics are taken of, `counted`, and that are `made`; `beside`: what
    stands beside those that are counted is needed too."""

    counted: Tensor
    made: Tensor
    beside: bool


_CHOSEN: ContextVar[Chosen | None] = ContextVar("chosen", default=None)


@contextmanager
def at_positions(which: Chosen) -> Iterator[None]:
    """Within the block, norms whose statistics are those of active positions take those that are chosen."""
    token = _CHOSEN.set(which)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen() -> Chosen | None:
    """The positions that count; None for all."""
    return _CHOSEN.get()


def group_norm(norm: nn.GroupNorm, x: Tensor, chosen: Chosen) -> Tensor:
    """Group normalisation of each image's positions that are `made` by the statistics of those that are `counted`, of
    all that are made where none is; zero elsewhere."""
    counted, mask, _ = chosen
    batch, channels, high, wide = x.shape
    grouped = widened(x).reshape(batch, norm.num_groups, channels // norm.num_groups, high, wide)
    counts = torch.where(counted.flatten(1).any(1).view(-1, 1, 1, 1), counted, mask)[:, :, None]
    axes = (2, 3, 4)
    count = (counts.sum(axes, keepdim=True) * grouped.shape[2]).clamp_min(1)
    mean = torch.where(counts, grouped, 0.0).sum(axes, keepdim=True) / count
    centred = torch.where(mask[:, :, None], grouped - mean, 0.0)
    power = torch.where(counts, centred, 0.0).square().sum(axes, keepdim=True) / count
    y = (centred * torch.rsqrt(power + norm.eps)).reshape(batch, channels, high, wide)
    return _affine(y, norm.weight, norm.bias).to(x.dtype)


def batch_norm(norm: nn.BatchNorm2d, x: Tensor, chosen: Chosen) -> Tensor:
    """Batch normalisation in training by the positions that are `counted`, which update the running statistics; zero
    elsewhere, or normalised alike if what stands `beside` them is needed.

    With fewer than two positions the running statistics are used and left as they are.
    """
    mask, _, beside = chosen
    count = int(mask.sum())
    if count < 2:
        return by_running_statistics(norm, x)
    rows = x.permute(0, 2, 3, 1)[mask[:, 0]]
    others = _by_statistics(norm, x, rows.detach()) if beside else torch.zeros_like(x)
    y = others.permute(0, 2, 3, 1)
    return y.masked_scatter(mask[:, 0, :, :, None], _of_rows(norm, rows)).permute(0, 3, 1, 2)


def _by_statistics(norm: nn.BatchNorm2d, x: Tensor, rows: Tensor) -> Tensor:
    """`x` normalised by the statistics of `rows` (K, C), which it is not part of."""
    variance, mean = torch.var_mean(widened(rows), 0, correction=0)
    scale = torch.rsqrt(variance + norm.eps)
    y = (widened(x) - mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1)
    return _affine(y, norm.weight, norm.bias).to(x.dtype)


def _of_rows(norm: nn.BatchNorm2d, rows: Tensor) -> Tensor:
    """Rows (K, C) normalised. Each is a map of one position: of a transposed view torch's backward pass is wrong."""
    found = nn.BatchNorm2d.forward(norm, rows[:, :, None, None])
    return found[:, :, 0, 0]


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is None or bias is None:
        return y
    return y * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)


def widened(values: Tensor) -> Tensor:
    """Values in a type that holds sums of many of them."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
