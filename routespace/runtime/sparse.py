"""The sparse form: what no image needs is not done.

A stream is `Rows`: pieces of a batch, each with the images it holds. Decisions are read on the host once per gate.
An image that is reached by zeros only has results that depend on weights and size alone: they are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.control import Control
from routespace.runtime.dense import Atoms, distance
from routespace.runtime.fold import Plan
from routespace.runtime.frame import Frame
from routespace.runtime.merges import Merger

tally = "trace"

SMALL_ROW = 2**16
"""Rows of up to this many elements are run together; larger ones stay in cache better one by one."""


class Piece(NamedTuple):
    """`value` (n, C, H, W) of `images` (n of them); a `blank` piece has one row, the same for all its images."""

    value: Tensor
    images: tuple[int, ...]
    blank: bool = False


class Rows(NamedTuple):
    """Pieces of different images, and the images that have zeros."""

    pieces: tuple[Piece, ...]
    zeros: tuple[int, ...] = ()

    def images(self) -> set[int]:
        return {image for piece in self.pieces for image in piece.images} | set(self.zeros)

    def among(self, wanted: frozenset[int]) -> list[Piece]:
        """Pieces cut down to the images wanted."""
        found = []
        for piece in self.pieces:
            keep = [place for place, image in enumerate(piece.images) if image in wanted]
            if not keep:
                continue
            images = tuple(piece.images[place] for place in keep)
            value = piece.value if piece.blank or len(keep) == len(piece.images) else take(piece.value, keep)
            found.append(Piece(value, images, piece.blank))
        return found


class Decision(NamedTuple):
    """What a gate decided: tensors over the whole batch for the record, and who takes which route, on the host."""

    weights: Tensor
    open: Tensor
    active: Tensor
    reached: Tensor
    consulted: bool
    logits: Tensor
    margin: Callable[[], Tensor]
    takers: tuple[frozenset[int], ...]
    closed: frozenset[int]
    running: frozenset[int]


def take(value: Tensor, places: Sequence[int]) -> Tensor:
    """Rows of a batch, in their memory format; a run of rows is a view."""
    first, last = places[0], places[-1]
    if last - first + 1 == len(places):
        return value[first : last + 1]
    return torch.cat([value[place : place + 1] for place in places])


def wanting(atoms: Atoms | None, decisions: Sequence[Decision]) -> frozenset[int] | None:
    """Images for which some atom holds; None for all."""
    if atoms is None:
        return None
    found: frozenset[int] = frozenset()
    for which, index in atoms:
        decision = decisions[which]
        found |= decision.closed if index is None else decision.takers[index]
    return found


class _Op(nn.Module):
    """An op over pieces: each piece is one call; blank pieces are answered from what was computed before."""

    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, atoms: Atoms | None) -> None:
        super().__init__()
        self.op, self.coupled, self.atoms = op, coupled, atoms
        self.plan = Plan(op, targets)
        self.unit = -1

    def pieces(self, frame: Frame, pieces: Sequence[Piece]) -> list[Piece]:
        joined = self.training and self.coupled is not None
        return [self.piece(frame, piece) for piece in (_join(pieces) if joined else pieces)]

    def piece(self, frame: Frame, piece: Piece) -> Piece:
        if not piece.blank:
            frame.log(self.unit, piece.images)
            return Piece(self.plan(piece.value, frame.sizes), piece.images)
        value, made = frame.blanks.get(self.op, piece.value, lambda: self.plan(piece.value, frame.sizes))
        if made:
            frame.log(self.unit, piece.images[:1])
        return Piece(value, piece.images, True)


def _join(pieces: Sequence[Piece]) -> list[Piece]:
    """One piece of everything, in order of images, so that batch statistics see all of it."""
    if len(pieces) < 2 and not any(piece.blank for piece in pieces):
        return list(pieces)
    rows = sorted(
        (image, piece.value if piece.blank else piece.value[place : place + 1])
        for piece in pieces
        for place, image in enumerate(piece.images)
    )
    return [Piece(torch.cat([row for _, row in rows]), tuple(image for image, _ in rows))]


class Apply(_Op):
    def forward(self, frame: Frame, x: Rows, *decisions: Decision) -> Rows:
        wanted = wanting(self.atoms, decisions)
        if self.training and self.coupled == "all":
            wanted = None
        return Rows(tuple(self.pieces(frame, x.pieces if wanted is None else x.among(wanted))))


class Gather(nn.Module):
    """An op of several streams: what is nothing is read as zeros."""

    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, widths: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.op, self.targets, self.widths = op, targets, tuple(widths)
        self.unit = -1

    def forward(self, frame: Frame, *streams: Rows) -> Rows:
        images = tuple(sorted(set().union(*(rows.images() for rows in streams))))
        if not images:
            return Rows(())
        values = [
            assemble(rows, images, frame, name, channels)
            for rows, (name, channels) in zip(streams, self.widths, strict=True)
        ]
        frame.log(self.unit, images)
        made = self.op(values, frame.sizes) if self.targets else self.op(values)
        return Rows((Piece(made, images),))


def assemble(rows: Rows, images: tuple[int, ...], frame: Frame, name: str, channels: int) -> Tensor:
    """The stream as one tensor of `images`, zeros where it has none."""
    for piece in rows.pieces:
        if not piece.blank and piece.images == images:
            return piece.value
    found: dict[int, Tensor] = {}
    for piece in rows.pieces:
        for place, image in enumerate(piece.images):
            found[image] = piece.value if piece.blank else piece.value[place : place + 1]
    missing = [image for image in images if image not in found]
    if missing:
        zero = blank(frame, name, channels)
        found.update(dict.fromkeys(missing, zero))
    return torch.cat([found[image] for image in images])


def laid_out(images: Tensor) -> Tensor:
    """Images in the memory format of inference plans."""
    return images.contiguous(memory_format=torch.channels_last)


def blank(frame: Frame, name: str, channels: int) -> Tensor:
    """Zeros of one image, of the size that the value called `name` has."""
    size = frame.values[name]
    return torch.zeros(1, channels, *size, dtype=frame.dtype, device=frame.images.device).contiguous(
        memory_format=torch.channels_last
    )


class Merge(nn.Module):
    """Adds up what arrives, image by image. Zeros are left out where something else arrives."""

    def __init__(
        self,
        merger: Merger,
        neutral: float,
        always: tuple[bool, bool],
        ordered: bool,
        widths: Sequence[tuple[str, int]],
    ) -> None:
        super().__init__()
        self.merger, self.neutral, self.always, self.ordered = merger, neutral, always, ordered
        self.additive = neutral == 0.0 and not ordered
        self.widths = tuple(widths)

    def forward(self, frame: Frame, *streams: Rows) -> Rows:
        arrivals: dict[int, list[tuple[int, Tensor]]] = {}
        zeros: set[int] = set()
        for which, rows in enumerate(streams):
            zeros.update(rows.zeros)
            for piece in rows.pieces:
                for place, image in enumerate(piece.images):
                    row = piece.value if piece.blank or len(piece.images) == 1 else piece.value[place : place + 1]
                    arrivals.setdefault(image, []).append((which, row))
        if self.always[self.training]:
            zeros.update(range(frame.batch))
        nothing = tuple(sorted(zeros - arrivals.keys()))
        whole = self.whole(streams, zeros)
        if whole is not None:
            return Rows((Piece(self.merger(whole), streams[0].pieces[0].images),), ())
        pieces = [self.row(frame, image, found, streams) for image, found in sorted(arrivals.items())]
        if len(pieces) > 1 and (pieces[0].value.numel() <= SMALL_ROW or pieces[0].value.is_cuda):
            pieces = _join(pieces)
        if nothing:
            pieces.append(Piece(self.blank(frame), nothing, not self.training))
            if self.training:
                pieces[-1] = Piece(self.blank(frame).expand(len(nothing), -1, -1, -1), nothing)
        return Rows(tuple(_join(pieces)) if self.training and pieces else tuple(pieces))

    def whole(self, streams: Sequence[Rows], zeros: set[int]) -> list[Tensor] | None:
        """The streams as tensors, if all of them hold the same images in one piece."""
        if zeros and not self.additive:
            return None
        first = streams[0].pieces[0].images if streams[0].pieces else None
        for rows in streams:
            if len(rows.pieces) != 1 or rows.pieces[0].blank or rows.pieces[0].images != first:
                return None
        if first is None or not zeros <= set(first):
            return None
        return [rows.pieces[0].value for rows in streams]

    def row(self, frame: Frame, image: int, found: list[tuple[int, Tensor]], streams: Sequence[Rows]) -> Piece:
        if self.additive:
            return Piece(self.merger([row for _, row in found]), (image,))
        by_stream = dict(found)
        values: list[Tensor] = []
        for which, (name, channels) in enumerate(self.widths):
            if which in by_stream:
                values.append(by_stream[which])
            elif self.ordered or image in streams[which].zeros:
                values.append(blank(frame, name, channels))
        return Piece(self.merger(values), (image,))

    def blank(self, frame: Frame) -> Tensor:
        name, channels = self.widths[0]
        if self.ordered:
            channels = sum(width for _, width in self.widths)
        key = (channels, frame.values[name], frame.dtype, frame.images.device)
        return frame.blanks.constant(key, lambda: blank(frame, name, channels))


class Gate(nn.Module):
    """Weights of the images that reach it."""

    def __init__(
        self,
        body: nn.Module,
        targets: bool,
        activation: nn.Module,
        routes: tuple[str, ...],
        below: float,
        coupled: bool,
    ) -> None:
        super().__init__()
        self.body, self.activation, self.routes, self.below, self.coupled = body, activation, routes, below, coupled
        self.plan = Plan(body, targets)
        self.control = Control(routes)
        self.node = ""
        self.atoms: Atoms | None = None
        self.unit = -1

    def forward(self, frame: Frame, x: Rows, *decisions: Decision) -> Decision:
        wanted = wanting(self.atoms, decisions)
        pieces = list(x.pieces) if wanted is None else x.among(wanted)
        images = [image for piece in pieces for image in piece.images]
        like = frame.images
        if self.control.forced is not None:
            weights = self.control.weights(frame.batch, like)[images]
            return self.decide(frame, images, weights, weights, ~(weights <= 0), consulted=False)
        if self.training and self.coupled:
            pieces = _join(pieces)
            images = [image for piece in pieces for image in piece.images]
        logits = [self.logits(frame, piece) for piece in pieces]
        joined = torch.cat(logits) if logits else like.new_zeros(0, len(self.routes))
        weights, opened = self.activation(joined)
        return self.decide(frame, images, joined, weights, opened, consulted=True)

    def logits(self, frame: Frame, piece: Piece) -> Tensor:
        if not piece.blank:
            frame.log(self.unit, piece.images)
            return self.plan(piece.value, frame.sizes).flatten(1)
        value, made = frame.blanks.get(self.body, piece.value, lambda: self.plan(piece.value, frame.sizes).flatten(1))
        if made:
            frame.log(self.unit, piece.images[:1])
        return value.expand(len(piece.images), -1)

    def decide(
        self, frame: Frame, images: list[int], logits: Tensor, weights: Tensor, opened: Tensor, consulted: bool
    ) -> Decision:
        if self.below > 0:
            opened = opened & ~(torch.where(opened, weights, 0.0).sum(1, keepdim=True) < self.below)
        weights = torch.where(opened, weights, 0.0)
        if images != list(range(frame.batch)):
            place = torch.tensor(images, device=weights.device, dtype=torch.long)
            full = weights.new_zeros(frame.batch, len(self.routes))
            weights = full.index_copy(0, place, weights)
            logits = full.index_copy(0, place, logits.to(full.dtype))
            opened = torch.zeros_like(full, dtype=torch.bool).index_copy(0, place, opened)
            reached = torch.zeros(frame.batch, dtype=torch.bool, device=full.device).index_fill(0, place, True)
        else:
            reached = torch.ones(frame.batch, dtype=torch.bool, device=weights.device)
        host = opened.tolist()
        takers = tuple(frozenset(image for image in images if host[image][route]) for route in range(len(self.routes)))
        running = frozenset().union(*takers)
        closed = frozenset(images) - running
        far = partial(distance, self.activation, logits, weights, self.below, consulted)
        return Decision(weights, opened, opened.any(1), reached, consulted, logits, far, takers, closed, running)


class Route(_Op):
    """α·op(source) for the images that take the route; what the closed rule passes on where the gate is closed."""

    def __init__(
        self,
        op: nn.Module,
        targets: bool,
        coupled: str | None,
        index: int,
        passes: bool,
        zeros: tuple[bool, bool],
    ) -> None:
        super().__init__(op, targets, coupled, None)
        self.index, self.passes, self.zeros = index, passes, zeros

    def forward(self, frame: Frame, source: Rows, decision: Decision, *closed: Rows) -> Rows:
        takers = decision.takers[self.index]
        everything = self.training and self.coupled == "all"
        made = self.pieces(frame, source.pieces if everything else source.among(takers))
        if everything:
            made = Rows(tuple(made)).among(takers)
        alpha = decision.weights[:, self.index]
        pieces = [self.weigh(piece, alpha) for piece in made]
        zeros: tuple[int, ...] = ()
        if self.zeros[self.training]:
            zeros = tuple(sorted(decision.running - takers))
        if self.passes and decision.closed:
            pieces.extend(closed[0].among(decision.closed))
        return Rows(tuple(pieces), zeros)

    def weigh(self, piece: Piece, alpha: Tensor) -> Piece:
        if not piece.blank:
            weight = alpha if len(piece.images) == alpha.shape[0] else alpha[list(piece.images)]
            weight = weight.to(piece.value.dtype).view(-1, 1, 1, 1)
            if self.plan.fresh and not torch.is_grad_enabled():
                return Piece(piece.value.mul_(weight), piece.images)
            return Piece(piece.value * weight, piece.images)
        weight = alpha[piece.images[0]].to(piece.value.dtype)
        return Piece(piece.value * weight, piece.images, True)


class Sink(nn.Module):
    """An output: what is nothing is read as zeros."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        self.name, self.channels = name, channels

    def forward(self, frame: Frame, x: Rows) -> Tensor:
        if not frame.batch:
            size = frame.values[self.name]
            return torch.zeros(0, self.channels, *size, dtype=frame.dtype, device=frame.images.device)
        return assemble(x, tuple(range(frame.batch)), frame, self.name, self.channels)


class Source(nn.Module):
    def forward(self, frame: Frame) -> Rows:
        if not frame.batch:
            return Rows(())
        images = frame.images if torch.is_grad_enabled() else laid_out(frame.images)
        return Rows((Piece(images, tuple(range(frame.batch))),))


def presence(frame: Frame, stream: Rows) -> Tensor | None:
    """Images (N,) that have a value; None for all."""
    images = stream.images()
    if len(images) == frame.batch:
        return None
    mask = torch.zeros(frame.batch, dtype=torch.bool)
    mask[sorted(images)] = True
    return mask.to(frame.images.device)
