"""What the statements of nodes become: what gates read, and what arrives from elsewhere."""

from __future__ import annotations

import pytest

from routespace import Space, loads
from routespace.diagnostics import Findings
from routespace.graph.build import build
from routespace.graph.ir import Gate, Merge, Route, RouteGraph

GATE = "gate soft(n = 0) per image { body mean | conv(1 + 2 * n, 4 + n) | conv(1, routes, bias); activation relu_tanh }"


def graph_of(text: str) -> RouteGraph:
    return build(loads(text))


def origins(graph: RouteGraph, name: str) -> set[str]:
    """The streams of other nodes that a value is made of."""
    value = graph.by_name[name]
    if isinstance(value, Merge) and value.arrives:
        return set(value.args)
    return {found for arg in value.args for found in origins(graph, arg)}


@pytest.mark.parametrize("variable", ["k", "layer"])
@pytest.mark.parametrize(
    "term",
    [
        "soft(x[VAR], n = VAR) * (x[VAR] | conv(3))",
        "(sum by soft(x[VAR], n = VAR) { only: x[VAR] } closed = x[VAR] below VAR / 10)",
    ],
)
def test_gates_and_closed_rules_read_what_the_loop_around_them_says(term: str, variable: str) -> None:
    graph = graph_of(
        f"""space s {{
          input image: 3
          axis layer = 0..1
          {GATE}
          node p at layer {{ x = image | conv(3, 8) }}
          node q {{ y = sum({term.replace("VAR", variable)} for {variable} in 0..1) }}
          output o = y
        }}"""
    )
    seen = []
    for route in (value for value in graph.values if isinstance(value, Route)):
        gate = graph.by_name[route.gate]
        assert isinstance(gate, Gate)
        (stream,) = origins(graph, gate.name)
        assert origins(graph, route.source) == {stream}
        number = int(stream.split(".")[1].removeprefix("layer"))
        if route.closed is not None:
            assert origins(graph, route.closed) == {stream}
            assert gate.below == number / 10
        assert graph.by_name[gate.name].body.parts[1].args[0] == ("kernel", 1 + 2 * number)  # type: ignore[union-attr]
        seen.append(number)
    assert seen == [0, 1]


@pytest.mark.parametrize(
    ("name", "reader"), [("", "fuse "), ("", ""), ("a ", "a "), ("layer ", "")], ids=["apart", "bare", "alike", "axis"]
)
def test_what_arrives_does_not_depend_on_what_nodes_are_called(name: str, reader: str) -> None:
    graph = graph_of(
        f"""space s {{
          input image: 3
          axis layer = 0..1
          axis scale = s4, s8 with stride = 4 * 2^scale
          {GATE}
          node {name}at layer, scale {{
            x = image | conv(3, 8, stride = 4 * 2^scale)
            send x by soft(x) {{ r: conv(3) }}
          }}
          node {reader}at layer {{ z = r[layer, s4] | conv(3, bias) }}
          output o = z[0] + z[1]
        }}"""
    )
    prefix = f"{name.strip()}." if name else ""
    arriving = {value.args for value in graph.values if isinstance(value, Merge) and value.arrives}
    assert {(f"{prefix}layer0.s4.r",), (f"{prefix}layer1.s4.r",)} <= arriving


@pytest.mark.parametrize("code", ["RS901", "RS902", "RS913"])
def test_a_space_from_json_has_the_warnings_of_its_text(code: str) -> None:
    space = loads(
        f"""space s {{
          input image: 3
          axis layer = 0..3
          {GATE}
          node at layer {{
            x = image if layer == 0 else keep[layer - 1]
            y = x | relu
            send x by soft(x) {{ keep: relu; up: tanh }}
          }}
          output o = keep[2]
        }}"""
    )
    counts = []
    for one in (space, Space.from_json(space.to_json())):
        findings = Findings()
        build(one, findings)
        counts.append([found.message for found in findings.diagnostics if found.code == code])
    assert len(counts[0]) == 1
    assert counts[0] == counts[1]
