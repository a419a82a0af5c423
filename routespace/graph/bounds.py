"""What an image can cost at least and at most, without weights."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from routespace.graph.infer import Sizes
from routespace.graph.ir import Gate, Input, Output, Route, RouteGraph, Zero
from routespace.graph.kept import kept
from routespace.graph.ledger import Row, ledger, price
from routespace.graph.passes.guard import guard
from routespace.graph.simulate import simulate
from routespace.space.conventions import CONVENTIONS
from routespace.space.registry import ACTIVATIONS


@dataclass(frozen=True, slots=True)
class Bounds:
    """Static cost of one image: with every gate that can close closed, and with everything open that can be."""

    least: float
    most: float
    most_expected: float


@kept
def bounds(graph: RouteGraph, size: Sizes, convention: str | None = None) -> Bounds:
    """Least and most hard cost, and the most expected cost (the reference of budgets), without weights.

    The least is that of every gate closed that can close. Where closed rules pass streams on, what is reached by them
    is part of it, and an open node that leads elsewhere may cost less.
    """
    graph = guard(graph)
    chosen = CONVENTIONS[convention or graph.policies.cost]
    rows = ledger(graph, size)
    prices = {row.name: price(row, chosen) for row in rows}
    hard = {name: one.hard for name, one in prices.items()}
    opened = {gate.name: _surely_open(gate) for gate in graph.gates}
    undecided = {gate.name: number for gate in _choosy(graph) if not gate.below and (number := _number(gate))}
    runs = simulate(graph, opened, undecided)
    least = sum(hard[row.name] for row in rows if row.value in runs or prices[row.name].always_hard)
    for gate in graph.gates:
        if gate.name in runs and gate.name in undecided:
            others = {name: number for name, number in undecided.items() if name != gate.name}
            runs_of = [
                simulate(graph, {**opened, gate.name: frozenset({route})}, others) for route in range(len(gate.routes))
            ]
            left = [row for row in rows if row.value not in runs and len(_routes_alone(graph, row, gate)) == 1]
            least += sum(sorted(_by_route(graph, left, gate, hard, runs_of))[: undecided[gate.name]])
    expected = _most(graph, rows, {name: one.expected for name, one in prices.items()})
    return Bounds(least, _most(graph, rows, hard), expected)


def _surely_open(gate: Gate) -> frozenset[int]:
    always = not gate.below and _number(gate) == len(gate.routes)
    return frozenset(range(len(gate.routes))) if always else frozenset()


def _number(gate: Gate) -> int | None:
    """How many routes a gate always opens for an image; None where that depends on its logits. One that decides per
    position may open others elsewhere."""
    number = ACTIVATIONS[gate.activation].opens(len(gate.routes))
    return number if gate.granularity == "image" or number == len(gate.routes) else None


def _choosy(graph: RouteGraph) -> list[Gate]:
    """Gates that open some number of their routes, and not all of them."""
    return [gate for gate in graph.gates if _number(gate) not in (None, len(gate.routes))]


def _by_route(
    graph: RouteGraph,
    rows: Sequence[Row],
    gate: Gate,
    charged: Mapping[str, float],
    runs: Sequence[Container[str]] | None = None,
) -> list[float]:
    """What is charged for the values that each route of a gate has run, and no other gate; of those in `runs` of it."""
    found = [0.0] * len(gate.routes)
    for row in rows:
        for index in _routes_alone(graph, row, gate):
            if runs is None or row.value in runs[index]:
                found[index] += charged[row.name]
    return found


def _routes_alone(graph: RouteGraph, row: Row, gate: Gate) -> set[int]:
    """The routes of `gate` for which the value of a row runs; none where another gate can have it run."""
    value = graph.by_name[row.value]
    if isinstance(value, Route):
        return {value.index} if value.gate == gate.name else set()
    guard = () if isinstance(value, (Input, Output, Zero)) else value.guard or ()
    if {atom.gate for atom in guard} != {gate.name}:
        return set()
    return {atom.index for atom in guard if atom.index is not None}


def _most(graph: RouteGraph, rows: Sequence[Row], charged: Mapping[str, float]) -> float:
    """Everything open; of a gate that opens some of its routes only the dearest."""
    total = sum(charged[row.name] for row in rows)
    for gate in _choosy(graph):
        alone = sum(charged[row.name] for row in rows if _routes_alone(graph, row, gate))
        dearest = sorted(_by_route(graph, rows, gate, charged), reverse=True)[: _number(gate)]
        total -= max(alone - sum(dearest), 0.0)
    return total
