"""Where random cases take their choices from: a seed, or hypothesis (which then shrinks them)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Dice(Protocol):
    """A source of choices. What stands first or is smallest is simplest."""

    def number(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included."""

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`."""

    def chance(self, percent: int) -> bool:
        """True for about `percent` of a hundred."""


class SeededDice:
    """Dice of one seed.

    >>> SeededDice(3).number(1, 6) == SeededDice(3).number(1, 6)
    True
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def pick(self, options: Sequence[T]) -> T:
        return options[self._random.randrange(len(options))]

    def chance(self, percent: int) -> bool:
        return self._random.randrange(100) >= 100 - percent
