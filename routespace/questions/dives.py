"""Nets drawn at random so that they cost, on the average, what a window asks for; their ends are chosen to hit it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from routespace.questions.diagram import Amount, Arrow, Diagram, plus
from routespace.questions.ends import Ends

MOST_DIVES, DRAWN, STEPS = 20_000, 200, 12

Floats = NDArray[np.float64]


class Dives:
    """Goes down a diagram by chance: more costs weigh a net by exp(tilt · cost), and the tilt is such that the mean is
    inside the window. Where exact ends are known, one that fits is looked up."""

    def __init__(self, diagram: Diagram, ends: Ends, least: Amount, most: Amount) -> None:
        self.diagram, self.ends, self.least, self.most = diagram, ends, least, most
        self.dice = random.Random(0)
        self.tilt = (0.0, 0.0)
        self.weights = self._weights()
        self._aim()

    def __iter__(self) -> Iterator[list[bool]]:
        """Different nets in the window; ends where many dives in a row found no new one."""
        told: set[tuple[bool, ...]] = set()
        missed = 0
        while missed < MOST_DIVES:
            missed += 1
            taken, state, paid = self.dive(self.ends.first)
            if self._leads(self.ends.first, state, paid):
                taken += self._end(state, paid)
                if tuple(taken) not in told:
                    told.add(tuple(taken))
                    missed = 0
                    yield taken

    def dive(self, depth: int) -> tuple[list[bool], int, Amount]:
        """The first routes of a net, where that leads, and what it cost."""
        state, paid = 0, self.diagram.fixed
        taken: list[bool] = []
        for at in range(depth):
            closed, opened = self.diagram.levels[at][state]
            if closed and opened:
                odds = self._log(at, opened) - self._log(at, closed)
                is_open = self.dice.random() < 1 / (1 + math.exp(min(-odds, 700.0)))
            else:
                is_open = opened is not None
            arrow = opened if is_open else closed
            assert arrow is not None
            taken.append(is_open)
            state, paid = arrow.target, plus(paid, arrow.amount)
        return taken, state, paid

    def _end(self, state: int, paid: Amount) -> list[bool]:
        """Routes that lead from a state, by way of what is known exactly, into the window."""
        taken: list[bool] = []
        for at in range(self.ends.first, len(self.diagram.levels)):
            for is_open, arrow in enumerate(self.diagram.levels[at][state]):
                if arrow and self._leads(at + 1, arrow.target, plus(paid, arrow.amount)):
                    taken.append(bool(is_open))
                    state, paid = arrow.target, plus(paid, arrow.amount)
                    break
        return taken

    def _leads(self, at: int, state: int, paid: Amount) -> bool:
        return self.ends.leads(at, state, paid, self.least, self.most)

    def _log(self, at: int, arrow: Arrow) -> float:
        """The logarithm of what all nets weigh that go on by an arrow of level `at`."""
        own = self.tilt[0] * arrow.amount[0] + self.tilt[1] * arrow.amount[1]
        return float(own + self.weights[at + 1][arrow.target])

    def _weights(self) -> list[Floats]:
        """By level and state, the logarithm of what the ways on weigh."""
        self.weights = [np.zeros(1)] * (len(self.diagram.levels) + 1)
        for at in range(len(self.diagram.levels) - 1, -1, -1):
            logs = [[self._log(at, arrow) for arrow in arrows if arrow] for arrows in self.diagram.levels[at]]
            self.weights[at] = np.array([float(np.logaddexp.reduce(each)) for each in logs])
        return self.weights

    def _aim(self) -> None:
        """Newton's steps towards the tilt, with mean and spread of what is drawn."""
        for _ in range(STEPS):
            drawn = np.array([self.dive(len(self.diagram.levels))[2][:2] for _ in range(DRAWN)], dtype=np.float64)
            mean, spread = drawn.mean(0), drawn.std(0)
            off = np.clip(mean, self.least[:2], self.most[:2]) - mean
            if (np.abs(off) <= 0.1 * spread).all():
                return
            unit = np.where(spread > 0, spread, 1.0)
            related = np.cov((drawn / unit).T) + 0.01 * np.eye(2)
            step = np.linalg.solve(related, np.clip(off / unit, -1.5, 1.5)) / unit
            self.tilt = (self.tilt[0] + float(step[0]), self.tilt[1] + float(step[1]))
            self._weights()
