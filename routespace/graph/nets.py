"""Nets of a space: which routes they hold open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TypeAlias

from routespace.diagnostics import Findings, RouteError
from routespace.graph.dropped import no_gate, no_route
from routespace.graph.ir import RouteGraph
from routespace.graph.net_parts import declared_net, read_net
from routespace.space.expr import NetDecl
from routespace.space.fault import Fault
from routespace.space.routes import route_meant

Weights: TypeAlias = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Held:
    """A net as weights: for each gate of a graph one per route, 0 where the route is closed."""

    weights: dict[str, tuple[float, ...]]

    @property
    def routes_open(self) -> int:
        return sum(weight > 0 for weights in self.weights.values() for weight in weights)


def hold(graph: RouteGraph, net: str | NetDecl | Held | Weights) -> Held:
    """The net as weights of the gates of `graph`.

    `net` is the name of a net declared with the space, a declaration, or weights by node and route (those left out
    are closed). Raises `RouteError` (RS7xx) naming what does not fit, and `TypeError` for what is none of these.
    """
    if isinstance(net, Held):
        return net
    if not isinstance(net, (str, NetDecl, Mapping)):
        raise TypeError(f"a net is the name of one, or weights by node and route, not a {type(net).__name__}")
    findings = Findings({source.path: source for source in graph.space.sources} if graph.space else {})
    try:
        if isinstance(net, str):
            net = declared_net(graph, net)
        if isinstance(net, NetDecl):
            opened = read_net(graph, net, findings)
            findings.raise_errors()
            return _weights(graph, {route: one.weight for route, one in opened.items()})
        return _given(graph, net)
    except Fault as fault:
        fault.report(findings)
    raise RouteError(findings.diagnostics, findings.sources)


def all_open(graph: RouteGraph) -> Held:
    """Every route held open with weight 1."""
    return Held({gate.name: (1.0,) * len(gate.routes) for gate in graph.gates})


def _weights(graph: RouteGraph, opened: Mapping[str, float]) -> Held:
    """A net by the names of its routes; what one of several choices that share a gate opens, the gate opens."""
    held = {gate.name: [0.0] * len(gate.routes) for gate in graph.gates}
    for gate, routes in graph.routes_of.items():
        for route in routes:
            held[gate][route.index] = max(held[gate][route.index], opened.get(route.name, 0.0))
    return Held({gate: tuple(weights) for gate, weights in held.items()})


def _given(graph: RouteGraph, weights: Weights) -> Held:
    by_node: dict[str, dict[str, float]] = {}
    for gate in graph.gates:
        by_node.setdefault(gate.node, {}).update(dict.fromkeys(gate.routes, 0.0))
    for node, routes in weights.items():
        if node not in by_node:
            raise no_gate(graph, node, by_node)
        if not isinstance(routes, Mapping):
            raise _misheld(graph, node, f"node `{node}` is held at `{routes}`; a net says a weight for each route")
        for name, weight in routes.items():
            route = route_meant(name, by_node[node])
            if route is None:
                raise no_route(graph, node, name, by_node[node])
            held = f"route `{route}` of `{node}` is held at"
            if not isinstance(weight, Real):
                raise _misheld(graph, node, f"{held} a {type(weight).__name__}, not a number", route)
            if not weight >= 0:
                raise _misheld(graph, node, f"{held} {weight}; weights are not negative", route)
            if math.isinf(weight):
                raise _misheld(graph, node, f"{held} {weight}; weights are finite", route)
            by_node[node][route] = float(weight)
    return Held({gate.name: tuple(by_node[gate.node][route] for route in gate.routes) for gate in graph.gates})


def _misheld(graph: RouteGraph, node: str, message: str, route: str = "") -> Fault:
    """RS704 of a net given from outside, at the text of the route or the node that it is about."""
    made = graph.by_name.get(f"{node}.{route}")
    span = made.span if made is not None else next((one.span for one in graph.nodes if one.name == node), None)
    return Fault("RS704", message, span)
