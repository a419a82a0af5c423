"""What the leaves of gates and routes are made of, alike in every form."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from routespace.runtime.override import Control

Atoms = tuple[tuple[int, int | None], ...]
"""Pairs of (which of the decisions given, route index or None for closed)."""


class GateParts(NamedTuple):
    """The `body` (called with sizes if `targets`), the activation of its logits, the routes they decide over, the sum
    of weights `below` which an image is closed, and whether images meet in the body in training (`coupled`)."""

    body: nn.Module
    targets: bool
    activation: nn.Module
    routes: tuple[str, ...]
    below: float
    coupled: bool


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
        self.body, self.targets, self.activation = parts.body, parts.targets, parts.activation
        self.routes, self.below, self.coupled = parts.routes, parts.below, parts.coupled
        self.control = Control(parts.routes)
        self.node = self.name = ""
        self.atoms: Atoms | None = None
