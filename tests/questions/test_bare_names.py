"""Nets of nodes without axes: what is printed of them is read back."""

from __future__ import annotations

import pytest

import routespace as rs
from routespace.graph.nets import hold
from routespace.questions.written import write_net

TEXT = """space s {
  input image: 3
  gate g per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node n {
    x = image | conv(1, 1)
    send x by g(x) { a: relu; b: gelu }
  }
  node m { z = a + b }
  output y = z
}
"""


@pytest.mark.parametrize(
    ("part", "weights"),
    [
        ("row a", (1.0, 0.0)),
        ("row a, b", (1.0, 1.0)),
        ("row b = 0.5", (0.0, 0.5)),
        ("walk x: b", (0.0, 1.0)),
        ("everything\n  without row b", (1.0, 0.0)),
    ],
)
def test_routes_without_an_index_are_named(part: str, weights: tuple[float, ...]) -> None:
    text = f"{TEXT}\nnet one in s {{\n  {part}\n}}\n"
    space = rs.loads(text)
    assert hold(rs.build(space), space.net("one")).weights == {"n.gate": weights}
    assert rs.format(text).endswith(f"{part}\n}}\n")
    assert rs.Space.from_json(space.to_json()) == space


def test_what_is_written_of_a_net_is_read_back() -> None:
    written = write_net(rs.build(rs.loads(TEXT)), "one", ["n.a"])
    space = rs.loads(f"{TEXT}\n{written}\n")
    assert hold(rs.build(space), space.net("one")).weights == {"n.gate": (1.0, 0.0)}


def test_an_index_is_asked_for_where_there_are_axes() -> None:
    with pytest.raises(rs.RouteError, match="RS304"):
        space = rs.loads(rs.example("small").read_text(encoding="utf-8") + "\nnet one in small { row keep }\n")
        hold(rs.build(space), space.net("one"))
