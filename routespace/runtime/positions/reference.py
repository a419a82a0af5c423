"""Gated expressions computed everywhere and selected: slow, obvious and differentiable."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.runtime.layers import ResizeBy, ResizeTo, Sizes
from routespace.runtime.positions.checks import check
from routespace.runtime.positions.geometry import statistics
from routespace.runtime.positions.needs import Beside, Chain, Leaf, Need, need
from routespace.runtime.positions.norms import widened
from routespace.runtime.positions.places import Places


def reference_where(op: nn.Module, x: Tensor, mask: Tensor, sizes: Sizes, gain: Tensor | None = None) -> Tensor:
    """`gain`·op(x) where `mask`, zero elsewhere, as `run_where` says, with gradients.

    Every leaf runs on whole maps; what it gives where no masked output needs it is replaced by zero, so that neither
    values nor gradients of such positions reach anything, finite or not.
    """
    check(op, x, mask, sizes, gain)
    found = need(op, (x.shape[2], x.shape[3]), Places(mask), sizes)
    y = _run(found, _selected(x, found.reads), sizes)
    if gain is not None:
        y = y * torch.where(mask, gain, 0.0).to(y.dtype)
    return torch.where(mask, y, 0.0)


def _selected(x: Tensor, places: Places) -> Tensor:
    return torch.where(places.mask, x, 0.0)


def _run(found: Need, x: Tensor, sizes: Sizes) -> Tensor:
    if isinstance(found, Chain):
        for part in found.parts:
            x = _run(part, x, sizes)
        return x
    if isinstance(found, Beside):
        return found.merger([_run(part, _selected(x, part.reads), sizes) for part in found.parts])
    return _selected(_leaf(found, x, sizes), found.makes)


def _leaf(leaf: Leaf, x: Tensor, sizes: Sizes) -> Tensor:
    op = leaf.op
    if isinstance(op, nn.GroupNorm) and statistics(op) == "active":
        return _group_norm(op, x, leaf.makes.mask)
    if isinstance(op, nn.BatchNorm2d) and op.training and statistics(op) == "active":
        return _batch_norm(op, x, leaf.makes.mask)
    if isinstance(op, (ResizeTo, ResizeBy)):
        return op(x, sizes)  # type: ignore[no-any-return]
    run: Callable[[Tensor], Tensor] = op
    return run(x)


def _group_norm(norm: nn.GroupNorm, x: Tensor, mask: Tensor) -> Tensor:
    """Group normalisation by the statistics of each image's positions in `mask`; zero elsewhere."""
    batch, channels, high, wide = x.shape
    grouped = widened(x).reshape(batch, norm.num_groups, channels // norm.num_groups, high, wide)
    chosen = mask[:, :, None]
    axes = (2, 3, 4)
    count = (chosen.sum(axes, keepdim=True) * grouped.shape[2]).clamp_min(1)
    centred = torch.where(chosen, grouped - torch.where(chosen, grouped, 0.0).sum(axes, keepdim=True) / count, 0.0)
    power = centred.square().sum(axes, keepdim=True) / count
    y = (centred * torch.rsqrt(power + norm.eps)).reshape(batch, channels, high, wide)
    return _affine(y, norm.weight, norm.bias).to(x.dtype)


def _batch_norm(norm: nn.BatchNorm2d, x: Tensor, mask: Tensor) -> Tensor:
    """Batch normalisation in training by the positions in `mask`, which update the running statistics.

    With fewer than two positions the running statistics are used and left as they are.
    """
    count = int(mask.sum())
    assert norm.running_mean is not None and norm.running_var is not None
    if count < 2:
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
    rows = x.permute(0, 2, 3, 1)[mask[:, 0]]
    y = torch.zeros_like(x).permute(0, 2, 3, 1).masked_scatter(mask[:, 0, :, :, None], _of_rows(norm, rows))
    return y.permute(0, 3, 1, 2)


def _of_rows(norm: nn.BatchNorm2d, rows: Tensor) -> Tensor:
    """Rows (K, C) normalised. Each is a map of one position: of a transposed view torch's backward pass is wrong."""
    found: Tensor = norm(rows[:, :, None, None])
    return found[:, :, 0, 0]


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is None or bias is None:
        return y
    return y * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
