"""Hypothesis strategies for spaces and cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from routespace.testing.cases import Case, roll_case
from routespace.testing.spaces import write_space

T = TypeVar("T")


class DrawnDice:
    """Dice whose choices hypothesis makes, and shrinks towards what stands first."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def number(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def pick(self, options: Sequence[T]) -> T:
        return options[self._draw(st.integers(0, len(options) - 1))]

    def chance(self, percent: int) -> bool:
        return self._draw(st.integers(0, 99)) >= 100 - percent


@st.composite
def spaces(draw: st.DrawFn) -> str:
    """Text of a `.route` file with one space, sometimes with a net in it. It always compiles."""
    return write_space(DrawnDice(draw))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A space with weights and images; see `Case`."""
    return roll_case(DrawnDice(draw))
