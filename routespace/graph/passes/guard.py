"""Guards: a value that only routes of gates need is computed only where one of those routes is open."""

from __future__ import annotations

from dataclasses import replace

from routespace.graph.ir import Atom, Guard, Input, Output, Route, RouteGraph, Value, Zero
from routespace.graph.kept import kept
from routespace.graph.order import ordered


@kept
def guard(graph: RouteGraph) -> RouteGraph:
    """Attach to every value the atoms under which it is needed, and put gates before what they guard.

    The source of a route is needed where the route is open, what it passes on when closed where its gate is closed;
    every other reader needs a value wherever the reader itself is needed. An atom of a gate that the value itself
    feeds says nothing more than that the gate is consulted, so it is left out.
    """
    found = _needs(graph)
    values = tuple(_guarded(value, found[value.name]) for value in graph.values)
    if all(new is old for new, old in zip(values, graph.values, strict=True)):
        return graph
    return replace(graph, values=ordered(values))


def _needs(graph: RouteGraph) -> dict[str, set[Atom] | None]:
    needs: dict[str, set[Atom] | None] = {value.name: set() for value in graph.values}
    position = {value.name: place for place, value in enumerate(graph.values)}

    def need(name: str, atoms: set[Atom] | None) -> None:
        known = needs[name]
        if atoms is None:
            needs[name] = None
        elif known is not None:
            known |= atoms

    for value in reversed(graph.values):
        if isinstance(value, Output) or (isinstance(value, Route) and not graph.readers[value.name]):
            needs[value.name] = None
        mine = needs[value.name]
        if mine:
            fed = {gate for gate in {atom.gate for atom in mine} if _feeds(graph, position, value.name, gate)}
            mine -= {atom for atom in mine if atom.gate in fed}
        if isinstance(value, Route):
            need(value.gate, mine)
            need(value.source, {Atom(value.gate, value.index)})
            if value.closed is not None:
                need(value.closed, {Atom(value.gate, None)})
        else:
            for arg in value.args:
                need(arg, mine)
    return needs


def _feeds(graph: RouteGraph, position: dict[str, int], name: str, gate: str) -> bool:
    """Whether `gate` is or depends on the value `name`; only values at or behind it can be in between."""
    if gate == name:
        return True
    floor = position[name]
    waiting, seen = [gate], {gate}
    while waiting:
        value = graph.by_name[waiting.pop()]
        reads = (*value.args, value.gate) if isinstance(value, Route) else value.args
        for read in reads:
            if read == name:
                return True
            if read not in seen and position[read] > floor:
                seen.add(read)
                waiting.append(read)
    return False


def _guarded(value: Value, atoms: set[Atom] | None) -> Value:
    if isinstance(value, (Output, Input, Zero)):
        return value
    found: Guard = (
        None
        if atoms is None
        else tuple(sorted(atoms, key=lambda atom: (atom.gate, -1 if atom.index is None else atom.index)))
    )
    return value if value.guard == found else replace(value, guard=found)
