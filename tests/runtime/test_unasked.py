"""Gates that nobody asked: their weights are NaN, which is not the NaN of a broken gate, and their routes are shut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import routespace as rs
from routespace.cli.routes import drawn, route_taken
from routespace.draw.space import grid_of
from routespace.questions.extract import extract
from routespace.questions.nets import Nets

TEXT = """space s {
  input image: 3
  axis layer = 0..1
  gate g per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer {
    x = image | conv(3, 4, stride = 4) if layer == 0 else keep[layer - 1]
    h = x + (sum by g(x) { a: x | conv(1); b: x | conv(3) })
    send h by g(x) { keep: relu } closed keep = x
  }
  output y = keep[1]
}"""
FINE = TEXT.replace("(sum by g(x) { a: x | conv(1); b: x | conv(3) })", "(x | fine * conv(3))").replace(
    "  node at", "  gate fine per position { body conv(3, routes, bias); activation relu_tanh }\n  node at"
)
SHUT = "layer0.gate.body.1.bias"
"""The gate around the others is shut for every image."""


def shut(text: str, form: Any) -> nn.Module:
    module = rs.compile(rs.loads(text), form=form).eval()
    module.get_parameter(SHUT).data.fill_(-50)
    return module


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
@pytest.mark.parametrize("text", [TEXT, FINE])
def test_their_routes_are_not_open(form: str, text: str) -> None:
    module = shut(text, form)
    profile = rs.record(module, [images()])
    assert set(profile.opened["layer0"].values()) == {0}
    with torch.no_grad():
        routing = module(images()).routing
    inner = [route for route in routing.weights["layer0"] if route != "keep"]
    assert inner and all(routing.weights["layer0"][route].isnan().all() for route in inner)
    assert not any(routing.opens("layer0", route).any() for route in inner)
    assert routing.nan_gates() == []
    rs.compile(rs.loads(text), form=form, debug=True)  # type: ignore[call-overload]


def test_what_nobody_asked_is_pruned_and_left_out_of_nets() -> None:
    module = shut(TEXT, "sparse")
    module.get_parameter(SHUT.replace("0", "1", 1)).data.fill_(50)
    module.get_parameter("layer1.h.2.gate.body.1.bias").data.fill_(50)
    profile = rs.record(module, [images()])
    pruned = rs.prune(module, profile)
    assert pruned.pruning.routes == ("layer0.keep",)
    assert not {"layer0.h.2_a", "layer0.h.2_b"} & {value.name for value in pruned.graph.values}
    with torch.no_grad():
        outcome = pruned(images())
    assert not outcome.missed and outcome.routing.nan_gates() == []
    nets = Nets(rs.build(rs.loads(TEXT)))
    with pytest.raises(rs.RouteError, match="RS711"):
        extract(nets, profile, 1.0)


def test_a_pruned_module_tells_who_was_asked_when_it_falls_back() -> None:
    module = shut(TEXT, "sparse")
    profile = rs.record(module, [images()])
    pruned = rs.prune(module, profile)
    with torch.no_grad(), rs.forcing(pruned, {"layer0": {"keep": torch.tensor([0.0, 1.0]), "h.2_a": 1.0}}):
        outcome = pruned(images())
    assert outcome.missed == {1}
    assert outcome.routing.reached_by("layer0", "h.2_a").tolist() == [False, True]
    assert outcome.routing.opens("layer0", "h.2_a").tolist() == [False, True]
    assert outcome.routing.nan_gates() == []


def test_a_node_whose_own_gate_was_asked_is_drawn_closed() -> None:
    module = shut(TEXT, "sparse")
    with torch.no_grad():
        route = route_taken(module(images(1)))
    assert not any(taken.opened for taken in route["layer0"].values())
    grid = grid_of(rs.graph_of(module), drawn(route))  # type: ignore[arg-type]
    assert {node.name: node.state for node in grid.nodes}["layer0"] == "closed"


def test_a_broken_gate_is_told_and_open() -> None:
    module = shut(TEXT, "sparse")
    module.get_parameter(SHUT).data.fill_(torch.nan)
    profile = rs.record(module, [images()])
    assert profile.opened["layer0"]["keep"] == 2
    with torch.no_grad():
        assert "layer0" in module(images()).routing.nan_gates()
