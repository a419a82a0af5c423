"""Gated expressions computed everywhere and selected: slow, obvious and differentiable."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from routespace.runtime.layers import BatchNorm, GroupNorm, ResizeBy, ResizeTo, Sizes
from routespace.runtime.masked import Chosen, at_positions
from routespace.runtime.positions.checks import check
from routespace.runtime.positions.needs import Beside, Chain, Leaf, Need, need
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
    if isinstance(op, (GroupNorm, BatchNorm)) and op.stats == "active":
        with at_positions(Chosen(counts.makes.mask, leaf.makes.mask, beside=counts is not leaf)):
            return op(x)  # type: ignore[no-any-return]
    if isinstance(op, (ResizeTo, ResizeBy)):
        return op(x, sizes)  # type: ignore[no-any-return]
    run: Callable[[Tensor], Tensor] = op
    return run(x)
