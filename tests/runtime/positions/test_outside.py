"""Ops that were registered from outside, behind gates per position."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import routespace as rs
from routespace.space.shape import Cost, Shape
from routespace.testing import Alone, Case
from routespace.testing.laws.alone import ALONE_LAWS

TEXT = """space s {{
  input image: 3
  gate fine per position {{ body conv(3, routes, bias); activation relu_tanh }}
  node {{
    x = image | conv(3, 4, stride = 4)
    y = x + fine(x) * (x | conv(3) | {op} | conv(3, 4))
  }}
  output o = y
}}"""


class Blur(nn.Conv2d):
    """A convolution, which the package would know, registered as something else."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, padding=1, groups=width)


class Centred(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean((2, 3), keepdim=True)


class Doubled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, -x], 1)


def blur_cost(args: Any, inputs: tuple[Shape, ...], output: Shape) -> Cost:
    return Cost(macs=9 * output.elements)


@pytest.fixture(autouse=True)
def ops() -> None:
    def double(args: Any, inputs: tuple[Shape, ...]) -> Shape:
        (x,) = inputs
        return Shape(2 * x.channels, x.stride, x.height, x.width)

    rs.op("leaky", window=lambda args: (1, 1, 1, 0))(lambda inputs: nn.LeakyReLU())
    rs.op("doubled", shape=double, window=lambda args: (1, 1, 1, 0))(lambda inputs: Doubled())
    rs.op("blur", cost=blur_cost, window=lambda args: (3, 1, 1, 1))(lambda inputs: Blur(inputs[0]))
    rs.op("untold")(lambda inputs: nn.LeakyReLU())
    rs.op("centred")(lambda inputs: Centred())
    rs.op("unknown", shape=double)(lambda inputs: Doubled())


@pytest.mark.parametrize("op", ["leaky", "doubled", "blur", "untold", "centred", "unknown"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_laws(op: str, seed: int) -> None:
    case = Case(TEXT.format(op=op), weight_seed=seed, batch=2, height=67, width=72, image_seed=seed)
    for law in ALONE_LAWS.values():
        law(Alone(case))


@pytest.mark.parametrize(("op", "whole"), [("leaky", False), ("untold", True)])
def test_what_is_told_is_skipped(op: str, whole: bool) -> None:
    module = rs.compile(rs.loads(TEXT.format(op=op)), form="sparse")
    mask = torch.zeros(1, 16, 16)
    mask[0, 5, 5] = 1
    with torch.inference_mode(), rs.forcing(module, {"node": {"y.2": mask}}), rs.exactly(module):
        cost = module(torch.randn(1, 3, 64, 64)).routing.cost
    stem = 9 * 3 * 4 * 16 * 16
    first = 16 * 16 if whole else 9
    assert cost.hard.item() == cost.executed.item() == stem + 9 * 4 * 4 * (first + 1)


def test_an_image_without_open_positions_has_all_channels() -> None:
    text = TEXT.format(op="doubled").replace("x + fine", "fine").replace(" | conv(3, 4))", ")")
    module = rs.compile(rs.loads(text), form="sparse")
    with torch.inference_mode(), rs.forcing(module, {"node": {"y": torch.zeros(2, 16, 16)}}):
        assert module(torch.randn(2, 3, 64, 64)).output.shape == (2, 8, 16, 16)
