"""A set of open routes as the text of a net."""

from __future__ import annotations

from collections.abc import Iterable

from routespace.graph.ir import Route, RouteGraph
from routespace.space.expr import Range
from routespace.space.fault import Fault
from routespace.space.scope import Scope


def write_net(graph: RouteGraph, name: str, routes: Iterable[str]) -> str:
    """A net declaration that opens `routes`, each name by rows along the first axis of its nodes.

    RS702 for a branch inside a node, which has no name in the language.
    """
    assert graph.space is not None
    open_routes = set(routes)
    index = {node.name: node.index for node in graph.nodes}
    ordinals: dict[tuple[str, tuple[tuple[str, int], ...]], list[int]] = {}
    for value in graph.values:
        if isinstance(value, Route) and value.name in open_routes:
            if not value.sends:
                message = f"`{value.name}` is a branch inside a node, which no net can name"
                raise Fault("RS702", message, value.span, help="`--json` lists the routes of nets, named or not")
            at = index[value.node]
            first = at[0][1] if at else 0
            ordinals.setdefault((value.name.rsplit(".", 1)[-1], at[1:]), []).append(first)
    spelled = _Spelled(graph)
    lines: dict[str, list[str]] = {}
    for (route, rest), found in sorted(ordinals.items(), key=lambda item: item[0][1]):
        for low, high in _runs(sorted(found)):
            lines.setdefault(route, []).append(spelled.route(route, low, high, rest))
    rows = [f"  row {', '.join(parts)}" for _, parts in sorted(lines.items())]
    return "\n".join([f"net {name} in {graph.name} {{", *rows, "}"])


class _Spelled:
    """Writes indices as the axes of a space name them."""

    def __init__(self, graph: RouteGraph) -> None:
        assert graph.space is not None
        self.axes = Scope.of(graph.space).axis_declarations
        self.first = next((node.index[0][0] for node in graph.nodes if node.index), None)

    def route(self, name: str, low: int, high: int, rest: tuple[tuple[str, int], ...]) -> str:
        if self.first is None:
            return name
        ends = [self.label(self.first, at) for at in dict.fromkeys((low, high))]
        return f"{name}[{', '.join(['..'.join(ends), *(self.label(axis, at) for axis, at in rest)])}]"

    def label(self, axis: str, at: int) -> str:
        values = self.axes[axis].values
        return str(at) if isinstance(values, Range) else values[at]


def _runs(ordinals: list[int]) -> list[tuple[int, int]]:
    """Neighbours put together: 1, 2, 3, 7 is 1..3 and 7..7."""
    runs: list[tuple[int, int]] = []
    for at in ordinals:
        if runs and runs[-1][1] == at - 1:
            runs[-1] = (runs[-1][0], at)
        else:
            runs.append((at, at))
    return runs
