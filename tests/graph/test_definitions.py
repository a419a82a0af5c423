"""Numbers and ops mean what they were declared as, wherever they are used."""

from __future__ import annotations

import pytest

import routespace as rs
from routespace.graph.ir import Apply, Leaf, RouteGraph, Sequential
from routespace.graph.nets import hold
from routespace.graph.text import dump
from tests.language.found import codes_of


def space(body: str, op: str, params: str = "") -> str:
    return f"space s{params} {{\n  input image: 3\n{body}\n  output y = image | {op}\n}}\n"


def leaves(text: str, **given: object) -> list[tuple[str, int]]:
    """Names and output channels of the ops that the output is made by."""
    graph: RouteGraph = rs.build(rs.loads(text, **given))  # type: ignore[arg-type]
    (value,) = [one for one in graph.values if isinstance(one, Apply)]
    parts = value.op.parts if isinstance(value.op, Sequential) else (value.op,)
    return [(one.entry, dict(one.args).get("channels") or 0) for one in parts if isinstance(one, Leaf)]


def test_a_parameter_of_an_op_does_not_reach_into_those_of_the_space() -> None:
    text = space("op f(width) = conv(1, total)", "f(100)", "(width = 8, total = 2 * width)")
    assert leaves(text) == [("conv", 16)]


def test_a_parameter_may_have_the_name_of_an_index() -> None:
    assert leaves(space("axis scale = p, q\nop f(q) = conv(1, q)", "f(7)")) == [("conv", 7)]


def test_an_op_handed_over_keeps_what_it_was_written_with() -> None:
    text = space("op both(fs, k = 5) = sum(fs)\nop f(k) = both([conv(1, k), conv(1, 2 * k) | conv(1, k)])", "f(3)")
    assert "conv(1, 3) + (conv(1, 6) | conv(1, 3))" in dump(rs.build(rs.loads(text)))


def test_names_of_ops_go_through_parameters() -> None:
    body = "op f(g) = g(8)\nop h(g) = f(g)\nop wide(c) = conv(1, c)"
    assert leaves(space(body, "h(wide)")) == [("conv", 8)]
    assert leaves(space(body, "h(a)", "(a = b, b = wide)")) == [("conv", 8)]


def test_lists_of_numbers() -> None:
    text = space("op f(cs, n) = conv(1, cs[n])", "f(widths, 1)", "(widths = [4, 8, 16])")
    assert codes_of(text) == {"RS301"}
    assert leaves(space("", "conv(1, widths[2]) | conv(1, max(widths))", "(widths = [4, 8, 16])")) == [
        ("conv", 16),
        ("conv", 16),
    ]


def test_gates_take_arguments_by_name() -> None:
    body = (
        "gate g(n = 4, m = 8) per image { body mean | conv(1, n) | conv(1, m) | conv(1, routes); activation sigmoid }"
    )
    text = space(f"{body}\noutput z = g(image, m = 5) * image", "relu")
    (gate,) = rs.build(rs.loads(text)).gates
    assert isinstance(gate.body, Sequential)
    assert [dict(one.args).get("channels") for one in gate.body.parts if isinstance(one, Leaf)] == [None, 4, 5, 1]


def test_parameters_of_a_gate_reach_its_activation_and_start() -> None:
    body = "gate g(t, a) per image { body mean | conv(1, routes, bias); activation geretanh(t); start bias(a) }"
    (gate,) = rs.build(rs.loads(space(f"{body}\noutput z = g(image, 2, 3) * image", "relu"))).gates
    assert (dict(gate.activation_args)["tau"], gate.start) == (2, 3.0)


def test_lets_lead_as_far_as_an_axis_is_long() -> None:
    text = space("let w[n] = 8 if n == 0 else w[n - 1] + 1", "conv(1, w[19000])")
    assert leaves(text) == [("conv", 19008)]


def test_lets_read_all_before() -> None:
    text = space("let w[n] = 1 if n == 0 else sum(w[m] for m in 0..n - 1)", "conv(1, w[10])")
    assert leaves(text) == [("conv", 512)]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("any(1, 2)", "RS303"),
        ("all([1])", "RS303"),
        ("sum(yes, yes)", "RS301"),
        ("max(yes, 3)", "RS301"),
        ("3 == yes", "RS301"),
        ("[1] < [2]", "RS301"),
    ],
)
def test_conditions_are_no_numbers(number: str, code: str) -> None:
    assert codes_of(space("", f"conv(1, 4 if {number} else 8)")) == {code}


def test_numbers_are_exact() -> None:
    assert leaves(space("", "conv(1, 0.1 * 3 * 10)")) == [("conv", 3)]
    assert leaves(space("", "conv(1, 2^-3 * 8 * 5)")) == [("conv", 5)]
    assert leaves(space("", "conv(1, 4^-1 * 16) | conv(1, 8 * 1.0)")) == [("conv", 4), ("conv", 8)]


def test_nets_of_nodes_on_other_axes_are_told_apart() -> None:
    gate = "gate g per image { body mean | conv(1, routes); activation sigmoid }"
    first = "axis a = 0..1\nnode at a { x = image if a == 0 else keep[a - 1]; send x by g(x) { keep: relu } }"
    second = "axis b = 0..1\nnode up at b { z = keep[1] if b == 0 else far[b - 1]; send z by g(z) { far: tanh } }"
    text = f"space s {{ input image: 3\n{gate}\n{first}\n{second}\noutput y = far[1] }}\n"
    graph = rs.build(rs.loads(text + "net n in s { walk x[0]: keep^2; walk z[0]: far^2 }\n"))
    assert hold(graph, "n").routes_open == 4
