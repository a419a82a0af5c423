"""The verifier names the value that breaks a graph, whatever a pass may have done to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

import routespace as rs
from routespace.graph.build import build
from routespace.graph.ir import IDENTITY, Gate, Leaf, Output, Parallel, Route, RouteGraph, Sequential, Value
from routespace.graph.verify import BrokenGraph, verify

GRAPH = build(rs.load(rs.example("small")))
ROUTE = next(value for value in GRAPH.values if isinstance(value, Route))


def changed(kind: type[Value], **fields: Any) -> RouteGraph:
    """The graph with fields of its first value of a kind changed."""
    values = list(GRAPH.values)
    place = next(place for place, value in enumerate(values) if isinstance(value, kind))
    values[place] = replace(values[place], **fields)
    return replace(GRAPH, values=tuple(values))


def reordered(order: Callable[[tuple[Value, ...]], tuple[Value, ...]]) -> RouteGraph:
    return replace(GRAPH, values=order(GRAPH.values))


UNKNOWN = Leaf("no_such_op", (), ())

BROKEN: dict[str, Callable[[], RouteGraph]] = {
    "does not stand before it": lambda: reordered(lambda values: values[::-1]),
    "is defined twice": lambda: reordered(lambda values: values[:3] + values[2:]),
    "has no output": lambda: reordered(lambda values: tuple(v for v in values if not isinstance(v, Output))),
    "which is no stream": partial(changed, Output, args=(ROUTE.gate,)),
    "which is no gate": partial(changed, Route, gate=ROUTE.source),
    "has no logit": partial(changed, Route, index=9),
    "has no activation": partial(changed, Gate, activation="tangent"),
    "names its routes twice": partial(changed, Gate, routes=("keep", "keep")),
    "which is not registered": partial(changed, Route, op=Sequential((IDENTITY, UNKNOWN))),
    "puts ops side by side": partial(changed, Route, op=Parallel((IDENTITY,))),
    "reads more or less than one stream": partial(changed, Output, args=()),
}


def test_a_graph_that_was_built_is_well_formed() -> None:
    assert verify(GRAPH) is GRAPH


@pytest.mark.parametrize("problem", BROKEN)
def test_what_is_broken_is_named(problem: str) -> None:
    with pytest.raises(BrokenGraph, match=problem):
        verify(BROKEN[problem]())
