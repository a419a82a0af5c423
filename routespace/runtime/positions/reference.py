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


def reference_where(
    op: nn.Module,
    x: Tensor,
    mask: Tensor,
    sizes: Sizes,
    gain: Tensor | None = None,
    *,
    counted: Tensor | None = None,
) -> Tensor:
    """`gain`·op(x) where `mask`, zero elsewhere, as `run_where` says, with gradients.

    Every leaf runs on whole maps; what it gives where no masked output needs it is replaced by zero, so that neither
    values nor gradients of such positions reach anything, finite or not. Norms with `stats` "active" take the
    statistics from what the outputs of `counted` need, a part of `mask`, or of all that is computed where they need
    nothing; all of `mask` counts without it.
    """
    check(op, x, mask, sizes, gain)
    size = (x.shape[2], x.shape[3])
    found = need(op, size, Places(mask), sizes)
    counts = found if counted is None else need(op, size, Places(counted), sizes)
    y = _run(found, counts, _selected(x, found.reads), sizes)
    if gain is not None:
        y = y * torch.where(mask, gain, 0.0).to(y.dtype)
    return torch.where(mask, y, 0.0)


def _selected(x: Tensor, places: Places) -> Tensor:
    return torch.where(places.mask, x, 0.0)


def _run(found: Need, counts: Need, x: Tensor, sizes: Sizes) -> Tensor:
    """`counts` is the same op with the positions that its norms count."""
    if isinstance(found, Chain) and isinstance(counts, Chain):
        for part, counted in zip(found.parts, counts.parts, strict=True):
            x = _run(part, counted, x, sizes)
        return x
    if isinstance(found, Beside) and isinstance(counts, Beside):
        parts = zip(found.parts, counts.parts, strict=True)
        return found.merger([_run(part, counted, _selected(x, part.reads), sizes) for part, counted in parts])
    assert isinstance(found, Leaf) and isinstance(counts, Leaf)
    return _selected(_leaf(found, counts, x, sizes), found.makes)


def _leaf(leaf: Leaf, counts: Leaf, x: Tensor, sizes: Sizes) -> Tensor:
    op = leaf.op
    if isinstance(op, nn.GroupNorm) and statistics(op) == "active":
        return _group_norm(op, x, counts.makes.mask, leaf.makes.mask)
    if isinstance(op, nn.BatchNorm2d) and op.training and statistics(op) == "active":
        return _batch_norm(op, x, counts.makes.mask, beside=counts is not leaf)
    if isinstance(op, (ResizeTo, ResizeBy)):
        return op(x, sizes)  # type: ignore[no-any-return]
    run: Callable[[Tensor], Tensor] = op
    return run(x)


def _group_norm(norm: nn.GroupNorm, x: Tensor, counted: Tensor, mask: Tensor) -> Tensor:
    """Group normalisation of each image's positions in `mask` by the statistics of those that are `counted`, of all in
    `mask` where none is; zero elsewhere."""
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


def _batch_norm(norm: nn.BatchNorm2d, x: Tensor, mask: Tensor, beside: bool) -> Tensor:
    """Batch normalisation in training by the positions in `mask`, which update the running statistics; zero elsewhere,
    or normalised alike if what stands `beside` them is needed.

    With fewer than two positions the running statistics are used and left as they are.
    """
    count = int(mask.sum())
    assert norm.running_mean is not None and norm.running_var is not None
    if count < 2:
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
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
    found: Tensor = norm(rows[:, :, None, None])
    return found[:, :, 0, 0]


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is None or bias is None:
        return y
    return y * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
