"""Gates per position in the dense form: maps of weights, and the routes they decide.

A route's stream is there wherever its source is, and zeros where its gate is shut everywhere; where it is shut at a
position, the stream is zero there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.activations import margin
from routespace.runtime.dense import Decision, Flow, both, needed
from routespace.runtime.frame import Frame
from routespace.runtime.layers import MaxPool, Mean, ResizeBy, ResizeTo, Sizes
from routespace.runtime.leaves import GateLeaf, RouteParts
from routespace.runtime.outside import outside_of
from routespace.runtime.positions import reference_where
from routespace.runtime.positions.geometry import POINTWISE, leaves
from routespace.runtime.tree import run


def is_skippable(op: nn.Module) -> bool:
    """Whether what every leaf of `op` demands of its input is known. Of other ops whole maps are made and selected."""
    return all(outside.known if (outside := outside_of(leaf)) else isinstance(leaf, _KNOWN) for leaf in leaves(op))


_KNOWN = (nn.Conv2d, MaxPool, nn.AvgPool2d, nn.GroupNorm, Mean, ResizeTo, ResizeBy, *POINTWISE)


def selected(op: nn.Module, targets: bool, x: Tensor, mask: Tensor, sizes: Sizes, gain: Tensor) -> Tensor:
    """`gain`·op(x) of whole maps where `mask`, zero elsewhere; with gradients."""
    if is_skippable(op):
        return reference_where(op, x, mask, sizes, gain)
    there = mask.flatten(1).any(1).view(-1, 1, 1, 1)
    made = run(op, torch.where(there, x, 0.0), sizes, targets)
    return torch.where(mask, made * torch.where(mask, gain, 0.0).to(made.dtype), 0.0)


class MapDecision(NamedTuple):
    """What a gate decided per position: `weights`, `open` and `logits` are (N, K, H, W); the rest as in `Decision`."""

    weights: Tensor
    open: Tensor
    active: Tensor
    reached: Tensor
    consulted: bool
    logits: Tensor
    margin: Callable[[], Tensor]

    def opens(self, index: int) -> Tensor:
        """Images (N,) that have a position where route `index` is open."""
        return self.open[:, index].flatten(1).any(1)


def decided(
    activation: nn.Module, weights: Tensor, opened: Tensor, reached: Tensor, logits: Tensor, consulted: bool
) -> MapDecision:
    """The decision of maps (N, K, H, W) for the images that reach the gate."""
    opened = opened & reached.view(-1, 1, 1, 1)
    weights = torch.where(opened, weights, 0.0)
    far = partial(_distance, activation, logits, consulted)
    return MapDecision(weights, opened, opened.flatten(1).any(1), reached, consulted, logits, far)


def _distance(activation: nn.Module, logits: Tensor, consulted: bool) -> Tensor:
    return margin(activation, logits) if consulted else torch.full_like(logits, torch.inf)


def of_rows(rows: Tensor | None, make: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """What is made of the `rows` (N,) of what is given, zeros in the others; None for all rows."""
    if rows is None:
        return make(*given)
    picked = rows.nonzero().squeeze(1)
    part = make(*(one.index_select(0, picked) for one in given))
    return part.new_zeros(rows.shape[0], *part.shape[1:]).index_copy(0, picked, part)


class Gate(GateLeaf):
    """Maps of weights for the images that reach it."""

    def forward(self, frame: Frame, x: Flow, *decisions: Decision) -> MapDecision:
        wanted = both(x.present, needed(self.atoms, decisions))
        reached = wanted if wanted is not None else x.value.new_ones(frame.batch, dtype=torch.bool)
        override = frame.setting(self.control)
        if override is not None:
            weights, opened = override.decided(frame.batch, x.value, frame.values[self.name])
            return decided(self.activation, weights, opened, reached, weights, consulted=False)
        counted = wanted if self.coupled and self.training else None
        logits = of_rows(counted, lambda x: run(self.body, x, frame.sizes, self.targets), x.value)
        weights, opened = self.activation(logits)
        return decided(self.activation, weights, opened, reached, logits, consulted=True)


def there(source: Flow, decision: MapDecision, index: int) -> tuple[Tensor, Tensor]:
    """Images (N,) for which route `index` delivers something, and the positions (N, 1, H, W) where it is open."""
    present = decision.reached
    if source.present is not None:
        present = present & (source.present | ~decision.opens(index))
    return present, decision.open[:, index, None] & present.view(-1, 1, 1, 1)


class Route(nn.Module):
    """α·op(source) at the positions where the route is open."""

    def __init__(self, parts: RouteParts) -> None:
        super().__init__()
        self.op, self.targets, self.index = parts.op, parts.targets, parts.place
        self.coupled = parts.coupled is not None

    def forward(self, frame: Frame, source: Flow, decision: MapDecision) -> Flow:
        present, mask = there(source, decision, self.index)
        gain = decision.weights[:, self.index, None]
        rows = both(decision.reached, source.present) if self.coupled and self.training else None

        def make(x: Tensor, mask: Tensor, gain: Tensor) -> Tensor:
            return selected(self.op, self.targets, x, mask, frame.sizes, gain)

        return Flow(of_rows(rows, make, source.value, mask, gain), present)
