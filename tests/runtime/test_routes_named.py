"""A route is called by its name, or by that of the equation whose only choice it is; what there is is told."""

from __future__ import annotations

import pytest
import torch

import routespace as rs
from routespace.graph.nets import hold

SPACE = rs.loads("""space blocks {
  input image: 3
  axis layer = 0..1
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer {
    x = image | conv(3, 4, stride = 4) if layer == 0 else two[layer - 1]
    y = x + soft(x) * (x | conv(3))
    two = soft(y) * (y | conv(1)) + soft(y) * (y | conv(3))
  }
  output y = two[1] | conv(1, 2)
}
net some in blocks { row y[layer] }
""")
IMAGES = torch.zeros(1, 3, 64, 64)


def test_an_equation_with_one_choice_names_it() -> None:
    module = rs.compile(SPACE)
    with rs.forcing(module, {"layer0": {"y": 0.25}}):
        assert module(IMAGES).routing.weights["layer0"]["y.2"].tolist() == [0.25]
    graph = rs.build(SPACE)
    assert hold(graph, {"layer0": {"y": 0.5}}) == hold(graph, {"layer0": {"y.2": 0.5}})
    assert hold(graph, "some") == hold(graph, {"layer0": {"y": 1.0}, "layer1": {"y": 1.0}})


@pytest.mark.parametrize("name", ["two", "x", "nothing", "y.1"])
def test_what_names_no_route_lists_them(name: str) -> None:
    known = r"it has (did you mean|y\.2, two\.1, two\.2)"
    with (
        pytest.raises(rs.GateError, match=r"it has y\.2, two\.1, two\.2"),
        rs.forcing(rs.compile(SPACE), {"layer0": {name: 1.0}}),
    ):
        pass
    with pytest.raises(rs.RouteError, match=rf"{known}|did you mean"):
        rs.compile(SPACE, "fixed", net={"layer0": {name: 1.0}})


def test_a_route_is_forced_once() -> None:
    with (
        pytest.raises(rs.GateError, match=r"forced twice, as `y` too"),
        rs.forcing(rs.compile(SPACE), {"layer0": {"y.2": 1.0, "y": 0.5}}),
    ):
        pass
