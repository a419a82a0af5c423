"""Generated scenes whose objects come at very different scales: something to train and measure on without a download.

Four kinds of shape lie on a textured ground. The textures are drawn alike for every class, so that a patch inside a
shape says nothing about its class: only the outline does, and it must be seen whole. A shape that fills the frame needs
a wide view, a tiny one needs a fine grid; how much of either an image needs depends on the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

Kind: TypeAlias = Literal["large", "small", "mixed"]
Floats: TypeAlias = NDArray[np.float64]
Box: TypeAlias = tuple[slice, slice]
Outline: TypeAlias = Callable[[Floats, Floats], NDArray[np.bool_]]

CLASSES: tuple[str, ...] = ("ground", "disc", "triangle", "cross", "ring")
KINDS: tuple[Kind, ...] = ("large", "small", "mixed")
LEAST_SIDE = 2


@dataclass(frozen=True)
class Scene:
    """One image with its labels: `image` (3, H, W) float32 in [0, 1], `label` (H, W) int64 in `range(len(CLASSES))`.

    `shapes` (H, W) int64 tells the shapes apart: 0 on the ground, 1 on the first that was drawn, and so on.
    """

    image: NDArray[np.float32]
    label: NDArray[np.int64]
    kind: Kind
    shapes: NDArray[np.int64]


class Scenes(Dataset[tuple[Tensor, Tensor]]):
    """`length` scenes of one seed; item i is `(image, label)` and depends on (seed, i), `size` and `kinds` only.

    `size` is the side of a square image or (height, width). Equal for any order of access and number of workers. Raises
    `ValueError` for sizes, lengths and seeds that no scenes have.

    >>> scenes = Scenes(100, size=64, seed=7)
    >>> image, label = scenes[3]
    >>> image.shape, image.dtype, label.shape, label.dtype
    (torch.Size([3, 64, 64]), torch.float32, torch.Size([64, 64]), torch.int64)
    >>> scenes.scene(3).kind in KINDS
    True
    """

    def __init__(
        self, length: int, size: int | tuple[int, int] = 96, seed: int = 0, kinds: Sequence[Kind] = KINDS
    ) -> None:
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown or not kinds:
            raise ValueError(f"kinds of scenes are {', '.join(KINDS)}, not {', '.join(unknown) or 'none'}")
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if len(sides) != 2 or not all(isinstance(side, int) and side >= LEAST_SIDE for side in sides):
            raise ValueError(f"`size` is {size!r}: a side, or height and width, of at least {LEAST_SIDE} is needed")
        for name, number in (("length", length), ("seed", seed)):
            if not isinstance(number, int) or number < 0:
                raise ValueError(f"`{name}` is {number!r}: a whole number of at least 0 is needed")
        self.length = length
        self.size = (sides[0], sides[1])
        self.seed = seed
        self.kinds = tuple(kinds)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        scene = self.scene(index)
        return torch.from_numpy(scene.image), torch.from_numpy(scene.label)

    def scene(self, index: int) -> Scene:
        """Scene `index` with its kind; IndexError outside `range(length)`."""
        if not 0 <= index < self.length:
            raise IndexError(f"scene {index} of {self.length}")
        return draw_scene(self.seed, index, self.size, self.kinds)


def draw_scene(seed: int, index: int, size: tuple[int, int], kinds: Sequence[Kind] = KINDS) -> Scene:
    """The scene of (seed, index): 1 or 2 `large` shapes, many `small` ones, or one large and several small (`mixed`).

    >>> scene = draw_scene(seed=0, index=5, size=(96, 96), kinds=["small"])
    >>> scene.kind, scene.image.shape, bool((scene.label > 0).any())
    ('small', (3, 96, 96), True)
    """
    rng = np.random.default_rng((seed, index))
    kind = kinds[int(rng.integers(len(kinds)))]
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float64) / min(size)
    label, shapes = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    image = _texture(rng, rows, columns, brightness=(0.1, 0.45))
    for radius in _radii(rng, kind):
        shape = int(rng.integers(1, len(CLASSES)))
        box, inside = _free_place(rng, radius, OUTLINES[shape - 1], label, rows, columns)
        paint = _texture(rng, rows[box], columns[box], brightness=(0.45, 0.9))
        image[:, box[0], box[1]][:, inside] = paint[:, inside]
        label[box][inside], shapes[box][inside] = shape, shapes.max() + 1
    image += rng.normal(0.0, 0.03, image.shape)
    return Scene(np.clip(image, 0.0, 1.0).astype(np.float32), label, kind, shapes)


def _radii(rng: np.random.Generator, kind: Kind) -> list[float]:
    """Radii of the shapes as fractions of the image's shorter side, the largest first."""
    large = rng.uniform(0.3, 0.45, 1 + int(rng.random() < 0.3)) if kind == "large" else rng.uniform(0.22, 0.34, 1)
    small = rng.uniform(0.075, 0.12, int(rng.integers(7, 12)) if kind == "small" else int(rng.integers(3, 6)))
    chosen = {"large": large, "small": small, "mixed": np.concatenate([large, small])}[kind]
    return sorted((float(radius) for radius in chosen), reverse=True)


