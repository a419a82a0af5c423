"""Nets of a space: which routes they hold open."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from routespace.diagnostics import Findings, RouteError, did_you_mean
from routespace.graph.fault import Fault
from routespace.graph.ir import Output, Route, RouteGraph
from routespace.graph.numbers import Numbers
from routespace.graph.places import resolve_axes
from routespace.graph.scope import Scope
from routespace.space.expr import Expr, Name, NetDecl, Range, Row, Walk

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
    are closed). Raises `RouteError` (RS7xx) naming what does not fit.
    """
    if isinstance(net, Held):
        return net
    findings = Findings({source.path: source for source in graph.space.sources} if graph.space else {})
    try:
        if isinstance(net, str):
            net = _declared(graph, net)
        if isinstance(net, NetDecl):
            return _Reader(graph).held(net, findings)
        return _given(graph, net)
    except Fault as fault:
        fault.report(findings)
    raise RouteError(findings.diagnostics, findings.sources)


def all_open(graph: RouteGraph) -> Held:
    """Every route held open with weight 1."""
    return Held({gate.name: (1.0,) * len(gate.routes) for gate in graph.gates})


def _declared(graph: RouteGraph, name: str) -> NetDecl:
    nets = {net.name: net for net in graph.space.nets} if graph.space else {}
    if name not in nets:
        raise Fault("RS701", f"space `{graph.name}` has no net `{name}`", help=did_you_mean(name, nets))
    return nets[name]


def _given(graph: RouteGraph, weights: Weights) -> Held:
    by_node: dict[str, dict[str, float]] = {}
    for gate in graph.gates:
        by_node.setdefault(gate.node, {}).update(dict.fromkeys(gate.routes, 0.0))
    for node, routes in weights.items():
        if node not in by_node:
            raise Fault("RS702", f"there is no node `{node}` with a gate", help=did_you_mean(node, by_node))
        for route, weight in routes.items():
            if route not in by_node[node]:
                raise Fault("RS702", f"node `{node}` has no route `{route}`", help=did_you_mean(route, by_node[node]))
            if not weight >= 0:
                raise Fault("RS704", f"route `{route}` of `{node}` is held at {weight}; weights are not negative")
            by_node[node][route] = float(weight)
    return Held({gate.name: tuple(by_node[gate.node][route] for route in gate.routes) for gate in graph.gates})


class _Reader:
    """Reads the parts of a net declaration against a graph."""

    def __init__(self, graph: RouteGraph) -> None:
        assert graph.space is not None
        self.graph = graph
        self.scope = Scope.of(graph.space)
        self.numbers = Numbers(self.scope)
        resolve_axes(self.scope, self.numbers, Findings())
        self.node_at = {
            (tuple(axis for axis, _ in node.index), tuple(at for _, at in node.index)): node.name
            for node in graph.nodes
        }
        self.names = set(self.node_at.values())
        self.open: dict[str, set[int]] = {gate.name: set() for gate in graph.gates}

    def held(self, net: NetDecl, findings: Findings) -> Held:
        for part in net.parts:
            try:
                if isinstance(part, Walk):
                    self.walk(part)
                else:
                    self.row(part)
            except Fault as fault:
                fault.report(findings)
        findings.raise_errors()
        return Held(
            {
                gate.name: tuple(1.0 if place in self.open[gate.name] else 0.0 for place in range(len(gate.routes)))
                for gate in self.graph.gates
            }
        )

    def walk(self, walk: Walk) -> None:
        index = tuple(self.numbers.integer(part, {}) for part in walk.start.at)
        node = self.at(walk.start.name, index)
        if node is None:
            raise Fault("RS703", "the walk starts off the grid", walk.start.span, self.whereabouts(walk.start.name))
        for step in walk.steps:
            times = 1 if step.times is None else self.numbers.integer(step.times, {})
            if not 1 <= times <= len(self.graph.nodes):
                raise Fault("RS703", f"`{step.route}` is taken {times} times", step.span, "at least once is possible")
            for _ in range(times):
                if node is None:
                    raise Fault("RS703", f"the walk goes on with `{step.route}` behind the output", step.span)
                node = self.follow(self.route(node, step.route, step.span))

    def follow(self, route: Route) -> str | None:
        """Opens a route; the node it leads to, None where only outputs read it."""
        self.open[route.gate].add(route.index)
        for reader in self.graph.readers[route.name]:
            value = self.graph.by_name[reader]
            if not isinstance(value, Output) and value.node in self.names:
                return value.node
        return None

    def at(self, stream: str, index: tuple[int, ...]) -> str | None:
        """The node that makes `stream` at `index`, if there is one and something reads it."""
        return self.node_at.get((self.scope.stream_axes.get(stream, ()), index))

    def shown(self, stream: str, index: tuple[int, ...]) -> str:
        """An index in words."""
        names = self.scope.stream_axes.get(stream, ())
        if len(names) != len(index):
            return f"an index of {len(index)}"
        pairs = zip((self.scope.axes[name] for name in names), index, strict=True)
        return ", ".join(axis.label(at) if at in axis else f"{axis.name} {at}" for axis, at in pairs)

    def whereabouts(self, stream: str) -> str:
        axes = self.scope.stream_axes.get(stream)
        return f"`{stream}` is at [{', '.join(axes)}], and no node is at this index" if axes else ""

    def route(self, node: str, name: str, span: Any) -> Route:
        value = self.graph.by_name.get(f"{node}.{name}")
        if not isinstance(value, Route):
            here = [
                route.name.rsplit(".", 1)[-1]
                for route in self.graph.values
                if isinstance(route, Route) and route.node == node
            ]
            raise Fault(
                "RS702",
                f"node `{node}` has no route `{name}`",
                span,
                help=did_you_mean(name, here) or (f"it has {', '.join(here)}" if here else None),
            )
        return value

    def row(self, row: Row) -> None:
        for index in row.routes:
            for place in itertools.product(*(self.ordinals(part) for part in index.at)):
                node = self.at(index.name, place)
                if node is None:
                    shown = self.shown(index.name, place)
                    message = f"`{index.name}` is opened off the grid, at {shown}"
                    raise Fault("RS703", message, index.span, self.whereabouts(index.name))
                self.follow(self.route(node, index.name, index.span))

    def ordinals(self, part: Expr) -> list[int]:
        if isinstance(part, Range):
            low, high = self.numbers.integer(part.low, {}), self.numbers.integer(part.high, {})
            if high < low or high - low > 20_000:
                raise Fault("RS703", f"the range {low}..{high} opens nothing", part.span)
            return list(range(low, high + 1))
        if isinstance(part, Name) and part.id in self.scope.axes:
            axis = self.scope.axes[part.id]
            return list(range(axis.low, axis.high + 1))
        return [self.numbers.integer(part, {})]
