"""Nets whose costs lie in a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from routespace.graph.fault import Fault
from routespace.questions.diagram import Amount, Diagram, dot, furthest, plus

MOST_TRIED = 150_000
_MIXTURES = ((1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (4, 1), (1, 4))

Taken: TypeAlias = "tuple[Taken, bool] | None"


@dataclass(frozen=True, slots=True)
class Window:
    """From `least` to `most`, both included; None where there is no bound."""

    least: int | None = None
    most: int | None = None


EVERYTHING = Window()


class Search:
    """Goes through a diagram, by work and parameters, and turns back where no way on leads into the window.

    Where a state still leads is known by the least and the most of both costs and of mixtures of them; a state that
    was left in vain at some cost is not entered again at that cost.
    """

    def __init__(self, diagram: Diagram, windows: tuple[Window, Window]) -> None:
        self.diagram = diagram
        self.bounds: list[tuple[Amount, tuple[tuple[int, ...], ...], int]] = []
        if diagram.count:
            for weights in _directions(diagram):
                limit = _least(weights, windows)
                if limit is not None:
                    self.bounds.append((weights, furthest(diagram, weights), limit))

    def __iter__(self) -> Iterator[list[bool]]:
        """The routes each net in the window opens, yes or no. RS709 where this would take too long to tell."""
        diagram = self.diagram
        if not diagram.count:
            return
        seen: dict[tuple[int, int, Amount], int] = {}
        waiting: list[tuple[int, int, Amount, Taken]] = [(0, 0, diagram.fixed, None)]
        found = tried = 0
        while waiting:
            at, state, paid, taken = waiting.pop()
            if at == len(diagram.levels):
                found, tried = found + 1, 0
                yield _unrolled(taken)
                continue
            key = (at, state, paid)
            if seen.get(key) == found:
                continue
            seen[key] = found
            tried += 1
            if tried > MOST_TRIED:
                message = f"{MOST_TRIED:,} ways into this window led nowhere, and there are more"
                raise Fault("RS709", message, help="widen the window")
            ways = [
                (at + 1, arrow.target, plus(paid, arrow.amount), (taken, bool(is_open)))
                for is_open, arrow in enumerate(diagram.levels[at][state])
                if arrow
            ]
            ways = [way for way in ways if self._room(way) >= 0]
            waiting.extend(sorted(ways, key=partial(self._room)))

    def _room(self, way: tuple[int, int, Amount, Taken]) -> float:
        """How far inside its bounds a way leads, at the least; below 0 it misses the window."""
        at, state, paid, _ = way
        rooms = ((dot(paid, weights) + best[at][state] - least) for weights, best, least in self.bounds)
        return min(rooms, default=0)


def _directions(diagram: Diagram) -> Iterator[Amount]:
    """Weights of work and parameters, both brought to one size."""
    spans = [max(1, max(furthest(diagram, tuple(int(one == kind) for one in range(3)))[0])) for kind in (0, 1)]
    for work, parameters in _MIXTURES:
        for sign in (1, -1):
            for other in (1, -1) if work and parameters else (1,):
                yield (sign * work * spans[1], sign * other * parameters * spans[0], 0)


def _least(weights: Amount, windows: tuple[Window, Window]) -> int | None:
    """The least that the window holds of a mixture; None where it has no least."""
    total = 0
    for weight, window in zip(weights, windows, strict=False):
        edge = window.least if weight > 0 else window.most
        if weight and edge is None:
            return None
        total += weight * (edge or 0)
    return total


def _unrolled(taken: Taken) -> list[bool]:
    found: list[bool] = []
    while taken is not None:
        taken, is_open = taken
        found.append(is_open)
    return found[::-1]
