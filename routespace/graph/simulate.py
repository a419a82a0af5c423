"""What runs for an image whose gates decide as told."""

from __future__ import annotations

from routespace.graph.ir import Gate, Input, Merge, Output, Route, RouteGraph, Value, Zero, is_per_position


def some_routes(number: int) -> frozenset[int]:
    """What a gate opens that opens so many routes, whichever they are: none of them surely."""
    return frozenset({-number})


def simulate(graph: RouteGraph, open_routes: dict[str, frozenset[int]]) -> set[str]:
    """Names of the values that run for an image whose every gate opens just `open_routes` of it (inference)."""
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
                consulted = value.gate in ran
                zeros = bool(opened) and value.sends and live != "by_route"
                delivers = value.source in there if value.index in opened else zeros
                present = consulted and (delivers if opened else value.closed is not None)
                if is_per_position(graph, value):
                    present = consulted and (value.index not in opened or value.source in there)
            case Output():
                present = True
            case _:
                present = any(arg in there for arg in value.args)
        if present and not isinstance(value, Gate):
            there.add(value.name)
        if present and _runs(value, routes, open_routes, ran):
            ran.add(value.name)
    return ran


def _runs(value: Value, routes: dict[str, int], open_routes: dict[str, frozenset[int]], ran: set[str]) -> bool:
    if isinstance(value, Route):
        return value.gate in ran and value.index in open_routes[value.gate]
    if isinstance(value, (Input, Output, Zero)) or value.guard is None:
        return True
    atoms = {(atom.gate, atom.index) for atom in value.guard if atom.gate in ran}
    for gate, index in atoms:
        number = -min(open_routes[gate], default=0)
        if number > 0:
            needed = sum((gate, each) not in atoms for each in range(routes[gate])) < number
        else:
            needed = not open_routes[gate] if index is None else index in open_routes[gate]
        if needed:
            return True
    return False
