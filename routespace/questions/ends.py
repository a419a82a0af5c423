"""What the last routes of a diagram can still cost: sets of exact amounts, as far back as there is room for them."""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from routespace.questions.diagram import Amount, Diagram, dot, furthest

MOST_KEPT, MOST_OF_ALL = 5_000_000, 2**62

Keys = NDArray[np.int64]


class Ends:
    """For each state of the levels from `first` on, all pairs of work and parameters that ways on from it cost.

    A pair is one number, sorted by work first: both are divided by what all of their amounts are multiples of.
    """

    def __init__(self, diagram: Diagram) -> None:
        self.first = len(diagram.levels) + 1
        self.sets: dict[int, list[Keys]] = {}
        amounts = [arrow.amount for level in diagram.levels for arrows in level for arrow in arrows if arrow]
        self.units = tuple(max(1, gcd(*(amount[kind] for amount in amounts))) for kind in (0, 1))
        most = [furthest(diagram, kind)[0][0] // unit + 1 for kind, unit in zip(_KINDS, self.units, strict=True)]
        self.base = most[1]
        if most[0] * most[1] >= MOST_OF_ALL:
            return
        behind = [np.zeros(1, dtype=np.int64)]
        kept = 0
        for at in range(len(diagram.levels), -1, -1):
            kept += sum(map(len, behind))
            if kept > MOST_KEPT:
                return
            self.first, self.sets[at] = at, behind
            if at:
                behind = [
                    np.unique(
                        np.concatenate([behind[arrow.target] + self._key(arrow.amount) for arrow in arrows if arrow])
                    )
                    for arrows in diagram.levels[at - 1]
                ]

    def _key(self, amount: Amount) -> int:
        return amount[0] // self.units[0] * self.base + amount[1] // self.units[1]

    def leads(self, at: int, state: int, paid: Amount, least: Amount, most: Amount) -> bool:
        """Whether with some way on from a state, where `paid` was paid, a net costs from `least` to `most`."""
        found = self.sets[at][state]
        low = max(0, -((paid[0] - least[0]) // self.units[0])) * self.base
        high = max(-1, (most[0] - paid[0]) // self.units[0]) * self.base + self.base
        begin, end = np.searchsorted(found, [min(low, MOST_OF_ALL), min(high, MOST_OF_ALL)])
        parameters = found[begin:end] % self.base * self.units[1] + paid[1]
        return bool(((parameters >= least[1]) & (parameters <= most[1])).any())


_KINDS = ((1, 0, 0), (0, 1, 0))


def lattice(diagram: Diagram, kind: int) -> tuple[int, int]:
    """(base, step): of one kind, every net costs `base` and a multiple of `step`; step 0 where all cost the same."""
    weights = tuple(int(one == kind) for one in range(3))
    best = furthest(diagram, weights)
    step = 0
    for at, level in enumerate(diagram.levels):
        for state, arrows in enumerate(level):
            for arrow in arrows:
                if arrow:
                    step = gcd(step, best[at][state] - dot(arrow.amount, weights) - best[at + 1][arrow.target])
    return diagram.fixed[kind] + best[0][0], step
