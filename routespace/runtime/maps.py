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
from routespace.runtime.dense import Decision, Flow, both, counted, is_taught, needed
from routespace.runtime.frame import Frame
from routespace.runtime.layers import MaxPool, Mean, ResizeBy, ResizeTo, Sizes, counting
from routespace.runtime.leaves import GateLeaf, RouteParts
from routespace.runtime.outside import outside_of
from routespace.runtime.override import Override
from routespace.runtime.positions import reference_where
from routespace.runtime.positions.geometry import POINTWISE, leaves
from routespace.runtime.surrogate import Surrogate, attached
from routespace.runtime.tree import run


def is_skippable(op: nn.Module) -> bool:
    """Whether what every leaf of `op` demands of its input is known. Of other ops whole maps are made and selected."""
    return all(outside.known if (outside := outside_of(leaf)) else _is_known(leaf) for leaf in leaves(op))


def _is_known(leaf: nn.Module) -> bool:
    return isinstance(leaf, _KNOWN) and getattr(leaf, "padding_mode", "zeros") == "zeros"


_KNOWN = (nn.Conv2d, MaxPool, nn.AvgPool2d, nn.GroupNorm, Mean, ResizeTo, ResizeBy, *POINTWISE)


def selected(op: nn.Module, targets: bool, x: Tensor, mask: Tensor, sizes: Sizes, gain: Tensor) -> Tensor:
    """`gain`·op(x) of whole maps where `mask`, zero elsewhere; with gradients."""
    if is_skippable(op):
        return reference_where(op, x, mask, sizes, gain)
    return _weighed(_whole(op, targets, x, mask, sizes), mask, gain)


def taught(
    op: nn.Module, targets: bool, x: Tensor, mask: Tensor, sizes: Sizes, gain: Tensor, everywhere: Tensor
) -> Tensor:
    """As `selected`; at the positions of `everywhere` where `mask` is shut, what the op would have given teaches the
    gain. Norms count what open positions need."""
    wide = mask | everywhere
    if is_skippable(op):
        made = reference_where(op, x, wide, sizes, counted=mask)
    else:
        made = _whole(op, targets, x, wide, sizes)
    return attached(_weighed(made, mask, gain), [Surrogate(gain, made.detach(), everywhere & ~mask)])


def _whole(op: nn.Module, targets: bool, x: Tensor, mask: Tensor, sizes: Sizes) -> Tensor:
    there = mask.flatten(1).any(1).view(-1, 1, 1, 1)
    return run(op, torch.where(there, x, 0.0), sizes, targets)


def _weighed(made: Tensor, mask: Tensor, gain: Tensor) -> Tensor:
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
    counted: Tensor | None = None
    taught: Tensor | None = None

    def opens(self, index: int) -> Tensor:
        """Images (N,) that have a position where route `index` is open."""
        return self.open[:, index].flatten(1).any(1)


def decided(
    gate: GateLeaf,
    weights: Tensor,
    opened: Tensor,
    reached: Tensor,
    recorded: Tensor | None,
    logits: Tensor,
    override: Override | None,
) -> MapDecision:
    """The decision of maps (N, K, H, W) for the images that reach the gate, of which some are `recorded`."""
    consulted = override is None or override.asks
    here = reached.view(-1, 1, 1, 1)
    opened = gate.settled(weights, opened, override, recorded) & here
    learns = both(reached, recorded) if consulted and gate.is_taught(weights) else None
    weights = torch.where(here, gate.shown(weights, opened), 0.0)
    far = partial(_distance, gate.activation, logits, override is None)
    active = opened.flatten(1).any(1)
    return MapDecision(weights, opened, active, reached, consulted, logits, far, recorded, learns)


def _distance(activation: nn.Module, logits: Tensor, free: bool) -> Tensor:
    return margin(activation, logits) if free else torch.full_like(logits, torch.inf)


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
        recorded = both(x.present, counted(self.atoms, decisions)) if is_taught(decisions) else None
        reached = wanted if wanted is not None else x.value.new_ones(frame.batch, dtype=torch.bool)
        override = frame.setting(self.control)
        if override is not None and not override.asks:
            weights, opened = override.decided(frame.batch, frame.deciding, frame.values[self.name])
            return decided(self, weights, opened, reached, recorded, weights, override)
        asked = wanted if self.coupled and self.training else None
        beside = recorded if asked is None or recorded is None else recorded[asked]
        with counting(beside):
            logits = of_rows(asked, lambda x: run(self.body, x, frame.sizes, self.targets), x.value)
        weights, opened = self.activation(logits)
        return decided(self, weights, opened, reached, recorded, logits, override)


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
        if decision.taught is None:

            def make(x: Tensor, mask: Tensor, gain: Tensor) -> Tensor:
                return selected(self.op, self.targets, x, mask, frame.sizes, gain)

            return Flow(of_rows(rows, make, source.value, mask, gain), present)
        learning = both(decision.taught, source.present)
        assert learning is not None
        everywhere = learning.view(-1, 1, 1, 1).expand_as(mask)

        def teach(x: Tensor, mask: Tensor, gain: Tensor, everywhere: Tensor) -> Tensor:
            return taught(self.op, self.targets, x, mask, frame.sizes, gain, everywhere)

        return Flow(of_rows(rows, teach, source.value, mask, gain, everywhere), present)
