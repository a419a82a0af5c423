"""Networks traced by `torch.fx`, as graphs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

import routespace as rs
from routespace.questions.embedding import embed
from routespace.questions.trace import sketch_trace

EXAMPLES = Path(__file__).parents[2] / "examples"


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.norm(self.conv(x)))


class UNet(nn.Module):
    """Two scales below the finest, which is 1/4 of the image; a skip from the stem to the head where `leak`."""

    def __init__(self, leak: bool = False) -> None:
        super().__init__()
        self.leak = leak
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.enter = nn.Conv2d(4, 4, 3, 2, 1)
        self.one, self.two, self.three = Residual(4), Residual(8), Residual(16)
        self.down, self.again = nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.up, self.upper = nn.ConvTranspose2d(16, 8, 2, 2), nn.ConvTranspose2d(8, 4, 2, 2)
        self.head = nn.Conv2d(4, 5, 1)

    def forward(self, image: Tensor) -> Tensor:
        stem = self.stem(image)
        first = self.one(self.enter(stem))
        second = self.two(self.down(first))
        third = self.three(self.again(second))
        back = second + self.up(third)
        y = self.head(first + self.upper(back))
        y = nn.functional.interpolate(y, scale_factor=4)
        return y + nn.functional.interpolate(stem, scale_factor=2).mean(1, keepdim=True) if self.leak else y


def traced(module: nn.Module) -> fx.GraphModule:
    found = fx.symbolic_trace(module.eval())
    ShapeProp(found).propagate(torch.zeros(1, 3, 64, 64))
    return found


def test_a_traced_u_net_is_five_nodes() -> None:
    found = sketch_trace(traced(UNet()), finest=4)
    assert sorted(found.strides.values()) == [4, 4, 8, 8, 16]
    assert len(found.edges) == 6 and len(found.inputs) == len(found.outputs) == 1
    graph = rs.build(rs.load(EXAMPLES / "segmentation.route", depth=6))
    assert embed(found, graph).answer == "no"
    embedded = embed(found, graph, subdivide=True)
    assert embedded.answer == "yes"
    assert {place.rsplit(".", 1)[1] for place in embedded.places.values()} == {"s4", "s8", "s16"}


def test_stem_and_head_belong_to_the_graph_unless_they_are_cut() -> None:
    found = sketch_trace(traced(UNet()))
    assert {Fraction(1), Fraction(2)} < set(found.strides.values())
    graph = rs.build(rs.load(EXAMPLES / "segmentation.route", depth=6))
    assert embed(found, graph, subdivide=True).answer == "no"


def test_what_leads_past_cannot_be_cut() -> None:
    with pytest.raises(rs.RouteError, match="leads past all that is of stride 4"):
        sketch_trace(traced(UNet(leak=True)), finest=4)


def test_a_trace_needs_shapes() -> None:
    with pytest.raises(rs.RouteError, match="without shapes") as error:
        sketch_trace(fx.symbolic_trace(UNet()))
    assert [one.code for one in error.value.diagnostics] == ["RS714"]


class Classifier(UNet):
    def forward(self, image: Tensor) -> Tensor:
        return torch.flatten(super().forward(image).mean((2, 3), keepdim=True), 1).softmax(1)


def test_a_classifier_returns_no_maps() -> None:
    with pytest.raises(
        rs.RouteError, match=r"returns are no maps .* `mean` of 5 x 1 x 1, goes into `flatten`"
    ) as error:
        sketch_trace(traced(Classifier()), finest=4)
    assert "trace the part of the network that makes maps" in str(error.value)
