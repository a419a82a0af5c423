"""What runs for an image whose gates decide as told."""

from __future__ import annotations

from collections.abc import Mapping

from routespace.graph.ir import Gate, Input, Merge, Output, Route, RouteGraph, Value, Zero, is_per_position

_NONE: Mapping[str, int] = {}


def simulate(
    graph: RouteGraph, open_routes: Mapping[str, frozenset[int]], undecided: Mapping[str, int] = _NONE
) -> set[str]:
    """Names of the values that run for an image whose every gate opens just `open_routes` of it (inference).

    A gate named in `undecided` opens so many of its routes, and it is not said which: what is named then runs
    whichever they are.
    """
    live = graph.policies.live_inference
    routes = {gate.name: len(gate.routes) for gate in graph.gates}
    there: set[str] = set()
    ran: set[str] = set()
    for value in graph.values:
        match value:
            case Input() | Zero():
                present = True
            case Merge():
                present = any(arg in there for arg in value.args) or (value.arrives and live == "always")
            case Route():
                opened = open_routes[value.gate]
                given, zeros = value.source in there, value.sends and live != "by_route"
                if value.index in opened:
                    delivers = given
                elif value.gate in undecided:
                    delivers = given and zeros
                elif is_per_position(graph, value):
                    delivers = True
                else:
                    delivers = zeros if opened else value.closed is not None
                present = value.gate in ran and delivers
            case Output():
                present = True
            case _:
                present = any(arg in there for arg in value.args)
        if present and not isinstance(value, Gate):
            there.add(value.name)
        if present and _runs(value, routes, open_routes, undecided, ran):
            ran.add(value.name)
    return ran


def _runs(
    value: Value,
    routes: Mapping[str, int],
    open_routes: Mapping[str, frozenset[int]],
    undecided: Mapping[str, int],
    ran: set[str],
) -> bool:
    if isinstance(value, Route):
        return value.gate in ran and value.index in open_routes[value.gate]
    if isinstance(value, (Input, Output, Zero)) or value.guard is None:
        return True
    atoms = {(atom.gate, atom.index) for atom in value.guard if atom.gate in ran}
    for gate, index in atoms:
        if gate in undecided:
            needed = sum((gate, each) not in atoms for each in range(routes[gate])) < undecided[gate]
        else:
            needed = not open_routes[gate] if index is None else index in open_routes[gate]
        if needed:
            return True
    return False
