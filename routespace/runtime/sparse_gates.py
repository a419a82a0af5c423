"""Gates of the sparse form: decisions that are read on the host, and the guards that ask them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from routespace.runtime.dense import distance
from routespace.runtime.fold import Plan
from routespace.runtime.frame import Frame
from routespace.runtime.layers import counting
from routespace.runtime.leaves import Atoms, GateLeaf, GateParts
from routespace.runtime.override import Override
from routespace.runtime.rows import Piece, Rows, join


class Decision(NamedTuple):
    """What a gate decided: tensors over the whole batch for the record, and who takes which route, on the host.

    `counted` tells what is recorded, as in the dense form, and `recorded` the same on the host; `taught` are the images
    whose shut routes teach the gate.
    """

    weights: Tensor
    open: Tensor
    active: Tensor
    reached: Tensor
    consulted: bool
    logits: Tensor
    margin: Callable[[], Tensor]
    host: list[list[float]]
    takers: tuple[frozenset[int], ...]
    closed: frozenset[int]
    running: frozenset[int]
    counted: Tensor | None
    recorded: frozenset[int]
    taught: frozenset[int]


class HasTakers(Protocol):
    """What guards read of a decision, be it of one per image or per position."""

    @property
    def takers(self) -> tuple[frozenset[int], ...]: ...
    @property
    def closed(self) -> frozenset[int]: ...
    @property
    def recorded(self) -> frozenset[int]: ...
    @property
    def taught(self) -> frozenset[int]: ...


def wanting(atoms: Atoms | None, decisions: Sequence[HasTakers]) -> frozenset[int] | None:
    """Images for which a value runs: some atom holds, or a shut route teaches its gate; None for all."""
    if atoms is None:
        return None
    found: frozenset[int] = frozenset()
    for which, index in atoms:
        decision = decisions[which]
        found |= decision.closed if index is None else decision.takers[index] | decision.taught
    return found


def counted(atoms: Atoms | None, decisions: Sequence[HasTakers]) -> frozenset[int] | None:
    """Images for which some atom holds of what is recorded, which `active` norms count; None for all."""
    if atoms is None:
        return None
    found: frozenset[int] = frozenset()
    for which, index in atoms:
        decision = decisions[which]
        found |= (decision.closed if index is None else decision.takers[index]) & decision.recorded
    return found


class Gate(GateLeaf):
    """Weights of the images that reach it."""

    def __init__(self, parts: GateParts) -> None:
        super().__init__(parts)
        self.plan = Plan(parts.targets)
        self.unit = -1

    def forward(self, frame: Frame, x: Rows, *decisions: Decision) -> Decision:
        wanted, active = wanting(self.atoms, decisions), counted(self.atoms, decisions)
        pieces = list(x.pieces) if wanted is None else x.among(wanted)
        images = [image for piece in pieces for image in piece.images]
        recorded = frozenset(images) if active is None else active.intersection(images)
        like = frame.deciding
        override = frame.setting(self.control)
        if override is not None and not override.asks:
            weights, opened = (one[images] for one in override.decided(frame.batch, like))
            return self.decide(frame, images, recorded, weights, weights, opened, override)
        if self.training and self.coupled:
            pieces = join(pieces)
            images = [image for piece in pieces for image in piece.images]
        beside = len(recorded) < len(images)
        with counting(torch.tensor([one in recorded for one in images], device=like.device) if beside else None):
            logits = [self.logits(frame, piece) for piece in pieces]
        joined = torch.cat(logits) if logits else frame.anchored(like.new_zeros(0, len(self.routes)))
        weights, opened = self.activation(joined)
        return self.decide(frame, images, recorded, joined, weights, opened, override)

    def logits(self, frame: Frame, piece: Piece) -> Tensor:
        way = self.plan(self.body, frame)
        if not piece.blank:
            frame.log(self.unit, piece.images)
            return way(piece.value, frame).flatten(1)
        value, made = frame.blanks.get(way, piece.value, frame.size, lambda: way(piece.value, frame).flatten(1))
        if made:
            frame.log(self.unit, piece.images[:1])
        return value.expand(len(piece.images), -1)

    def decide(
        self,
        frame: Frame,
        images: list[int],
        recorded: frozenset[int],
        logits: Tensor,
        weights: Tensor,
        opened: Tensor,
        override: Override | None,
    ) -> Decision:
        consulted = override is None or override.asks
        taught = recorded if consulted and self.is_taught(weights) else frozenset[int]()
        if images != list(range(frame.batch)):
            place = torch.tensor(images, device=weights.device, dtype=torch.long)
            full = weights.new_zeros(frame.batch, len(self.routes))
            weights = full.index_copy(0, place, weights)
            logits = full.index_copy(0, place, logits.to(full.dtype))
            opened = torch.zeros_like(full, dtype=torch.bool).index_copy(0, place, opened)
            reached = torch.zeros(frame.batch, dtype=torch.bool, device=full.device).index_fill(0, place, True)
        else:
            reached = torch.ones(frame.batch, dtype=torch.bool, device=weights.device)
        beside = None
        if len(recorded) < len(images):
            beside = torch.tensor([image in recorded for image in range(frame.batch)], device=weights.device)
        opened = self.settled(weights, opened, override, beside) & reached[:, None]
        weights = self.shown(weights, opened)
        taken, host = opened.tolist(), weights.tolist()
        takers = tuple(frozenset(image for image in images if taken[image][route]) for route in range(len(self.routes)))
        running = frozenset().union(*takers)
        closed = frozenset(images) - running
        far = partial(distance, self.activation, logits, weights, self.below, override is None)
        record = (weights, opened, opened.any(1), reached, consulted, logits, far)
        return Decision(*record, host, takers, closed, running, beside, recorded, taught)
