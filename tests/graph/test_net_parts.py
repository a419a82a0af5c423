"""Nets put together: what each part opens, weights, other nets, other files."""

from __future__ import annotations

from pathlib import Path

import pytest

import routespace as rs
from routespace.graph.nets import hold
from routespace.language.parser import parse
from routespace.space.expr import Row
from routespace.space.model import Space

LADDER = """space ladder(depth = 3) {
  input image: 3
  axis layer = 0..depth
  axis scale = s4, s8 with stride = 4 * 2^scale
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer, scale where scale <= layer and scale <= depth - layer {
    x = image | conv(3, 8, stride = 4) if layer == 0
        else keep[layer - 1, scale] + up[layer - 1, scale + 1] + down[layer - 1, scale - 1]
    y = x + soft(x) * (x | conv(3))
    send y by soft(x) {
      keep: relu
      up:   conv(1) | relu | resize(to = scale - 1)
      down: conv(3, stride = 2) | relu
    }
  }
  output y = keep[depth, s4]
}
"""
ALL = {
    *("layer0.s4.keep", "layer0.s4.down", "layer1.s4.keep", "layer2.s4.keep", "layer3.s4.keep"),
    *("layer1.s8.keep", "layer1.s8.up", "layer2.s8.up", "layer1.s4.down"),
}
INSIDE = {"layer0.s4.y", "layer1.s4.y", "layer1.s8.y", "layer2.s4.y", "layer2.s8.y", "layer3.s4.y"}


def held(parts: str, more: str = "") -> dict[str, float]:
    """The open routes of a net, by name; branches inside nodes by that of their node."""
    graph = rs.build(rs.loads(f"{LADDER}\nnet it in ladder {{\n{parts}\n}}\n{more}"))
    weights = hold(graph, "it").weights
    return {
        route.name: weight
        for gate, routes in graph.routes_of.items()
        for route, weight in zip(routes, weights[gate], strict=True)
        if weight
    }


def test_edges_follow_nodes() -> None:
    parts = "edge x[0, s4] -> x[1, s8] -> y[2, s8] -> x[3, s4]\nrow keep[3, s4]"
    expected = ["layer0.s4.down", "layer1.s8.keep", "layer2.s8.up", "layer3.s4.keep"]
    assert held(parts) == dict.fromkeys(expected, 1.0)


def test_everything_is_also_what_has_no_name() -> None:
    found = held("everything")
    assert found.keys() > ALL and len(found) == len(ALL) + len(INSIDE)


@pytest.mark.parametrize(
    "left_out",
    ["row down[0..1, s4]", "edge x[0, s4] -> x[1, s8]; without edge x[1, s4] -> x[2, s8]", "lower"],
)
def test_without_closes_whatever_opens(left_out: str) -> None:
    lower = "net lower in ladder { row down[0..1, s4] }"
    found = held(f"everything; without {left_out}; row down[0, s4]", lower)
    assert not {"layer0.s4.down", "layer1.s4.down"} & found.keys() and "layer0.s4.keep" in found


def test_the_order_of_parts_means_nothing() -> None:
    parts = ["with low", "row keep[0..1, s4] = 1/4", "walk x[0, s4]: keep^4", "without row keep[2, s4]"]
    low = "net low in ladder { row down[0, s4] = 0.5 }"
    found = held("\n".join(parts), low)
    assert found == {"layer0.s4.keep": 0.25, "layer1.s4.keep": 0.25, "layer3.s4.keep": 1.0, "layer0.s4.down": 0.5}
    assert held("\n".join(reversed(parts)), low) == found


def test_a_net_of_another_file_brings_along_what_it_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "space.route").write_text(LADDER)
    head = 'from "space.route" import ladder\n\n'
    (tmp_path / "a.route").write_text(
        f"{head}net low in ladder {{ row down[0, s4] }}\nnet more in ladder {{ with low }}\n"
    )
    (tmp_path / "b.route").write_text(f'{head}from "a.route" import more\n\nnet it in ladder {{ with more }}\n')
    graph = rs.build(rs.load(tmp_path / "b.route"))
    assert hold(graph, "it").routes_open == 1
    taken = f'{head}from "a.route" import more\n\nnet low in ladder {{ row keep[0, s4] }}\n'
    (tmp_path / "c.route").write_text(taken)
    with pytest.raises(rs.RouteError) as raised:
        rs.load(tmp_path / "c.route")
    assert [one.code for one in raised.value.diagnostics] == ["RS204"]


MESSY = """net   it in ladder{
with low,high   # two
everything;row keep[0..1,s4],down[0,s4]=1/2
without   low
without row keep[0,s4]
edge x[0,s4]->x[1,s8]  ->
  x[2,s8]
}
"""
NEAT = """net it in ladder {
  with low, high  # two
  everything
  row keep[0..1, s4], down[0, s4] = 1/2
  without low
  without row keep[0, s4]
  edge x[0, s4] -> x[1, s8] -> x[2, s8]
}
"""


def test_layout() -> None:
    assert rs.format(MESSY) == NEAT
    assert rs.format(NEAT) == NEAT
    assert parse(NEAT).items == parse(MESSY).items


def test_json() -> None:
    low = "net low in ladder { row keep[0, s4] }\nnet high in ladder { walk x[0, s4]: keep }"
    space = rs.loads(f"{LADDER}\n{NEAT}\n{low}")
    again = Space.from_json(space.to_json())
    assert again.nets == space.nets
    row = next(part for part in again.net("it").parts if isinstance(part, Row))
    assert row.weight is not None
