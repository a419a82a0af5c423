"""The sparse form: what no image needs is not done.

A stream is `Rows`: pieces of a batch, each with the images it holds. Decisions are read on the host once per gate.
Without gradients, weights travel with what they weigh to the sum that reads it, and a sum writes into what is its own.
An image that is reached by zeros only has results that depend on weights and size alone: they are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from routespace.runtime.fold import Folded, Plan, Way
from routespace.runtime.frame import Frame
from routespace.runtime.layers import counting
from routespace.runtime.leaves import Atoms, RouteParts
from routespace.runtime.merges import Merger, add_up
from routespace.runtime.rows import Piece, Rows, Shut, assemble, blank, each, join, laid_out, presence, taught, zeros_of
from routespace.runtime.sparse_gates import Decision, Gate, counted, wanting
from routespace.runtime.surrogate import Surrogate
from routespace.runtime.tree import active_norms

__all__ = ["Apply", "Gate", "Gather", "Merge", "Route", "Sink", "Source", "presence", "tally"]

tally = "trace"

SMALL_ROW = 2**16
"""Rows of up to this many elements are run together; larger ones stay in cache better one by one."""


class _Op(nn.Module):
    """An op over pieces: each piece is one call; blank pieces are answered from what was computed before.

    `readers`: the routes that are all that reads the result. Where each of them begins with a relu, and the result is
    its own, it is left there as one.
    """

    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, atoms: Atoms | None) -> None:
        super().__init__()
        self.op, self.coupled, self.atoms = op, coupled, atoms
        self.plan = Plan(targets)
        self.mixed = coupled == "all" and bool(active_norms(op))
        self.readers: tuple[Route, ...] = ()
        self.unit = -1

    def way(self, frame: Frame) -> Way:
        return self.plan(self.op, frame)

    def pieces(self, frame: Frame, pieces: Sequence[Piece], active: frozenset[int] | None = None) -> list[Piece]:
        """What the op makes of pieces; `active` are the images that the norms which count such ones count."""
        if not self.training or self.coupled is None:
            return [self.piece(frame, piece) for piece in pieces]
        return [self.counting(frame, piece, active) for piece in join(pieces)]

    def counting(self, frame: Frame, piece: Piece, active: frozenset[int] | None) -> Piece:
        if active is None or not (self.mixed or self.coupled == "active") or active.issuperset(piece.images):
            return self.piece(frame, piece)
        with counting(torch.tensor([image in active for image in piece.images], device=piece.value.device)):
            return self.piece(frame, piece)

    def piece(self, frame: Frame, piece: Piece) -> Piece:
        way = self.way(frame)
        if not piece.blank:
            frame.log(self.unit, piece.images)
            value = way(piece.value, frame)
            if self.readers and way.fresh and all(reader.way(frame).shares for reader in self.readers):
                frame.rectify(value)
            return Piece(value, piece.images)
        value, made = frame.blanks.get(way, piece.value, frame.size, lambda: way(piece.value, frame))
        if made:
            frame.log(self.unit, piece.images[:1])
        return Piece(value, piece.images, True)


class Apply(_Op):
    def forward(self, frame: Frame, x: Rows, *decisions: Decision) -> Rows:
        wanted, active = wanting(self.atoms, decisions), counted(self.atoms, decisions)
        if wanted is None or active is None or (self.training and self.coupled == "all"):
            return Rows(tuple(self.pieces(frame, x.pieces, active)))
        if wanted == active or (self.training and self.coupled is not None):
            return Rows(tuple(self.pieces(frame, x.among(wanted), active)))
        # Apart, so that a branch that runs for the gradient of its gate alone is no part of the backward pass.
        return Rows(tuple(self.pieces(frame, [*x.among(active), *x.among(wanted - active)])))


class Gather(nn.Module):
    """An op of several streams: what is nothing is read as zeros."""

    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, widths: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.op, self.plan, self.widths = op, Plan(targets), tuple(widths)
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
        return Rows((Piece(self.plan(self.op, frame)(values, frame), images),))


class Merge(nn.Module):
    """Adds up what arrives, image by image. Zeros are left out where something else arrives."""

    def __init__(
        self,
        merger: Merger,
        neutral: float,
        always: tuple[bool, bool],
        ordered: bool,
        widths: Sequence[tuple[str, int]],
        zeros: bool,
    ) -> None:
        super().__init__()
        self.merger, self.neutral, self.always, self.ordered = merger, neutral, always, ordered
        self.additive = neutral == 0.0 and not ordered
        self.counts_zeros = zeros
        self.widths = tuple(widths)

    def forward(self, frame: Frame, *streams: Rows) -> Rows:
        if not self.counts_zeros or not any(rows.shut for rows in streams):
            return self.added(frame, streams)
        if self.additive:
            return self.added(frame, streams).taught([one for rows in streams for one in rows.shut])
        there = set().union(*(rows.images() for rows in streams))
        if self.always[self.training]:
            there.update(range(frame.batch))
        return self.added(frame, tuple(_spelled_out(rows, there) for rows in streams))

    def added(self, frame: Frame, streams: Sequence[Rows]) -> Rows:
        zeros: set[int] = set().union(*(rows.zeros for rows in streams))
        if self.always[self.training]:
            zeros.update(range(frame.batch))
        if self.together(streams, zeros):
            terms = [rows.pieces[0] for rows in streams]
            return Rows((Piece(self.merged(terms), terms[0].images),))
        arrivals: dict[int, list[tuple[int, Piece]]] = {}
        for which, rows in enumerate(streams):
            for piece in rows.pieces:
                for image, row in each(piece):
                    arrivals.setdefault(image, []).append((which, row))
        nothing = tuple(sorted(zeros - arrivals.keys()))
        pieces = [self.row(frame, image, found, streams) for image, found in sorted(arrivals.items())]
        if len(pieces) > 1 and (pieces[0].value.numel() <= SMALL_ROW or pieces[0].value.is_cuda):
            pieces = join(pieces)
        if nothing:
            name, channels = self.widths[0]
            if self.ordered:
                channels = sum(width for _, width in self.widths)
            pieces.append(zeros_of(frame, name, channels, nothing, self.training))
        return Rows(tuple(join(pieces)) if self.training and pieces else tuple(pieces))

    def together(self, streams: Sequence[Rows], zeros: set[int]) -> bool:
        """Whether all streams hold the same images in one piece."""
        if (zeros and not self.additive) or not streams[0].pieces:
            return False
        first = streams[0].pieces[0].images
        return zeros.issubset(first) and all(
            len(rows.pieces) == 1 and not rows.pieces[0].blank and rows.pieces[0].images == first for rows in streams
        )

    def merged(self, terms: Sequence[Piece]) -> Tensor:
        if any(term.own or term.gain != 1.0 for term in terms):
            return add_up([(term.value, term.gain, term.own) for term in terms])
        return self.merger([term.value for term in terms])

    def row(self, frame: Frame, image: int, found: list[tuple[int, Piece]], streams: Sequence[Rows]) -> Piece:
        if self.additive:
            return Piece(self.merged([row for _, row in found]), (image,))
        by_stream = dict(found)
        values: list[Tensor] = []
        for which, (name, channels) in enumerate(self.widths):
            if which in by_stream:
                values.append(by_stream[which].value)
            elif self.ordered or image in streams[which].zeros:
                values.append(blank(frame, name, channels))
        return Piece(self.merger(values), (image,))


def _spelled_out(rows: Rows, there: set[int]) -> Rows:
    """A stream with zeros for the images that are `there` in others and that it has nothing for but what was shut."""
    known = {image for one in rows.shut for image in one.images} & there - rows.images()
    return Rows(rows.pieces, (*rows.zeros, *sorted(known))).taught(rows.shut)._replace(shut=())


class Route(_Op):
    """α·op(source) for the images that take the route; what the closed rule passes on where the gate is closed."""

    def __init__(self, parts: RouteParts) -> None:
        super().__init__(parts.op, parts.targets, parts.coupled, None)
        self.index, self.passes, self.zeros = parts.place, parts.passes, parts.zeros
        self.summed = False

    def forward(self, frame: Frame, source: Rows, decision: Decision, *closed: Rows) -> Rows:
        takers = decision.takers[self.index]
        shut: list[Shut] = []
        if decision.taught - takers or (self.training and self.coupled == "all"):
            pieces, shut = self.training_pieces(frame, source, decision)
        elif self.summed and not (self.training or torch.is_grad_enabled()):
            pieces = [self.light(frame, piece, decision) for piece in source.among(takers)]
        else:
            pieces = [self.weighed(piece, decision) for piece in self.pieces(frame, source.among(takers))]
        zeros: tuple[int, ...] = ()
        if self.zeros[self.training]:
            zeros = tuple(sorted(decision.running - takers))
        if self.passes and decision.closed:
            pieces.extend(closed[0].among(decision.closed))
        return Rows(tuple(pieces), zeros).taught(shut)

    def training_pieces(self, frame: Frame, source: Rows, decision: Decision) -> tuple[list[Piece], list[Shut]]:
        """What is delivered, and what shut images would have been; norms count takers that are recorded, or all."""
        takers = decision.takers[self.index]
        beside = decision.taught - takers
        if self.coupled is None:
            made = self.pieces(frame, source.among(takers))
            with torch.no_grad():
                rest = self.pieces(frame, source.among(beside))
        else:
            reached = decision.running | decision.closed if self.coupled == "all" else takers | beside
            found = Rows(tuple(self.pieces(frame, source.among(reached), takers & decision.recorded)))
            made, rest = found.among(takers), found.among(beside)
        return [self.weighed(piece, decision) for piece in made], [self.shut(piece, decision) for piece in rest]

    def shut(self, piece: Piece, decision: Decision) -> Shut:
        weight = decision.weights[list(piece.images), self.index].view(-1, 1, 1, 1)
        return Shut(Surrogate(weight, piece.value.detach(), torch.ones_like(weight, dtype=torch.bool)), piece.images)

    def light(self, frame: Frame, piece: Piece, decision: Decision) -> Piece:
        """What the sum behind this route takes: the weight as a gain, or worked in where the op has fewest values."""
        if piece.blank or len(piece.images) > 1:
            return self.weighed(self.piece(frame, piece), decision)
        way, gain = self.way(frame), decision.host[piece.images[0]][self.index]
        if isinstance(way, Folded) and way.narrows:
            frame.log(self.unit, piece.images)
            return Piece(way(piece.value, frame, gain), piece.images, own=True)
        return self.piece(frame, piece)._replace(gain=gain, own=way.fresh)

    def weighed(self, piece: Piece, decision: Decision) -> Piece:
        images = list(piece.images)
        alike = piece.blank and len({decision.host[image][self.index] for image in images}) == 1
        alpha = decision.weights[:, self.index].to(piece.value.dtype)
        weight = alpha[images[:1]] if alike else alpha if len(images) == len(alpha) else alpha[images]
        return Piece(piece.value * weight.view(-1, 1, 1, 1), piece.images, alike)


class Pruned(nn.Module):
    """A route without its op: notes who would take it, and delivers what the route does for all others."""

    def __init__(self, place: int, passes: bool, zeros: tuple[bool, bool]) -> None:
        super().__init__()
        self.index, self.passes, self.zeros = place, passes, zeros

    def forward(self, frame: Frame, decision: Decision, *closed: Rows) -> Rows:
        takers = decision.takers[self.index]
        frame.missed.update(takers)
        pieces = closed[0].among(decision.closed) if self.passes and decision.closed else []
        zeros = tuple(sorted(decision.running - takers)) if self.zeros[self.training] else ()
        return Rows(tuple(pieces), zeros)


class Sink(nn.Module):
    """An output: what is nothing is read as zeros."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        self.name, self.channels = name, channels

    def forward(self, frame: Frame, x: Rows) -> Tensor:
        if not frame.batch:
            size = frame.values[self.name]
            empty = torch.zeros(0, self.channels, *size, dtype=frame.dtype, device=frame.images.device)
            return frame.anchored(empty)
        images = tuple(range(frame.batch))
        return frame.anchored(taught(assemble(x, images, frame, self.name, self.channels), images, x.shut))


class Source(nn.Module):
    """The input called `name`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, frame: Frame) -> Rows:
        if not frame.batch:
            return Rows(())
        given = frame.inputs[self.name]
        images = given if torch.is_grad_enabled() else laid_out(given)
        return Rows((Piece(images, tuple(range(frame.batch))),))
