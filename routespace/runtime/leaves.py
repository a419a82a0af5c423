"""What the leaves of gates and routes are made of, alike in every form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.override import Control, Override
from routespace.runtime.tree import deciding

Atoms = tuple[tuple[int, int | None], ...]
"""Pairs of (which of the decisions given, route index or None for closed)."""


class GateParts(NamedTuple):
    """The `body` (called with sizes if `targets`), the activation of its logits, the routes they decide over, the sum
    of weights `below` which an image is closed, whether images meet in the body in training (`coupled`), whether shut
    routes have a `slope` there, and whether what they would have delivered `teaches` the gate."""

    body: nn.Module
    targets: bool
    activation: nn.Module
    routes: tuple[str, ...]
    below: float
    coupled: bool
    slope: bool = False
    teaches: bool = False


class RouteParts(NamedTuple):
    """The `op` (called with sizes if `targets`), which images its statistics couple, its place among the routes of its
    gate, whether it passes something on where the gate is closed, and whether a running node delivers `zeros` through
    it where it is shut (in inference, in training)."""

    op: nn.Module
    targets: bool
    coupled: str | None
    place: int
    passes: bool
    zeros: tuple[bool, bool]


class GateLeaf(nn.Module):
    """What gates have in common. `node` is the handle to force it by, `name` that of its value; `atoms` say which
    images it is consulted for, None for all that reach it."""

    def __init__(self, parts: GateParts) -> None:
        super().__init__()
        self.body, self.targets, self.activation = deciding(parts.body), parts.targets, parts.activation
        self.routes, self.below, self.coupled = parts.routes, parts.below, parts.coupled
        self.slope, self.teaches = parts.slope, parts.teaches
        self.control = Control(parts.routes)
        self.node = self.name = ""
        self.atoms: Atoms | None = None

    def settled(self, weights: Tensor, opened: Tensor, override: Override | None, recorded: Tensor | None) -> Tensor:
        """What is open of what the activation opens of the routes (N, K) of a whole batch: none where weights sum to
        less than `below`; what was open where that is replayed, for the images (N,) that are `recorded`, None for all.
        """
        if self.below > 0:
            opened = opened & ~(torch.where(opened, weights, 0.0).sum(1, keepdim=True) < self.below)
        if override is None or not override.asks:
            return opened
        held = override.opens(weights)
        return held if recorded is None else torch.where(recorded.view(-1, *[1] * (held.dim() - 1)), held, opened)

    def shown(self, weights: Tensor, opened: Tensor) -> Tensor:
        """The weights of open routes, 0 of the others: in training with the slope of an activation that decides hard,
        so that costs and losses see it."""
        shut = weights - weights.detach() if self.slope and self.training and weights.requires_grad else 0.0
        return torch.where(opened, weights, shut)

    def is_taught(self, weights: Tensor) -> bool:
        """Whether shut routes teach the gate in this call: in training, unless it is frozen."""
        if not (self.teaches and self.training and torch.is_grad_enabled() and weights.requires_grad):
            return False
        own = [one.requires_grad for one in self.body.parameters()]
        return any(own) or not own
