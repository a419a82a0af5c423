"""The text dump of graphs: it says everything, and its ops read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import routespace as rs
from routespace.diagnostics import Findings
from routespace.graph.infer import infer
from routespace.graph.ir import Apply, Gate, Leaf, Merge, Op, Parallel, Route, RouteGraph, Sequential, Value
from routespace.graph.nets import all_open
from routespace.graph.ops import Resolver
from routespace.graph.passes.fix import fix
from routespace.graph.passes.guard import guard
from routespace.graph.places import resolve_axes
from routespace.graph.text import dump, leaf_args, op_text
from routespace.language.parser import parse
from routespace.space.expr import OpDecl
from routespace.space.numbers import Numbers
from routespace.space.registry import OPS
from routespace.space.scope import Scope
from routespace.space.shape import Shape
from routespace.testing.cases import random_case

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.route"))
SEEDS = range(25)


def settled(op: Op) -> Op:
    """`op` without empty and nested chains, every argument a number."""
    if isinstance(op, Leaf):
        return replace(op, args=tuple(leaf_args(op).items()), span=None)
    parts = tuple(settled(part) for part in op.parts)
    if isinstance(op, Parallel):
        return replace(op, parts=parts)
    flat = tuple(one for part in parts for one in (part.parts if isinstance(part, Sequential) else (part,)))
    return flat[0] if len(flat) == 1 else Sequential(flat)


def read_back(graph: RouteGraph, text: str, shape: Shape) -> Op:
    """The op that `text` is for an input of `shape` in the space of `graph`."""
    assert graph.space is not None
    (item,) = parse(f"op it = {text}").items
    assert isinstance(item, OpDecl)
    scope = Scope.of(graph.space)
    numbers = Numbers(scope)
    resolve_axes(scope, numbers, Findings())
    op, _ = Resolver(scope, numbers, infer(graph, (192, 256)).sizes).resolve(item.value, {}, shape)
    return op


def assert_ops_read_back(graph: RouteGraph) -> int:
    shapes = infer(graph, (192, 256)).shapes
    count = 0
    for value in graph.values:
        op = (
            value.body if isinstance(value, Gate) else value.op if isinstance(value, (Apply, Route)) else Sequential(())
        )
        if op == Sequential(()) or (isinstance(op, Leaf) and OPS[op.entry].variadic):
            continue
        assert settled(read_back(graph, op_text(graph, op), shapes[value.args[0]])) == settled(op)
        count += 1
    return count


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_ops_of_the_examples_read_back(path: Path) -> None:
    assert assert_ops_read_back(rs.build(rs.load(path))) > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_ops_of_random_spaces_read_back(seed: int) -> None:
    assert assert_ops_read_back(random_case(seed).graph) > 0


def test_an_op_spelled_wrongly_would_be_seen() -> None:
    graph = random_case(0).graph
    value = next(value for value in graph.values if isinstance(value, Gate))
    shape = infer(graph, (192, 256)).shapes[value.args[0]]
    wrong = read_back(graph, op_text(graph, value.body) + " | relu", shape)
    assert settled(wrong) != settled(value.body)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_line_for_each_value_and_the_same_again(seed: int) -> None:
    graph = guard(random_case(seed).graph)
    text = dump(graph)
    lines = text.split("\n\n")[1].splitlines()
    assert len(lines) == len(graph.values) == len(set(lines))
    assert text == dump(guard(rs.build(random_case(seed).space)))
    for value, line in zip(graph.values, lines, strict=True):
        assert all(arg in line for arg in value.args) and value.name.removeprefix("output.") in line


def changed(graph: RouteGraph, name: str, **changes: object) -> str:
    """The dump after a change to one value."""
    values = tuple(
        replace(value, **changes) if value.name == name else value  # type: ignore[arg-type]
        for value in graph.values
    )
    return dump(replace(graph, values=values))


def test_everything_that_makes_a_difference_is_said() -> None:
    graph = guard(rs.build(rs.load(rs.example("small"))))
    text = dump(graph)

    def first(kind: type[Value]) -> str:
        return next(value.name for value in graph.values if isinstance(value, kind))

    route, gate, merge, apply = first(Route), first(Gate), first(Merge), first(Apply)
    others = [
        changed(graph, route, closed=None),
        changed(graph, route, sends=False),
        changed(graph, route, guard=()),
        changed(graph, gate, below=0.25),
        changed(graph, gate, start=None),
        changed(graph, gate, activation="sigmoid", activation_args=()),
        changed(graph, merge, arrives=False),
        changed(graph, merge, kind="max"),
        changed(graph, apply, op=Sequential(())),
        changed(graph, apply, weights="shared.x"),
        changed(graph, gate, granularity="position"),
        dump(replace(graph, policies=replace(graph.policies, live_training="always"))),
        dump(replace(graph, policies=replace(graph.policies, init="normal", init_args=(("std", 0.5),)))),
    ]
    assert len({text, *others}) == 1 + len(others)


def test_shapes_are_told_at_a_size() -> None:
    graph = rs.build(rs.load(EXAMPLES[-1]))
    lines = dump(graph, (96, 128)).splitlines()
    assert "input image: 3  # 3 channels at stride 1 (96x128)" in lines
    assert sum("  # " in line for line in lines) == len(graph.values)


def test_fixed_graphs_and_merges_of_every_kind_are_written() -> None:
    graph = rs.build(
        rs.loads("""space s {
      input image: 3
      axis layer = 0..1
      gate g per image {
        body mean | conv(1, routes, bias)
        activation geretanh(2.5)
      }
      node at layer {
        x = image | conv(3, 4, groups = 1) if layer == 0 else concat(a[layer - 1], b[layer - 1])
        send x by g(x) {
          a: resize(by = 1/2) | max(relu, avgpool(3), sigmoid + tanh)
          b: conv(4, 8, 2, pad = 1, dilation = 1) | groupnorm(2)
        }
      }
      output y = max(a[1], a[1] | relu)
      budget ratio(expected / maximum, weight = 0.5)
    }""")
    )
    text = dump(graph)
    assert "budget ratio(expected / maximum, weight = 0.5, start = 0, ramp = 0)" in text
    assert "layer1.x = arriving concat(layer0.a, layer0.b)" in text
    assert "resize(by = 1/2) | max(relu, avgpool(3), sigmoid + tanh)" in text
    assert "conv(4, 8, stride = 2) | groupnorm(2)" in text
    assert "by geretanh(tau = 2.5) over a, b" in text or "by geretanh(tau = 2.5) over a" in text
    assert " gates" in dump(fix(graph, all_open(graph)))
