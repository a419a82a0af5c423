"""Nodes and routes that a text declares and its graph lacks: why, where something asks for one of them by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from routespace.diagnostics import Findings, Span, listed, rename
from routespace.graph.ir import RouteGraph
from routespace.graph.kept import kept
from routespace.graph.places import Place, places_of, resolve_axes
from routespace.space.expr import Branch, Choice
from routespace.space.fault import Fault
from routespace.space.numbers import Numbers
from routespace.space.scope import Scope, streams_of


def dropped_at(graph: RouteGraph, stream: str, index: tuple[int, ...]) -> Place | None:
    """The node that makes `stream` at `index` in the text of `graph`, where the graph lacks it."""
    return _declared(graph).at.get((stream, index))


def no_gate(graph: RouteGraph, node: str, known: Iterable[str]) -> Fault:
    """RS702: `node` is none of those `known` to have gates."""
    place = _place(graph, node)
    if place is None:
        span = graph.space.declaration.span if graph.space else None
        message = f"there is no node `{node}` with a gate"
        return Fault("RS702", message, span, "in this space", help=rename(node, known))
    if any(one.name == node for one in graph.nodes):
        return Fault("RS702", f"node `{node}` has no gate", place.declaration.span)
    return Fault("RS702", f"node `{node}` is dropped: {why_dropped(graph, node)}", place.declaration.span)


def no_route(graph: RouteGraph, node: str, route: str, known: Iterable[str], span: Span | None = None) -> Fault:
    """RS702: `route` is none of those `known` at `node`; it is asked for at `span`, if in a text."""
    place = _place(graph, node)
    branches = list(_branches(place)) if place is not None else []
    known = list(known)
    branch = next((one for one in branches if one.name == route), None)
    if place is not None and branch is not None:
        message = f"route `{route}` is dropped at node `{node}`: {_why(graph, place, branch)}"
        places = [(span, ""), (branch.span, "declared here")] if span else [(branch.span, "declared here")]
    else:
        message = f"node `{node}` has no route `{route}`"
        places = [(span, ""), *((one.span, "its routes are here") for one in branches[:1])][span is None :]
    help = rename(route, known) or (f"it has {listed(known)}" if known else None)
    (first, label), *others = places or [(None, "")]
    return Fault("RS702", message, first, label, others=others, help=help)


def why_dropped(graph: RouteGraph, node: str) -> str:
    """Why a node that stands in the text of `graph` is not in it."""
    is_whole = graph.sizing is None or all(one.name != node for one in graph.sizing.nodes)
    return "no output reads what it makes" if is_whole else _TAKEN_OUT


def _why(graph: RouteGraph, place: Place, branch: Branch) -> str:
    """Why a branch of a place that stands in the text is no route of the graph."""
    if graph.sizing is not None and f"{place.name}.{branch.name}" in graph.sizing.by_name:
        return _TAKEN_OUT
    if branch.where is not None and not _numbers(graph).truth(branch.where, place.env):
        return "its condition does not hold there"
    return "nothing reads it there"


def _place(graph: RouteGraph, node: str) -> Place | None:
    return _declared(graph).by_name.get(node)


@dataclass(frozen=True)
class _Declared:
    """The places of a text, by their names and by what they make."""

    by_name: dict[str, Place]
    at: dict[tuple[str, tuple[int, ...]], Place]


@kept
def _declared(graph: RouteGraph) -> _Declared:
    """What the text of `graph` declares."""
    places = []
    if graph.space is not None:
        numbers = _numbers(graph)
        places = places_of(numbers.scope, numbers, Findings())
    streams = {id(one.declaration): streams_of(one.declaration) for one in places}
    at = {(stream, one.index): one for one in reversed(places) for stream in streams[id(one.declaration)]}
    return _Declared({one.name: one for one in reversed(places)}, at)


def _numbers(graph: RouteGraph) -> Numbers:
    assert graph.space is not None
    scope = Scope.of(graph.space)
    numbers = Numbers(scope)
    resolve_axes(scope, numbers, Findings())
    return numbers


def _branches(place: Place) -> Iterator[Branch]:
    for part in place.declaration.body:
        if isinstance(part, Choice):
            yield from part.branches


_TAKEN_OUT = "this module was made without it"
