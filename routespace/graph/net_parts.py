"""The parts of a declared net, read against a graph: which routes they open, at which weight, and who says so."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from routespace.diagnostics import Findings, Span, rename
from routespace.graph.dropped import dropped_at, no_route, why_dropped
from routespace.graph.ir import Output, Route, RouteGraph
from routespace.graph.places import resolve_axes
from routespace.graph.reads import wrong_index
from routespace.graph.sites import Sites
from routespace.space.arithmetic import count
from routespace.space.expr import Edge, Everything, Expr, Index, Name, NetDecl, Range, Row, Union, Walk, Without
from routespace.space.fault import Fault
from routespace.space.numbers import Numbers
from routespace.space.routes import route_meant
from routespace.space.scope import Scope, streams_of

MOST_WIDE = 20_000


@dataclass(frozen=True, slots=True)
class Opening:
    """A route that a net holds open: at which weight, whether a text gives that weight, and where it is opened."""

    route: str
    weight: float = 1.0
    is_given: bool = False
    span: Span | None = None


def read_net(graph: RouteGraph, net: NetDecl, findings: Findings) -> dict[str, Opening]:
    """The routes that `net` opens, by name. What does not fit `graph` goes to `findings`, part by part."""
    return _Reader(graph, findings).net(net)


def declared_net(graph: RouteGraph, name: str, span: Span | None = None) -> NetDecl:
    """The net called `name` among those of the space of `graph`; RS701 where there is none."""
    nets = {net.name: net for net in graph.space.nets} if graph.space else {}
    if name not in nets:
        place = span or (graph.space.declaration.span if graph.space else None)
        raise Fault("RS701", f"space `{graph.name}` has no net `{name}`", place, help=rename(name, nets))
    return nets[name]


class _Reader:
    def __init__(self, graph: RouteGraph, findings: Findings) -> None:
        assert graph.space is not None
        self.graph, self.findings = graph, findings
        self.scope = Scope.of(graph.space)
        self.numbers = Numbers(self.scope)
        resolve_axes(self.scope, self.numbers, Findings())
        self.sites = Sites(graph, self.scope)
        self.names = {node.name for node in graph.nodes}
        self.nets = {net.name: net for net in graph.space.nets}
        self.read: dict[str, dict[str, Opening]] = {}
        self.inside: list[str] = []

    def net(self, net: NetDecl) -> dict[str, Opening]:
        self.inside.append(net.name)
        opened: dict[str, Opening] = {}
        closed: set[str] = set()
        for part in net.parts:
            try:
                if isinstance(part, Without):
                    closed.update(one.route for one in self.part(part.part))
                else:
                    for one in self.part(part):
                        opened[one.route] = _joined(opened.get(one.route), one)
            except Fault as fault:
                fault.report(self.findings)
        self.inside.pop()
        return {route: one for route, one in opened.items() if route not in closed}

    def part(self, part: Walk | Row | Edge | Everything | Union) -> Iterable[Opening]:
        match part:
            case Walk():
                return self.walk(part)
            case Row():
                return self.row(part)
            case Edge():
                return self.edge(part)
            case Everything():
                return [Opening(one.name, span=part.span) for one in self.graph.values if isinstance(one, Route)]
            case Union():
                return [one for name in part.nets for one in self.other(name, part.span)]

    def other(self, name: str, span: Span | None) -> Iterable[Opening]:
        """What another net opens, as said here."""
        if name in self.inside:
            raise self.circle(self.inside[self.inside.index(name) :])
        if name not in self.read:
            self.read[name] = self.net(declared_net(self.graph, name, span))
        return [replace(one, span=one.span if one.is_given else span) for one in self.read[name].values()]

    def circle(self, names: list[str]) -> Fault:
        """RS706 of nets that are made of each other in turn, told alike from whichever of them it is met."""
        first = min(names, key=list(self.nets).index)
        turned = [*names[names.index(first) :], *names[: names.index(first)], first]
        parts = (part.part if isinstance(part, Without) else part for part in self.nets[first].parts)
        spans = [part.span for part in parts if isinstance(part, Union) and turned[1] in part.nets]
        circle = " → ".join(f"`{name}`" for name in turned)
        message = f"net `{first}` is made of itself"
        return Fault("RS706", message, spans[0], notes=[f"the circle is {circle}"], help="leave one of them out")

    def walk(self, walk: Walk) -> Iterator[Opening]:
        node: str | None = self.node(walk.start, "the walk starts off the grid")
        for step in walk.steps:
            times = 1 if step.times is None else self.numbers.integer(step.times, {})
            most = len(self.graph.nodes)
            if not 1 <= times <= most:
                message = f"`{step.route}` is taken {times} times; from 1 to {most}, one for each node, is possible"
                raise self.told(Fault("RS703", message, step.span), step.times)
            for _ in range(times):
                if node is None:
                    message = f"the walk has ended at an output; it cannot go on with `{step.route}`"
                    raise Fault("RS703", message, step.span, "one step too many", help="leave it out")
                route = self.route(node, step.route, step.span)
                yield Opening(route.name, span=step.span)
                node = next(iter(self.ends(route)), None)

    def row(self, row: Row) -> Iterator[Opening]:
        weight = 1.0 if row.weight is None else float(self.numbers.number(row.weight, {}))
        if row.weight is not None and not weight > 0:
            message = f"a route is held open at a weight above 0, this is {weight:g}"
            help = "leave a route out, or write `without`, to close it"
            raise self.told(Fault("RS704", message, row.weight.span, help=help), row.weight)
        for index in row.routes:
            for place in itertools.product(*(self.ordinals(part) for part in index.at)):
                node = self.sites.node(index.name, place)
                if node is None:
                    message = f"`{index.name}` is opened off the grid, at {self.shown(index.name, place)}"
                    raise self.nowhere(index, place, message)
                route = self.route(node, index.name, index.span)
                yield Opening(route.name, weight, row.weight is not None, index.span)

    def edge(self, edge: Edge) -> Iterator[Opening]:
        nodes = [self.node(index, "the edge ends off the grid") for index in edge.nodes]
        for (source, target), index in zip(itertools.pairwise(nodes), edge.nodes[1:], strict=False):
            leaving = [one for one in self.graph.values if isinstance(one, Route) and one.sends and one.node == source]
            between = [one.name for one in leaving if target in self.ends(one)]
            if not between:
                ends = list(dict.fromkeys(end for one in leaving for end in self.ends(one)))
                help = f"from there, routes lead to {', '.join(ends)}" if ends else None
                others = [(one.span, "from there") for one in leaving[:1]]
                message = f"no route leads from `{source}` to `{target}`"
                raise Fault("RS702", message, index.span, others=others, help=help)
            if len(between) > 1:
                names = ", ".join(name.rsplit(".", 1)[-1] for name in between)
                message = f"several routes lead from `{source}` to `{target}`"
                raise Fault("RS707", message, index.span, help=f"name those that are meant in a `row`: {names}")
            yield Opening(between[0], span=index.span)

    def ends(self, route: Route) -> list[str]:
        """The nodes that a route leads to; none where only outputs read it."""
        readers = (self.graph.by_name[name] for name in self.graph.readers[route.name])
        return [one.node for one in readers if not isinstance(one, Output) and one.node in self.names]

    def node(self, index: Index, message: str) -> str:
        place = tuple(self.numbers.integer(part, {}) for part in index.at)
        found = self.sites.node(index.name, place)
        if found is None:
            raise self.nowhere(index, place, message)
        return found

    def nowhere(self, index: Index, place: tuple[int, ...], message: str) -> Fault:
        """What to say of an index without a node in the graph; `message` where none stands in the text either."""
        axes = self.scope.stream_axes.get(index.name)
        if axes is not None and len(axes) != len(place):
            return wrong_index(index.name, axes, len(place), index.span)
        dropped = dropped_at(self.graph, index.name, place)
        if dropped is not None:
            why = why_dropped(self.graph, dropped.name)
            others = [(dropped.declaration.span, "declared here")]
            fault = Fault("RS703", f"node `{dropped.name}` is dropped: {why}", index.span, others=others)
        else:
            others = self.declarations(index.name)
            fault = Fault("RS703", message, index.span, self.whereabouts(index.name), others=others)
        return self.told(fault, *index.at)

    def told(self, fault: Fault, *exprs: Expr | None) -> Fault:
        return self.numbers.told(fault, {}, *(expr for expr in exprs if expr is not None))

    def declarations(self, stream: str) -> list[tuple[Span | None, str]]:
        """Where the nodes that make a stream are declared."""
        homes = [declared for declared in self.scope.nodes if stream in streams_of(declared)]
        return [(one.where.span if one.where else one.span, "nodes stand here") for one in homes[:2]]

    def shown(self, stream: str, index: tuple[int, ...]) -> str:
        """An index in words."""
        names = self.scope.stream_axes.get(stream, ())
        if len(names) != len(index):
            return str(index)
        pairs = zip((self.scope.axes[name] for name in names), index, strict=True)
        return ", ".join(axis.label(at) if at in axis else f"{axis.name} {at}" for axis, at in pairs)

    def whereabouts(self, stream: str) -> str:
        axes = self.scope.stream_axes.get(stream)
        return f"`{stream}` is at [{', '.join(axes)}], and no node is at this index" if axes else ""

    def route(self, node: str, name: str, span: Span | None) -> Route:
        value = self.graph.by_name.get(f"{node}.{name}")
        if isinstance(value, Route):
            return value
        leaving = (one for one in self.graph.values if isinstance(one, Route) and one.node == node)
        routes = {one.name.removeprefix(f"{node}."): one for one in leaving}
        meant = route_meant(name, routes)
        if meant is None:
            raise no_route(self.graph, node, name, routes, span)
        return routes[meant]

    def ordinals(self, part: Expr) -> list[int]:
        if isinstance(part, Range):
            low, high = self.numbers.integer(part.low, {}), self.numbers.integer(part.high, {})
            if high < low:
                raise self.told(Fault("RS703", f"the range {low}..{high} is empty: it opens nothing", part.span), part)
            if high - low > MOST_WIDE:
                message = f"a range of {count(high - low + 1)} indices; at most {MOST_WIDE} are possible"
                raise self.told(Fault("RS703", message, part.span), part)
            return list(range(low, high + 1))
        if isinstance(part, Name) and part.id in self.scope.axes:
            axis = self.scope.axes[part.id]
            return list(range(axis.low, axis.high + 1))
        return [self.numbers.integer(part, {})]


def _joined(before: Opening | None, after: Opening) -> Opening:
    """One route opened twice: a weight that is given wins over the one that goes without saying."""
    if before is None or (after.is_given and not before.is_given):
        return after
    if after.is_given and after.weight != before.weight:
        message = f"route `{after.route}` is held at {before.weight:g} and at {after.weight:g}"
        raise Fault("RS705", message, after.span, "here too", others=[(before.span, "first here")])
    return before
