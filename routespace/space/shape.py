"""Shapes as the compiler sees them: channels and stride are exact, sizes are those of one image size."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Stride: TypeAlias = "int | Fraction"
"""Pixels of the input per position; whole strides are `int`s. 0 is none: positions that stand for no part of an image,
like the one that a mean makes. What is computed from it by factors is none again."""


def exact(value: int | Fraction) -> Stride:
    """A stride in its plainest form."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


@dataclass(frozen=True, slots=True)
class Shape:
    """A stream's shape for one image: channels, pixels of the input per position (0: no stride), height and width."""

    channels: int
    stride: Stride
    height: int
    width: int

    @property
    def positions(self) -> int:
        return self.height * self.width

    @property
    def elements(self) -> int:
        return self.channels * self.height * self.width

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width

    def lies_on(self, other: Shape) -> bool:
        """Whether the positions are those of `other`: of one size, and of one stride where both have one."""
        strides = {self.stride, other.stride} - {0}
        return self.size == other.size and len(strides) < 2

    def __str__(self) -> str:
        at = f" at stride {self.stride}" if self.stride else ""
        return f"{self.channels} channels{at} ({self.height}x{self.width})"


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of one op on one image.

    `macs` are multiply-adds of convolutions and matrix products; the other columns count elements: `norm` and
    `activation` per element, `pool` window elements per output (a global pool its input elements), `resize` outputs.
    """

    macs: int = 0
    norm: int = 0
    activation: int = 0
    pool: int = 0
    resize: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.norm + other.norm,
            self.activation + other.activation,
            self.pool + other.pool,
            self.resize + other.resize,
        )


NO_COST = Cost()
