"""Nets whose costs lie in a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from routespace.questions.diagram import Amount, Diagram, dot, furthest, plus
from routespace.questions.dives import Dives
from routespace.questions.ends import MOST_OF_ALL, Ends, lattice
from routespace.space.fault import Fault

MOST_TRIED, SOON = 150_000, 2_000
_MIXTURES = ((1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (4, 1), (1, 4))

Taken: TypeAlias = "tuple[Taken, bool] | None"


@dataclass(frozen=True, slots=True)
class Window:
    """From `least` to `most`, both included; None where there is no bound."""

    least: int | None = None
    most: int | None = None

    def on(self, base: int, step: int) -> Window | None:
        """The window of those costs that are `base` and a multiple of `step`; None where there are none.

        >>> Window(10, 13).on(3, 4), Window(12, 14).on(3, 4)
        (Window(least=11, most=11), None)
        """
        step = step or 2 * MOST_OF_ALL
        least = None if self.least is None else self.least + (base - self.least) % step
        most = None if self.most is None else self.most - (self.most - base) % step
        return None if least is not None and most is not None and least > most else Window(least, most)


EVERYTHING = Window()


class Search:
    """Goes through a diagram, by work and parameters, and turns back where no way on leads into the window.

    Costs are multiples of a step, so that a window may hold none. Where a state still leads is known by the least and
    the most of both costs and of mixtures of them, and, once that has led nowhere for a while, exactly for as many of
    the last routes as there is room for; then nets are drawn at random, too. A state that was left in vain at some cost
    is not entered again at that cost.
    """

    def __init__(self, diagram: Diagram, windows: tuple[Window, Window]) -> None:
        self.diagram = diagram
        self.bounds: list[tuple[Amount, tuple[tuple[int, ...], ...], int]] = []
        self.ends: Ends | None = None
        self.windows: tuple[Window, Window] | None = None
        if diagram.count:
            work, parameters = (window.on(*lattice(diagram, kind)) for kind, window in enumerate(windows))
            if work is None or parameters is None:
                return
            self.windows = (work, parameters)
            for weights in _directions(diagram):
                limit = _least(weights, self.windows)
                if limit is not None:
                    self.bounds.append((weights, furthest(diagram, weights), limit))

    def __iter__(self) -> Iterator[list[bool]]:
        """The routes each net in the window opens, yes or no. RS709 where this would take too long to tell."""
        diagram = self.diagram
        if self.windows is None:
            return
        seen: dict[tuple[int, int, Amount], int] = {}
        waiting: list[tuple[int, int, Amount, Taken]] = [(0, 0, diagram.fixed, None)]
        told: set[tuple[bool, ...]] = set()
        found = tried = 0
        while waiting:
            at, state, paid, taken = waiting.pop()
            if at == len(diagram.levels):
                found, tried = found + 1, 0
                whole = _unrolled(taken)
                if tuple(whole) not in told:
                    told.add(tuple(whole))
                    yield whole
                continue
            key = (at, state, paid)
            if seen.get(key) == found:
                continue
            seen[key] = found
            tried += 1
            if tried > SOON and self.ends is None:
                self.ends = Ends(diagram)
                for dived in self._dives():
                    if tuple(dived) not in told:
                        told.add(tuple(dived))
                        yield dived
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

    def _dives(self) -> Iterator[list[bool]]:
        assert self.ends is not None
        return (
            iter(Dives(self.diagram, self.ends, *self.edges))
            if 0 < self.ends.first <= len(self.diagram.levels)
            else iter(())
        )

    def _room(self, way: tuple[int, int, Amount, Taken]) -> float:
        """How far inside its bounds a way leads, at the least; below 0 it misses the window."""
        at, state, paid, _ = way
        if self.ends is not None and at >= self.ends.first and not self.ends.leads(at, state, paid, *self.edges):
            return -1
        rooms = ((dot(paid, weights) + best[at][state] - least) for weights, best, least in self.bounds)
        return min(rooms, default=0)

    @property
    def edges(self) -> tuple[Amount, Amount]:
        """The least and the most of work and parameters."""
        windows = self.windows or ()
        least = tuple(max(window.least or 0, 0) for window in windows)
        return least, tuple(MOST_OF_ALL if window.most is None else min(window.most, MOST_OF_ALL) for window in windows)


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
