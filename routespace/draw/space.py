"""A RouteGraph as a `Grid`: its nodes on their axes, its routes as lines, a net or a routing as their thickness."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from routespace.draw.grid import Grid, GridEdge, GridNode, State
from routespace.graph.dropped import no_gate, no_route
from routespace.graph.ir import Gate, Input, Node, Output, Route, RouteGraph, Value
from routespace.graph.nets import Held
from routespace.graph.passes.guard import guard
from routespace.graph.simulate import simulate
from routespace.space.fault import Fault

Weights: TypeAlias = Mapping[str, Mapping[str, float]]
"""By node and route, for one image; NaN where the gate was not asked for."""

NEITHER = "in neither"

Places: TypeAlias = dict[str, tuple[int, int]]


def grid_of(graph: RouteGraph, weights: Weights | None = None, title: str = "") -> Grid:
    """The nodes and routes of `graph`, with the inputs before and the outputs behind them.

    Where all nodes stand on the same axes, the axis along which every route moves forward runs to the right and the
    others downwards; other spaces are laid out by how far a node is from the inputs. With `weights`, lines are as thick
    as their routes, and a node that no weights are given for counts as not reached. Raises ValueError for weights of a
    node or route that is not there.
    """
    if weights is not None:
        _check(graph, weights)
    found = _edges(graph, weights)
    layout = _on_axes(graph.nodes, found) or _by_distance(graph.nodes, found)
    places, first_column = _with_ends(graph, layout.places, found)
    states = {node.name: _state(graph, node.name, weights) for node in graph.nodes}
    nodes = tuple(GridNode(name, column, row, states.get(name, "plain")) for name, (column, row) in places.items())
    columns = ("in",) * first_column + layout.columns + ("out",)
    return Grid(nodes, found, layout.rows, columns if layout.columns else (), title)


def difference_of(graph: RouteGraph, nets: tuple[Held, Held], names: tuple[str, str], title: str = "") -> Grid:
    """Two nets over the space that both are of: routes of both, of the one and of the other, each kind in its colour.

    Nodes that only one of them runs are drawn closed. A net beside itself is all of one kind.
    """
    grids = [grid_of(graph, net_weights(graph, held)) for held in nets]
    kinds = ("in both", f"only in {names[0]}", f"only in {names[1]}")
    edges = [_beside(one, other, kinds) for one, other in zip(*(grid.edges for grid in grids), strict=True)]
    nodes = (_joined(one, other) for one, other in zip(*(grid.nodes for grid in grids), strict=True))
    rank = {kind: place for place, kind in enumerate((*kinds, "", NEITHER))}
    ordered = tuple(sorted(edges, key=lambda edge: rank.get(edge.kind, len(kinds))))
    return replace(grids[0], nodes=tuple(nodes), edges=ordered, title=title)


def _beside(one: GridEdge, other: GridEdge, kinds: tuple[str, str, str]) -> GridEdge:
    """One route in two nets; what no gate decides stays what it is."""
    weights = [edge.weight for edge in (one, other)]
    if one.kind == other.kind and weights[0] is weights[1] is None:
        return one
    first, second = (1.0 if weight is None else weight for weight in weights)
    if not first > 0 and not second > 0:
        return replace(one, weight=0.0, kind=NEITHER)
    kind = kinds[0] if first > 0 and second > 0 else kinds[1] if first > 0 else kinds[2]
    return replace(one, weight=max(first, second), kind=kind)


def _joined(one: GridNode, other: GridNode) -> GridNode:
    order: tuple[State, ...] = ("plain", "unreached", "closed", "open")
    least, most = sorted((one.state, other.state), key=order.index)
    return replace(one, state="closed" if most == "open" != least else most)


def net_weights(graph: RouteGraph, held: Held) -> dict[str, dict[str, float]]:
    """The weights at which a net holds the routes of `graph`; NaN for nodes that nothing, or only zeros, reach."""
    opened = {
        gate: frozenset(place for place, weight in enumerate(weights) if weight > 0)
        for gate, weights in held.weights.items()
    }
    ran = simulate(guard(replace(graph, policies=replace(graph.policies, live_inference="by_route"))), opened)
    found: dict[str, dict[str, float]] = {}
    for gate in graph.gates:
        weights = held.weights[gate.name] if gate.name in ran else (math.nan,) * len(gate.routes)
        found.setdefault(gate.node, {}).update(zip(gate.routes, weights, strict=True))
    return found


def _check(graph: RouteGraph, weights: Weights) -> None:
    known = _routes_by_node(graph)
    for node, routes in weights.items():
        if node not in known:
            raise _refused(no_gate(graph, node, known))
        for route in routes:
            if route not in known[node]:
                raise _refused(no_route(graph, node, route, known[node]))


def _refused(fault: Fault) -> ValueError:
    return ValueError(f"{fault.message}; {fault.fix.text}" if fault.fix.text else fault.message)


def _routes_by_node(graph: RouteGraph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for gate in graph.gates:
        found.setdefault(gate.node, []).extend(gate.routes)
    return found


# ---- routes ----------------------------------------------------------------------------------------------------------


def _edges(graph: RouteGraph, weights: Weights | None) -> tuple[GridEdge, ...]:
    """What nodes, inputs and outputs read of each other; routes before plain streams."""
    routes: dict[tuple[str, str], GridEdge] = {}
    streams: dict[tuple[str, str], GridEdge] = {}
    for value in graph.values:
        target = _owner(value)
        for arg in value.args:
            read = graph.by_name[arg]
            source = _owner(read)
            if source == target:
                continue
            if isinstance(read, Route) and read.sends:
                routes.setdefault((arg, target), _route_edge(graph, read, target, weights))
            else:
                kind = "input" if isinstance(read, Input) else "stream"
                streams.setdefault((arg, target), GridEdge(source, target, None, kind))
    return (*routes.values(), *streams.values())


def _owner(value: Value) -> str:
    """The dot that a value belongs to: its node, or the input or output that it is made for."""
    if isinstance(value, Output):
        return f"outputs.{value.key.split('.', 1)[0]}"
    return value.name if isinstance(value, Input) else value.node


def _route_edge(graph: RouteGraph, route: Route, target: str, weights: Weights | None) -> GridEdge:
    gate = graph.by_name[route.gate]
    assert isinstance(gate, Gate)
    slot = gate.routes[route.index]
    if weights is None:
        return GridEdge(route.node, target, None, slot)
    given = weights.get(route.node, {})
    mine = [given.get(name, math.nan) for name in gate.routes]
    if any(math.isnan(weight) for weight in mine):
        return GridEdge(route.node, target, 0.0, slot)
    is_closed = not any(weight > 0 for weight in mine) or sum(mine) < gate.below
    if is_closed and route.closed is not None:
        return GridEdge(route.node, target, None, "passed on")
    return GridEdge(route.node, target, 0.0 if is_closed else mine[route.index], slot)


def _state(graph: RouteGraph, node: str, weights: Weights | None) -> State:
    gates = [gate for gate in graph.gates if gate.node == node]
    if weights is None or not gates:
        return "plain"
    mine = [weights.get(node, {}).get(route, math.nan) for gate in gates for route in gate.routes]
    asked = [weight for weight in mine if not math.isnan(weight)]
    if not asked:
        return "unreached"
    return "open" if any(weight > 0 for weight in asked) else "closed"


# ---- places ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    places: Places
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()


def _on_axes(nodes: tuple[Node, ...], edges: tuple[GridEdge, ...]) -> _Layout | None:
    """Columns are the indices of the axis that routes move along, rows the declarations and the other indices."""
    axes = [axis for axis, _ in nodes[0].index] if nodes else []
    if not axes or any([axis for axis, _ in node.index] != axes for node in nodes):
        return None
    index = {node.name: [ordinal for _, ordinal in node.index] for node in nodes}
    steps = [(index[edge.source], index[edge.target]) for edge in edges if {edge.source, edge.target} <= index.keys()]
    forward = next((at for at in range(len(axes)) if all(a[at] < b[at] for a, b in steps)), None)
    if forward is None:
        return None
    lanes: dict[str, tuple[str, tuple[int, ...], str]] = {}
    for node in nodes:
        parts = node.name.split(".")
        family, labels = ".".join(parts[: -len(axes)]), parts[-len(axes) :]
        across = tuple(ordinal for at, ordinal in enumerate(index[node.name]) if at != forward)
        label = ".".join(filter(None, [family, *(one for at, one in enumerate(labels) if at != forward)]))
        lanes[node.name] = (family, across, label)
    families = list(dict.fromkeys(family for family, _, _ in lanes.values()))
    rows = sorted(set(lanes.values()), key=lambda lane: (families.index(lane[0]), lane[1]))
    steps_along = sorted({at[forward] for at in index.values()})
    names = {index[node.name][forward]: node.name.split(".")[forward - len(axes)] for node in nodes}
    places = {node.name: (steps_along.index(index[node.name][forward]), rows.index(lanes[node.name])) for node in nodes}
    return _Layout(places, tuple(names[step] for step in steps_along), tuple(label for _, _, label in rows))


def _by_distance(nodes: tuple[Node, ...], edges: tuple[GridEdge, ...]) -> _Layout:
    """Columns count the longest way from nodes that read none; rows are the order of declaration."""
    column = {node.name: 0 for node in nodes}
    between = [(edge.source, edge.target) for edge in edges if {edge.source, edge.target} <= column.keys()]
    for _ in nodes:
        moved = [(a, b) for a, b in between if column[b] <= column[a]]
        if not moved:
            break
        for a, b in moved:
            column[b] = max(column[b], column[a] + 1)
    filled: dict[int, int] = {}
    places: Places = {}
    for name, at in column.items():
        places[name] = (at, filled.get(at, 0))
        filled[at] = filled.get(at, 0) + 1
    return _Layout(places)


def _with_ends(graph: RouteGraph, inner: Places, edges: tuple[GridEdge, ...]) -> tuple[Places, int]:
    """`inner` one column to the right, with inputs before it and outputs behind it; the number of columns added before.

    An end stands in the row of the first node that it is joined to, or in the next one that is free.
    """
    last = max((column for column, _ in inner.values()), default=-1)
    inputs = [value.name for value in graph.values if isinstance(value, Input)]
    outputs = list(dict.fromkeys(_owner(value) for value in graph.values if isinstance(value, Output)))
    shift = 1 if inputs else 0
    places = {name: (column + shift, row) for name, (column, row) in inner.items()}
    for names, column in ((inputs, 0), (outputs, last + 1 + shift)):
        taken: set[int] = set()
        for name in names:
            joined = {end for edge in edges if name in (edge.source, edge.target) for end in (edge.source, edge.target)}
            row = min((inner[end][1] for end in joined & inner.keys()), default=0)
            while row in taken:
                row += 1
            taken.add(row)
            places[name] = (column, row)
    return places, shift
