"""Graphs laid out as grids."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

import routespace as rs
from routespace.draw.grid import Grid, GridEdge, grid_svg
from routespace.draw.space import grid_of, net_weights
from routespace.graph.ir import Route, RouteGraph
from routespace.graph.nets import all_open, hold
from routespace.testing.cases import random_case

SEGMENTATION = Path(__file__).parents[2] / "examples" / "segmentation.route"


@pytest.fixture(scope="module")
def graph() -> RouteGraph:
    return rs.build(rs.load(SEGMENTATION, depth=4))


def place_of(grid: Grid) -> dict[str, tuple[int, int]]:
    return {node.name: (node.column, node.row) for node in grid.nodes}


def edges_of(grid: Grid) -> dict[tuple[str, str], GridEdge]:
    return {(edge.source, edge.kind): edge for edge in grid.edges}


def test_layers_run_to_the_right_and_scales_downwards(graph: RouteGraph) -> None:
    grid = grid_of(graph)
    assert grid.column_labels == ("in", "layer0", "layer1", "layer2", "layer3", "layer4", "out")
    assert grid.row_labels == ("s4", "s8", "s16", "s32")
    places = place_of(grid)
    assert places["layer0.s4"] == (1, 0) and places["layer3.s32"] == (4, 3)
    assert places["image"] == (0, 0) and places["outputs.logits"] == (6, 0)
    assert len(set(places.values())) == len(places) == len(graph.nodes) + 2


def test_every_route_is_a_line_of_its_kind(graph: RouteGraph) -> None:
    grid = grid_of(graph)
    edges = edges_of(grid)
    routes = [value for value in graph.values if isinstance(value, Route)]
    assert len(grid.edges) == len(routes) + 1
    assert edges["layer1.s8", "up"].target == "layer2.s4" and edges["layer4.s16", "keep"].target == "outputs.logits"
    assert edges["image", "input"].target == "layer0.s4"
    assert all(edge.weight is None for edge in grid.edges) and {node.state for node in grid.nodes} == {"plain"}


def test_weights_are_thickness_and_states(graph: RouteGraph) -> None:
    weights = {
        "layer0.s4": {"keep": 0.75, "down": 0.0},
        "layer1.s4": {"keep": 0.0, "down": 0.0},
        "layer1.s8": {"keep": math.nan, "up": math.nan, "down": math.nan},
    }
    grid = grid_of(graph, weights)
    edges, states = edges_of(grid), {node.name: node.state for node in grid.nodes}
    assert edges["layer0.s4", "keep"].weight == 0.75 and edges["layer0.s4", "down"].weight == 0.0
    assert edges["layer1.s4", "passed on"].target == "layer2.s4" and ("layer1.s4", "keep") not in edges
    assert edges["layer1.s4", "down"].weight == 0.0 and edges["layer1.s8", "keep"].weight == 0.0
    assert (states["layer0.s4"], states["layer1.s4"], states["layer1.s8"]) == ("open", "closed", "unreached")
    assert states["layer2.s4"] == "unreached" and states["image"] == "plain"


def test_weights_of_what_is_not_there_are_refused(graph: RouteGraph) -> None:
    with pytest.raises(ValueError, match=r"no node `layer9.s4`.*; did you mean"):
        grid_of(graph, {"layer9.s4": {}})
    with pytest.raises(ValueError, match="has no route `kept`; did you mean `keep`"):
        grid_of(graph, {"layer0.s4": {"kept": 1.0}})
    text = rs.example("small").read_text().replace("output", "output early = keep[2, s4] | conv(1, 1)\n  output", 1)
    shorter = rs.build(rs.loads(re.sub(r"  output (?!early).*", "", text)))
    with pytest.raises(ValueError, match=r"node `layer4.s4` is dropped: no output reads"):
        grid_of(shorter, {"layer4.s4": {"keep": 1.0}})


def test_a_net_is_its_own_path() -> None:
    graph = rs.build(rs.load(SEGMENTATION))
    grid = grid_of(graph, net_weights(graph, hold(graph, "fcn_32s")))
    taken = [edge for edge in grid.edges if edge.weight]
    assert len(taken) == 17 and [edge.kind for edge in taken].count("down") == 3
    opened = {node.name for node in grid.nodes if node.state == "open"}
    assert opened == {edge.source for edge in taken}
    assert {node.state for node in grid.nodes} == {"open", "unreached", "plain"}


def test_an_open_net_reaches_everything(graph: RouteGraph) -> None:
    weights = net_weights(graph, all_open(graph))
    assert all(weight == 1.0 for routes in weights.values() for weight in routes.values())


def space(body: str, output: str) -> RouteGraph:
    return rs.build(rs.loads(f"space s {{\n  input image: 3\n{body}\n  output y = {output}\n}}"))


GATE = "  gate g per image {\n    body mean | conv(1, routes, bias)\n    activation relu_tanh\n  }\n"


def test_nodes_without_axes_stand_by_their_distance() -> None:
    first = "  node first {\n    x = image | conv(3, 4)\n    send x by g(x) { left: relu; right: tanh }\n  }\n"
    graph = space(f"{GATE}{first}  node a {{ p = left | relu }}\n  node b {{ q = right + p }}", "q")
    places = place_of(grid_of(graph))
    assert [places[name][0] for name in ("image", "first", "a", "b", "outputs.y")] == [0, 1, 2, 3, 4]
    grid = grid_of(graph)
    assert grid.column_labels == () and {edge.kind for edge in grid.edges} == {"left", "right", "stream", "input"}


def test_several_declarations_on_one_axis_have_rows_of_their_own() -> None:
    graph = space(
        "  axis layer = 0..2\n"
        "  node low at layer {\n    x = image | conv(3, 4) if layer == 0 else x[layer - 1] | relu\n  }\n"
        "  node high at layer {\n    z = image | conv(3, 4) if layer == 0 else z[layer - 1] + x[layer - 1]\n  }",
        "z[2]",
    )
    grid = grid_of(graph)
    assert grid.row_labels == ("low", "high") and grid.column_labels == ("in", "layer0", "layer1", "layer2", "out")
    assert place_of(grid)["high.layer1"] == (2, 1) and ("low.layer1", "stream") in edges_of(grid)


def test_an_axis_that_routes_run_back_on_is_no_column() -> None:
    graph = space(
        "  axis level = 0..1\n  axis step = 0..1\n  node at level, step {\n"
        "    x = image | conv(3, 4) if step == 0 else x[level, step - 1] + x[1 - level, step - 1]\n  }",
        "x[0, 1] + x[1, 1]",
    )
    grid = grid_of(graph)
    assert grid.column_labels == ("in", "step0", "step1", "out") and grid.row_labels == ("level0", "level1")


def test_a_space_without_nodes_is_drawn() -> None:
    grid = grid_of(space("", "image | conv(3, 2)"))
    assert place_of(grid) == {"image": (0, 0), "outputs.y": (1, 0)} and len(grid.edges) == 1


@pytest.mark.parametrize("seed", range(30))
def test_random_spaces_are_drawn_without_overlap(seed: int) -> None:
    case = random_case(seed)
    grid = grid_of(case.graph, net_weights(case.graph, all_open(case.graph)))
    places = place_of(grid)
    assert len(set(places.values())) == len(places)
    if "[stage + 1]" not in case.text:  # an exit reads what comes later
        assert all(places[edge.source][0] < places[edge.target][0] for edge in grid.edges)
    assert grid_svg(grid) == grid_svg(grid_of(case.graph, net_weights(case.graph, all_open(case.graph))))
