"""Hypothesis strategies for spaces, cases, nets, gate weights, masks and images; what is simplest comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from hypothesis import strategies as st
from torch import Tensor

from routespace.graph.ir import RouteGraph
from routespace.graph.sizes import least_size
from routespace.testing.cases import Case, at_size, random_images, roll_case
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


@st.composite
def cases_of(draw: st.DrawFn, text: str) -> Case:
    """Weights and images for the one space that `text` declares, of up to 95 pixels a side more than it needs."""
    height, width = (least + draw(st.integers(0, 95)) for least in least_size(Case(text).graph))
    case = Case(
        text,
        weight_seed=draw(st.integers(0, 10**6)),
        tilt=draw(st.sampled_from((0.0, -0.3, 0.5, -1.0))),
        batch=draw(st.sampled_from((1, 2, 3, 0))),
        image_seed=draw(st.integers(0, 10**6)),
    )
    return at_size(case, height, width)


@st.composite
def gate_weights(draw: st.DrawFn, graph: RouteGraph) -> dict[str, dict[str, float]]:
    """A weight for every route by node, as `forcing` takes them; all shut is the simplest."""
    weights: dict[str, dict[str, float]] = {}
    for gate in graph.gates:
        for route in gate.routes:
            weights.setdefault(gate.node, {})[route] = draw(st.sampled_from((0.0, 1.0, 0.5, 0.25, 1e-3)))
    return weights


@st.composite
def nets(draw: st.DrawFn, graph: RouteGraph) -> dict[str, dict[str, float]]:
    """A net of a space: every route open (1) or shut (0), as `compile(form="fixed", net=…)` takes it."""
    weights: dict[str, dict[str, float]] = {}
    for gate in graph.gates:
        for route in gate.routes:
            weights.setdefault(gate.node, {})[route] = float(draw(st.booleans()))
    return weights


@st.composite
def masks(draw: st.DrawFn, batch: int, height: int, width: int) -> Tensor:
    """Positions (batch, 1, height, width) bool: of each image none, all, one, a rectangle, or some at random."""
    found = torch.zeros(batch, 1, height, width, dtype=torch.bool)
    for image in found[:, 0]:
        kind = draw(st.sampled_from(("none", "all", "one", "rectangle", "some")))
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        if kind == "all":
            image[:] = True
        elif kind == "one":
            image[top, left] = True
        elif kind == "rectangle":
            image[top : top + draw(st.integers(1, height)), left : left + draw(st.integers(1, width))] = True
        elif kind == "some":
            generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
            image[:] = torch.rand(height, width, generator=generator) < 0.3
    return found


@st.composite
def images(draw: st.DrawFn, channels: int, smallest: int = 1) -> Tensor:
    """Images (N, channels, H, W) in float64 of up to 95 pixels more than `smallest` a side: few and small at their
    simplest, odd sizes and none among them."""
    batch = draw(st.sampled_from((1, 2, 3, 0)))
    height, width = (smallest + draw(st.integers(0, 95)) for _ in range(2))
    return random_images(channels, batch, height, width, draw(st.integers(0, 10**6)))