def _free_place(
    rng: np.random.Generator,
    radius: float,
    outline: Outline,
    label: NDArray[np.int64],
    rows: Floats,
    columns: Floats,
    tries: int = 12,
) -> tuple[Box, NDArray[np.bool_]]:
    """A box of the image and the shape's pixels in it, none drawn on before; no pixel when `tries` places failed."""
    turn = rng.uniform(0.0, 2.0 * np.pi)
    bottom, right = rows[-1, 0], columns[0, -1]
    for y, x in rng.uniform(0.8 * radius, (bottom - 0.8 * radius, right - 0.8 * radius), (tries, 2)):
        box = _span(rows[:, 0], y, radius), _span(columns[0], x, radius)
        v, u = (rows[box] - y) / radius, (columns[box] - x) / radius
        if not label[box][u * u + v * v <= 1.15].any():
            return box, outline(u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn))
    return box, np.zeros(u.shape, dtype=np.bool_)


def _span(along: Floats, centre: float, radius: float) -> slice:
    low, high = np.searchsorted(along, (centre - 1.1 * radius, centre + 1.1 * radius))
    return slice(int(low), int(high))


def _disc(u: Floats, v: Floats) -> NDArray[np.bool_]:
    return u * u + v * v <= 0.8


def _triangle(u: Floats, v: Floats) -> NDArray[np.bool_]:
    slope = math.sqrt(3.0)
    return (v >= -0.5) & (v + slope * np.abs(u) <= 1.0)


def _cross(u: Floats, v: Floats) -> NDArray[np.bool_]:
    thin, long = np.minimum(np.abs(u), np.abs(v)), np.maximum(np.abs(u), np.abs(v))
    return (thin <= 0.3) & (long <= 0.95)


def _ring(u: Floats, v: Floats) -> NDArray[np.bool_]:
    distance = u * u + v * v
    return (distance >= 0.25) & (distance <= 1.0)


OUTLINES: tuple[Outline, ...] = (_disc, _triangle, _cross, _ring)
"""Predicates of a shape of radius 1, in the order of `CLASSES[1:]`."""


def _texture(rng: np.random.Generator, rows: Floats, columns: Floats, brightness: tuple[float, float]) -> Floats:
    """A random colour of that brightness, tinted by waves of three lengths and random directions: (3, H, W)."""
    waves = np.zeros_like(rows)
    for frequency in (rng.uniform(0.5, 2.0), rng.uniform(2.0, 6.0), rng.uniform(6.0, 16.0)):
        angle, phase = rng.uniform(0.0, 2.0 * np.pi, 2)
        along = rows * np.sin(angle) + columns * np.cos(angle)
        waves += rng.uniform(0.2, 1.0) * np.cos(2.0 * np.pi * frequency * along + phase)
    colour, tint = rng.uniform(*brightness, 3), rng.normal(0.0, 0.05, 3)
    return np.asarray(colour[:, None, None] + tint[:, None, None] * waves)
