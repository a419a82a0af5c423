"""A case: one space with weights and images, made of a few numbers so that it can be printed, repeated and shrunk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from routespace.graph.build import build
from routespace.graph.ir import Gate, Input, RouteGraph
from routespace.graph.sizes import least_size, misfit
from routespace.language.load import loads
from routespace.space.model import Space
from routespace.testing.dice import Dice, SeededDice
from routespace.testing.inputs import Inputs, levels
from routespace.testing.oracle.evaluate import graph_modules
from routespace.testing.oracle.sizes import Size, Sizes, leaf_paths, plan, state_paths
from routespace.testing.spaces import write_space

State: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """The text of a space, the seed of its weights and how much they open, and the images.

    `tilt` moves the logits of all gates: below 0 most routes close. `image_seed` gives image i whatever the batch is.
    """

    text: str
    weight_seed: int = 0
    tilt: float = 0.0
    batch: int = 2
    height: int = 64
    width: int = 64
    image_seed: int = 0

    @cached_property
    def space(self) -> Space:
        return loads(self.text)

    @cached_property
    def graph(self) -> RouteGraph:
        return build(self.space)

    @cached_property
    def net(self) -> str | None:
        """The first net that the text declares."""
        return self.space.nets[0].name if self.space.nets else None

    @cached_property
    def state(self) -> State:
        """Weights in float64."""
        return random_state(self.graph, self.weight_seed, self.tilt)

    @cached_property
    def images(self) -> Inputs:
        """(batch, C, height, width) in float64; of a pyramid every level, with its share of that size."""
        inputs = [value for value in self.graph.values if isinstance(value, Input)]
        if inputs[0].name.partition(".")[2]:
            return random_pyramid(self.graph, inputs, self.batch, self.height, self.width, self.image_seed)
        return random_images(inputs[0].channels, self.batch, self.height, self.width, self.image_seed)

    @property
    def size(self) -> Sizes:
        """Height and width of the images; of a pyramid, those of every input by its name."""
        if isinstance(self.images, Tensor):
            return self.height, self.width
        inputs = [value.name for value in self.graph.values if isinstance(value, Input)]
        return tuple(
            (name, (one.shape[2], one.shape[3])) for name, one in zip(inputs, levels(self.images), strict=True)
        )

    def __str__(self) -> str:
        numbers = ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name in ("weight_seed", "tilt", "batch", "height", "width", "image_seed")
        )
        return f'Case("""{self.text}""", {numbers})'


def random_case(seed: int) -> Case:
    """The case of a seed: the same space, weights and images every time.

    >>> random_case(7).text == random_case(7).text
    True
    """
    return roll_case(SeededDice(seed))


def roll_case(dice: Dice) -> Case:
    """A case by the choices of `dice`: images of 64 to 96 pixels a side, or small ones."""
    text = write_space(dice)
    odd = dice.chance(40)
    height, width = (dice.number(64, 95) if odd else dice.pick((64, 96)) for _ in range(2))
    case = Case(
        text,
        weight_seed=dice.number(0, 10**6),
        tilt=dice.pick((0.0, -0.3, 0.5, -1.0)),
        batch=dice.pick((2, 1, 3, 2, 3, 1, 0, 2, 3, 1)),
        height=height,
        width=width,
        image_seed=dice.number(0, 10**6),
    )
    return _of_small_images(case, dice) if dice.chance(45) else case


def _of_small_images(case: Case, dice: Dice) -> Case:
    """`case` with images as large as its space needs, or a little larger, or of the sizes of small data sets."""
    height, width = least_size(case.graph)
    kind = dice.pick(("least", "few", "known"))
    if kind == "few":
        return at_size(case, height + dice.number(0, 12), width + dice.number(0, 12))
    return at_size(case, *(dice.pick(((32, 32), (28, 28), (24, 24), (7, 5))) if kind == "known" else (height, width)))


def at_size(case: Case, height: int, width: int) -> Case:
    """`case` with images of that size, or of the least size where that does not fit its space."""
    graph = case.graph
    height, width = least_size(graph) if misfit(graph, (height, width)) else (height, width)
    return replace(case, height=height, width=width)


def random_state(graph: RouteGraph, seed: int, tilt: float = 0.0) -> State:
    """Weights for every name of `graph` in float64: norms with statistics of their own, gates that differ by image.

    The last convolution of each gate gets larger weights and a bias around `tilt`, so that a good share of the routes
    closes, and some for some images only.
    """
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    kept = state_paths(graph)
    for path, module in graph_modules(graph).items():
        for name, tensor in module.state_dict().items():
            if f"{kept[path]}.{name}" not in state:
                state[f"{kept[path]}.{name}"] = _random(name.rsplit(".", 1)[-1], tensor, generator)
    spread: set[str] = set()
    for value in graph.values:
        if isinstance(value, Gate):
            convs = [path for path, leaf in leaf_paths(f"{value.name}.body", value.body) if leaf.entry == "conv"]
            if convs and kept[convs[-1]] not in spread:
                spread.add(kept[convs[-1]])
                _spread(state, kept[convs[-1]], tilt, generator)
                if value.granularity == "position":
                    _tip(state, kept[convs[-1]], generator)
    return state


def _random(kind: str, like: Tensor, generator: torch.Generator) -> Tensor:
    if not like.is_floating_point():
        return torch.zeros_like(like)
    noise = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    if kind == "running_var":
        return 0.5 + noise.abs()
    if like.dim() > 1:
        fan_in = like[0].numel()
        return noise * math.sqrt(1.5 / fan_in)
    return 0.3 * noise + (1.0 if kind == "weight" else 0.0)


def _spread(state: State, path: str, tilt: float, generator: torch.Generator) -> None:
    weight = state[f"{path}.weight"]
    state[f"{path}.weight"] = weight * 2
    if f"{path}.bias" in state:
        noise = torch.randn(weight.shape[0], generator=generator, dtype=torch.float64)
        extreme = torch.rand((), generator=generator) < 0.2
        state[f"{path}.bias"] = noise * (3.0 if extreme else 0.7) + tilt


def _tip(state: State, path: str, generator: torch.Generator) -> None:
    """Some routes of a gate per position are open nowhere, or everywhere."""
    bias = state[f"{path}.bias"]
    kinds = torch.rand(bias.shape, generator=generator)
    state[f"{path}.bias"] = torch.where(kinds < 0.15, -30.0, torch.where(kinds > 0.85, 30.0, bias)).to(bias.dtype)


def random_pyramid(
    graph: RouteGraph, inputs: Sequence[Input], batch: int, height: int, width: int, seed: int
) -> dict[str, Tensor]:
    """Noise (batch, C, H, W) for each level: its share of the one before, rounded up, or down where that fits."""
    sizes = _shares(inputs, (height, width), seed)
    try:
        plan(graph, tuple(sizes.items()))
    except ValueError:
        sizes = _shares(inputs, (height, width), 0)
    return {
        level.name.partition(".")[2]: random_images(level.channels, batch, *sizes[level.name], seed + 10**7 * place)
        for place, level in enumerate(inputs)
    }


def _shares(inputs: Sequence[Input], size: Size, rounding: int) -> dict[str, Size]:
    found: dict[str, Size] = {}
    stride = Fraction(1)
    for place, level in enumerate(inputs):
        down = place > 0 and (rounding >> place) & 1
        rounded = math.floor if down else math.ceil
        high, wide = (max(1, rounded(Fraction(length) * stride / level.stride)) for length in size)
        found[level.name] = size = (high, wide)
        stride = Fraction(level.stride)
    return found


def random_images(channels: int, batch: int, height: int, width: int, seed: int) -> Tensor:
    """Noise of different strength and brightness (batch, C, H, W); image i depends on `seed` and i only."""
    images = []
    for index in range(batch):
        generator = torch.Generator().manual_seed(seed * 1000 + index)
        noise = torch.randn(channels, height, width, generator=generator, dtype=torch.float64)
        strength, light = torch.randn(2, generator=generator, dtype=torch.float64).tolist()
        images.append(noise * abs(strength) + 1.5 * light)
    return torch.stack(images) if images else torch.zeros(0, channels, height, width, dtype=torch.float64)
