"""Gates per position in the sparse form: what no open position needs is not computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.entered import Handle, entering
from routespace.runtime.fold import Plan
from routespace.runtime.frame import Frame
from routespace.runtime.layers import counting
from routespace.runtime.leaves import GateLeaf, GateParts, RouteParts
from routespace.runtime.maps import decided, is_skippable, selected, taught
from routespace.runtime.override import Override
from routespace.runtime.positions import Work, exact, measured, run_where
from routespace.runtime.positions.choose import Chooser
from routespace.runtime.positions.geometry import leaves
from routespace.runtime.rows import Piece, Rows, join, zeros_of
from routespace.runtime.sparse_gates import Decision, counted, wanting
from routespace.runtime.watch import Kept
from routespace.runtime.wrapped import inside


class MapDecision(NamedTuple):
    """As in the dense form, and on the host: for each route the images that have a position where it is open, those
    that have none for any route, all of them, what is recorded, and whose shut positions teach the gate."""

    weights: Tensor
    open: Tensor
    active: Tensor
    reached: Tensor
    consulted: bool
    logits: Tensor
    margin: Callable[[], Tensor]
    takers: tuple[frozenset[int], ...]
    closed: frozenset[int]
    images: frozenset[int]
    counted: Tensor | None
    recorded: frozenset[int]
    taught: frozenset[int]


class Gate(GateLeaf):
    """Maps of weights for the images that reach it."""

    def __init__(self, parts: GateParts) -> None:
        super().__init__(parts)
        self.plan = Plan(parts.targets)
        self.unit = -1

    def forward(self, frame: Frame, x: Rows, *decisions: Decision) -> MapDecision:
        wanted, active = wanting(self.atoms, decisions), counted(self.atoms, decisions)
        pieces = list(x.pieces) if wanted is None else x.among(wanted)
        if self.training and self.coupled:
            pieces = join(pieces)
        images = [image for piece in pieces for image in piece.images]
        recorded = frozenset(images) if active is None else active.intersection(images)
        beside = None
        if len(recorded) < len(images):
            beside = torch.tensor([image in recorded for image in range(frame.batch)], device=frame.images.device)
        size = frame.values[self.name]
        full = frame.deciding.new_zeros(frame.batch, len(self.routes), *size)
        reached = torch.zeros(frame.batch, dtype=torch.bool, device=full.device)
        reached[images] = True
        override = frame.setting(self.control)
        if override is not None and not override.asks:
            weights, opened = override.decided(frame.batch, full, size)
            return self.decide(weights, opened, reached, beside, weights, images, recorded, override)
        way = self.plan(self.body, frame)
        with counting(None if beside is None else beside[images]):
            made = [way(piece.value, frame).expand(len(piece.images), -1, -1, -1) for piece in pieces]
        for piece in pieces:
            frame.log(self.unit, piece.images[:1] if piece.blank else piece.images)
        if made:
            place = torch.tensor(images, device=full.device)
            logits = full.index_copy(0, place, torch.cat(made))
        else:
            logits = frame.anchored(full)
        weights, opened = self.activation(logits)
        return self.decide(weights, opened, reached, beside, logits, images, recorded, override)

    def decide(
        self,
        weights: Tensor,
        opened: Tensor,
        reached: Tensor,
        beside: Tensor | None,
        logits: Tensor,
        images: list[int],
        recorded: frozenset[int],
        override: Override | None,
    ) -> MapDecision:
        found = decided(self, weights, opened, reached, beside, logits, override)
        some = found.open.flatten(2).any(2).tolist()
        takers = tuple(frozenset(image for image in images if some[image][k]) for k in range(len(self.routes)))
        here = frozenset(images)
        closed = here - frozenset().union(*takers)
        learning = frozenset[int]() if found.taught is None else recorded
        return MapDecision(*found[:7], takers, closed, here, beside, recorded, learning)


class Route(nn.Module):
    """α·op(source) at the positions where the route is open; nothing else of the op is computed.

    `filled`, the name and channels of its value, says that zeros are to be there as a tensor, not left out; `kernels`
    is the handle by which the choice of kernels is set.
    """

    def __init__(self, parts: RouteParts) -> None:
        super().__init__()
        self.op, self.targets, self.index = parts.op, parts.targets, parts.place
        self.skips = Kept(is_skippable)
        self.coupled = parts.coupled
        self.units: tuple[int | None, ...] = ()
        self.kernels = Handle()
        self.filled: tuple[str, int] | None = None

    def forward(self, frame: Frame, source: Rows, decision: MapDecision) -> Rows:
        takers = decision.takers[self.index]
        runs = takers | decision.taught
        if self.training and self.coupled is not None:
            seen = decision.images if self.coupled == "all" else runs
            found = [self.piece(frame, piece, decision) for piece in join(source.among(seen))]
            pieces = Rows(tuple(found)).among(runs)
        else:
            pieces = [self.piece(frame, piece, decision) for piece in source.among(runs)]
        shut = tuple(sorted(decision.images - takers - {image for piece in pieces for image in piece.images}))
        if self.filled is None or not shut:
            return Rows(tuple(pieces), shut)
        return Rows((*pieces, zeros_of(frame, *self.filled, shut, self.training)))

    def piece(self, frame: Frame, piece: Piece, decision: MapDecision) -> Piece:
        images = list(piece.images)
        value = piece.value.expand(len(images), -1, -1, -1) if piece.blank else piece.value
        mask, gain = decision.open[images, self.index, None], decision.weights[images, self.index, None]
        if self.training or not self.skips.get(self.op, frame):
            for unit in self.units:
                frame.share(unit, images, None)
            if not decision.taught:
                return Piece(selected(self.op, self.targets, value, mask, frame.sizes, gain), piece.images)
            learning = torch.tensor([image in decision.taught for image in images], device=mask.device)
            everywhere = learning.view(-1, 1, 1, 1).expand_as(mask)
            made = taught(self.op, self.targets, value, mask, frame.sizes, gain, everywhere)
            return Piece(made, piece.images)
        work = Work(len(images))
        choose: Chooser = frame.setting(self.kernels) or measured
        made = run_where(self.op, value, mask, frame.sizes, gain, choose=choose, work=work)
        for leaf, unit in zip(leaves(self.op), self.units, strict=True):
            frame.share(unit, images, work.of(leaf))
        return Piece(made, piece.images)


class Pruned(nn.Module):
    """A route without its op: notes for which images it would be open somewhere, and is zero for all others."""

    def __init__(self, place: int, passes: bool, zeros: tuple[bool, bool]) -> None:
        super().__init__()
        self.index = place

    def forward(self, frame: Frame, decision: MapDecision) -> Rows:
        takers = decision.takers[self.index]
        frame.missed.update(takers)
        return Rows((), tuple(sorted(decision.images - takers)))


@contextmanager
def exactly(module: nn.Module) -> Iterator[nn.Module]:
    """Within the block, a sparse module computes no position that no open one needs, not even where the whole map would
    be faster."""
    with entering({part.kernels: exact for part in inside(module).modules() if isinstance(part, Route)}):
        yield module
