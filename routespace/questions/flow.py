"""What a graph says about its nets before anything is asked: which routes there are, and when a net is proper.

A net is proper when every open route lies on a path of open routes from an input to an output, and there is such a
path. What is joined without a gate is always joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from routespace.diagnostics import Span
from routespace.graph.ir import Gate, Input, Output, Route, RouteGraph, Zero
from routespace.questions.formula import FALSE, TRUE, Formula, Formulas


@dataclass(frozen=True, slots=True)
class Rule:
    """A formula that nets have to satisfy: what it means where it does not hold, and who says so.

    `route` is the one that breaks it, where it is about one route.
    """

    formula: Formula
    broken: str
    span: Span | None = None
    route: str | None = None
    is_asked: bool = False


class Flow:
    """Routes of a graph in the order they are read in, and where streams come from and go to.

    The order follows the depth of routes; `folded` reads the first and the last ones together, so that what is said
    of mirrored layers meets.
    """

    def __init__(self, graph: RouteGraph, folded: bool = False) -> None:
        self.graph = graph
        self.formulas = Formulas()
        self.index_of = {node.name: tuple(at for _, at in node.index) for node in graph.nodes}
        routes = [value for value in graph.values if isinstance(value, Route)]
        depth = _depths(graph)
        last = max((depth[route.name] for route in routes if not self.leaves(route)), default=0)

        def place(route: Route) -> tuple[object, ...]:
            at = depth[route.name]
            return (min(at, last - at), self._rails(route), at) if folded else (at,)

        self.routes: tuple[Route, ...] = tuple(sorted(routes, key=place))
        self.index = {route.name: at for at, route in enumerate(self.routes)}

    def leaves(self, route: Route) -> bool:
        """Whether only outputs read a route."""
        return not self.ends(route)

    def ends(self, route: Route) -> set[str]:
        """The nodes that a route leads to."""
        readers = (self.graph.by_name[name].node for name in self.graph.readers[route.name])
        return {node for node in readers if node in self.index_of}

    def _rails(self, route: Route) -> list[tuple[int, ...]]:
        """The two ends of a route but for their layers, in an order that its mirror shares."""
        return sorted(self.index_of[one][1:] for one in (route.node, *self.ends(route)) if one in self.index_of)

    def opened(self, route: str) -> Formula:
        return self.formulas.route(self.index[route])

    @cached_property
    def reached(self) -> dict[str, Formula]:
        """When each value gets something from an input, by paths of open routes."""
        found: dict[str, Formula] = {}
        for value in self.graph.values:
            match value:
                case Input():
                    found[value.name] = TRUE
                case Zero():
                    found[value.name] = FALSE
                case Route():
                    found[value.name] = self.opened(value.name)
                case _:
                    found[value.name] = self.formulas.any(found[arg] for arg in value.args)
        return found

    @cached_property
    def goes_on(self) -> dict[str, Formula]:
        """When an output reads what each value makes, by paths of open routes."""
        formulas = self.formulas
        onward: dict[str, list[Formula]] = {value.name: [] for value in self.graph.values}
        found: dict[str, Formula] = {}
        for value in reversed(self.graph.values):
            mine = found[value.name] = TRUE if isinstance(value, Output) else formulas.any(onward[value.name])
            if isinstance(value, Route):
                onward[value.source].append(self.opened(value.name))
            elif not isinstance(value, Gate):
                for arg in value.args:
                    onward[arg].append(mine)
        return found

    @cached_property
    def path(self) -> Formula:
        """Some path leads from an input to an output."""
        outputs = (value for value in self.graph.values if isinstance(value, Output))
        return self.formulas.any(self.reached[value.name] for value in outputs)

    @cached_property
    def used(self) -> dict[str, Formula]:
        """When each node lies on a path."""
        found: dict[str, list[Formula]] = {node.name: [] for node in self.graph.nodes}
        for value in self.graph.values:
            if value.node in found and not isinstance(value, (Gate, Route, Input)):
                both = self.formulas.all((self.reached[value.name], self.goes_on[value.name]))
                found[value.node].append(both)
        for route in self.routes:
            if not found[route.node]:
                found[route.node].append(self.opened(route.name))
        return {node: self.formulas.any(parts) for node, parts in found.items()}

    @cached_property
    def proper(self) -> tuple[Rule, ...]:
        rules: list[Rule] = []
        for route in self.routes:
            is_open = self.opened(route.name)
            comes = self.formulas.implies(is_open, self.reached[route.source])
            goes = self.formulas.implies(is_open, self.goes_on[route.name])
            rules.append(Rule(comes, f"no path from an input leads to route `{route.name}`", route.span, route.name))
            rules.append(Rule(goes, f"no path leads on from route `{route.name}`", route.span, route.name))
        rules.append(Rule(self.path, "no path leads from an input to an output"))
        return tuple(rules)


def _depths(graph: RouteGraph) -> dict[str, int]:
    """How many routes lie, at most, before each value."""
    found: dict[str, int] = {}
    for value in graph.values:
        reads = (value.source,) if isinstance(value, Route) else value.args
        found[value.name] = max(
            (found[read] + isinstance(graph.by_name[read], Route) for read in reads),
            default=0,
        )
    return found
