"""Which value a name has inside ops: their parameters hide axes from themselves alone."""

from __future__ import annotations

import pytest

import routespace as rs
from routespace.graph.ir import Apply, Gate, Leaf, Op, Sequential


def leaves(op: Op) -> list[Leaf]:
    return [op] if isinstance(op, Leaf) else [leaf for part in op.parts for leaf in leaves(part)]


def values(text: str, entry: str, argument: str) -> list[list[object]]:
    """An argument of the ops `entry` in each value that has some."""
    graph = rs.build(rs.loads(f"space s {{\n  input image: 3\n{text}\n}}"))
    found: list[list[object]] = []
    for value in graph.values:
        op = value.op if isinstance(value, Apply) else value.body if isinstance(value, Gate) else Sequential(())
        here = [dict(leaf.args)[argument] for leaf in leaves(op) if leaf.entry == entry]
        found += [here] if here else []
    return found


NODE = "node at k {{ x = image | {} }}\noutput y = concat(x[0], x[1])"


@pytest.mark.parametrize(
    ("ops", "used", "wanted"),
    [
        ("op f(k) = scale(k) | g\nop g = scale(k)", "f(7) | g", [[7, 0, 0], [7, 1, 1]]),
        ("op f(k) = scale(k) | g\nop g = scale(w)", "f(7) | g", [[7, 8, 8], [7, 16, 16]]),
        ("op f(k) = scale(k) | scale(w)", "f(7)", [[7, 8], [7, 16]]),
        ("op f(n = k) = scale(n) | g(5)\nop g(k) = h | scale(k)\nop h = scale(k)", "f", [[0, 0, 5], [1, 1, 5]]),
        ("op f(k, inner) = scale(k) | inner\nop g = scale(w)", "f(7, g)", [[7, 8], [7, 16]]),
        ("op f(k, some) = scale(k) | sum(some)\nop g = scale(w)", "f(7, [g, relu])", [[7, 8], [7, 16]]),
    ],
)
def test_parameters_stand_for_axes_in_no_other_op(ops: str, used: str, wanted: list[list[object]]) -> None:
    text = f"axis k = 0..1 with w = 8 * (k + 1)\n{ops}\n{NODE.format(used)}"
    assert values(text, "scale", "weight") == wanted


def test_parameters_of_gates_stand_for_axes_in_no_op_of_their_bodies() -> None:
    text = """
      axis k = 0..1 with w = 8 * (k + 1)
      op own = conv(1, w)
      gate soft(k) per image { body mean | conv(k) | own | conv(1, routes, bias); activation relu_tanh }
      node at k {
        x = image | relu
        z = sum by soft(x, 3) { a: x | tanh; b: x | relu }
      }
      output y = concat(z[0], z[1])"""
    assert values(text, "conv", "channels") == [[None, 8, 2], [None, 16, 2]]
