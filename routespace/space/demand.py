"""What an op demands of its input for a set of outputs. `size` is that of the input (height, width)."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, TypeAlias

from routespace.space.registry import ByMode

Size = tuple[int, int]


class Window(NamedTuple):
    """What a window covers."""

    kernel: int
    stride: int
    dilation: int
    padding: int
    size: Size


class Statistics(NamedTuple):
    """What a norm takes its statistics from: "all" positions, or the "active" ones, in each mode."""

    stats: ByMode
    size: Size


class Between(NamedTuple):
    """What interpolated positions lie between; by a `factor`, or to the size that there is."""

    factor: Fraction | None
    corners: bool
    size: Size


class Everything(NamedTuple):
    """All of it."""

    size: Size


class Branches(NamedTuple):
    """What any of several ops side by side demands."""

    parts: tuple[tuple[Demand, ...], ...]


Demand: TypeAlias = "Window | Statistics | Between | Everything | Branches"
