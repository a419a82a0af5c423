"""Pruning: the graph of a space without the ops of some routes, with gates that still tell when one is wanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from routespace.graph.ir import IDENTITY, Gate, Input, Output, Route, RouteGraph, Value
from routespace.graph.order import reads


def prune(graph: RouteGraph, routes: Collection[str]) -> RouteGraph:
    """`graph` where `routes`, by name, are `pruned`: they have no op, and what only they read is left out.

    Gates stay whole: an image that one of them sends along a pruned route is not answered by what is left. Routes that
    nothing reads are never run and stay as they are.
    """
    values = [_pruned(graph, value) if value.name in routes else value for value in graph.values]
    if all(new is old for new, old in zip(values, graph.values, strict=True)):
        return graph
    kept = _needed(graph, values)
    return replace(graph, values=tuple(values[at] for at in sorted(kept)), sizing=graph.sizing or graph)


def _pruned(graph: RouteGraph, value: Value) -> Value:
    if not isinstance(value, Route) or value.pruned or not graph.readers[value.name]:
        return value
    (source,) = graph.by_name[value.gate].args
    return replace(value, op=IDENTITY, source=source, weights="", pruned=True)


def _needed(graph: RouteGraph, values: list[Value]) -> set[int]:
    """Places of the values that outputs and gates need, and of routes that nothing reads. All gates are needed."""
    wanted: set[str] = set()
    kept: set[int] = set()
    for at in reversed(range(len(values))):
        value = values[at]
        is_unread = isinstance(value, Route) and not graph.readers[value.name]
        if value.name in wanted or is_unread or isinstance(value, (Output, Input, Gate)):
            kept.add(at)
            wanted.update(reads(value))
    return kept
