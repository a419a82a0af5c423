"""The ledger: what every value of a graph costs at an image size, and what conventions make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from routespace.graph.demands import demands
from routespace.graph.infer import Inferred, Sizes, image_size, infer
from routespace.graph.ir import Apply, Gate, Input, Merge, Output, Route, RouteGraph, Value, Zero
from routespace.graph.passes.guard import guard
from routespace.space.conventions import CONVENTIONS, Convention
from routespace.space.demand import Demand
from routespace.space.registry import ACTIVATIONS
from routespace.space.shape import NO_COST, Cost


@dataclass(frozen=True, slots=True)
class Row:
    """One value that does work, or one op of a route that is decided per position.

    `value` is the value's name; `name` tells the ops of one value apart. `part` is "fixed" (runs wherever its input is
    something), "cell" (runs where a gate of its guard is open), "route", "gate", or "guard": a gate all of whose routes
    are pruned, which only watches that they stay closed. `entry`: it belongs to a node that no route reaches.
    `leaves`: it is a route that only outputs read. `makes_output`: an output reads it directly or through ungated work.
    `position`: it is one op, called `entry_of`, of a route decided per position, with what the ops behind it demand;
    its result has so many `positions`. `sent`: its value is a route that leaves a node.
    `unread`: nothing reads its value, which is not run.
    """

    value: str
    name: str
    node: str
    part: str
    cost: Cost
    padded: Cost
    squared: Cost
    entry: bool
    leaves: bool
    makes_output: bool
    position: tuple[Demand, ...] | None = None
    positions: int = 1
    entry_of: str = ""
    sent: bool = False
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """A row under a convention: what it adds to each kind of cost where it runs; `always_hard`: run or not."""

    expected: float
    hard: float
    executed: float
    always_hard: bool


def ledger(graph: RouteGraph, size: Sizes) -> tuple[Row, ...]:
    """Rows of every working value of `graph` (guarded) for one image of `size`, in graph order."""
    graph = guard(graph)
    true, padded = infer(graph, size), infer(graph, size, padded=True)
    squared = _squared(graph, size)
    entries = _entry_nodes(graph)
    outputs = _makes_output(graph)
    rows: list[Row] = []
    for value in graph.values:
        part = _part(graph, value)
        if part is None:
            continue
        readers = graph.readers[value.name]
        leaves = part == "route" and bool(readers) and all(reader in outputs for reader in readers)
        row = Row(
            value.name,
            value.name,
            value.node,
            part,
            true.costs[value.name],
            padded.costs[value.name],
            squared.costs[value.name],
            value.node in entries,
            leaves,
            value.name in outputs,
            sent=isinstance(value, Route) and value.sends,
            unread=isinstance(value, Route) and not readers,
        )
        if isinstance(value, Route) and is_per_position(graph, value):
            rows.extend(_leaf_rows(row, value, true, padded, squared))
        else:
            rows.append(row)
    return tuple(rows)


def is_per_position(graph: RouteGraph, route: Route) -> bool:
    """Whether the gate of a route decides per position."""
    gate = graph.by_name[route.gate]
    return isinstance(gate, Gate) and gate.granularity == "position"


def _leaf_rows(whole: Row, route: Route, true: Inferred, padded: Inferred, squared: Inferred) -> Iterator[Row]:
    """A row for each op of a route that is decided per position."""
    costs = [found.leaf_costs[route.name] for found in (true, padded, squared)]
    entering = [one.entering for one in costs[0]]
    for place, (leaf, after) in enumerate(demands(route.op, entering)):
        own, wide, square = (found[place].cost for found in costs)
        if own == NO_COST:
            continue
        yield replace(
            whole,
            name=f"{route.name}:{place}",
            cost=own,
            padded=wide,
            squared=square,
            position=after,
            positions=costs[0][place].positions,
            entry_of=leaf.entry,
        )


def price(row: Row, convention: Convention) -> Price:
    """What `convention` charges for `row`."""
    cost = row.padded if convention.padded else row.cost
    if row.makes_output and row.part == "fixed" and convention.square_outputs:
        cost = row.squared
    full = convention.price(cost, row.entry_of)
    expected = hard = executed = full
    always = False
    if row.unread:
        executed = 0.0
        if not convention.unread:
            expected = hard = 0.0
    if row.part in ("gate", "guard"):
        charged = convention.gates and not (row.entry and not convention.entry_gate)
        hard = executed = full if charged else 0.0
        expected = hard if convention.gates_in_expected else 0.0
        always = convention.every_gate and charged
    elif row.part == "route":
        if row.leaves and not convention.routes_to_outputs:
            expected = hard = executed = 0.0
    elif row.part == "cell":
        if row.entry and not convention.entry_cell:
            expected = hard = executed = 0.0
    elif not convention.fixed:
        expected = hard = executed = 0.0
    elif not convention.fixed_in_expected:
        expected = 0.0
    return Price(expected, hard, executed, always)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Static cost of one image: with every gate that can close closed, and with everything open that can be."""

    least: float
    most: float
    most_expected: float


def bounds(graph: RouteGraph, size: Sizes, convention: str | None = None) -> Bounds:
    """Least and most hard cost, and the most expected cost (the reference of budgets), without weights."""
    graph = guard(graph)
    chosen = CONVENTIONS[convention or graph.policies.cost]
    rows = ledger(graph, size)
    prices = {row.name: price(row, chosen) for row in rows}
    runs = simulate(graph, {gate.name: _least_open(gate) for gate in graph.gates})
    least = sum(prices[row.name].hard for row in rows if row.value in runs or prices[row.name].always_hard)
    most = _most(graph, rows, {name: one.hard for name, one in prices.items()})
    expected = _most(graph, rows, {name: one.expected for name, one in prices.items()})
    return Bounds(least, most, expected)


def _least_open(gate: Gate) -> frozenset[int]:
    entry = ACTIVATIONS[gate.activation]
    if entry.support == "all" or not entry.closes:
        return frozenset(range(len(gate.routes)))
    return frozenset({0}) if entry.support == "one" else frozenset()


def _most(graph: RouteGraph, rows: tuple[Row, ...], charged: dict[str, float]) -> float:
    """Everything open; of a gate that opens one route only its dearest."""
    total = sum(charged[row.name] for row in rows)
    for gate in graph.gates:
        if ACTIVATIONS[gate.activation].support == "one":
            costs = dict.fromkeys((route.name for route in graph.routes_of[gate.name]), 0.0)
            for row in rows:
                if row.value in costs:
                    costs[row.value] += charged[row.name]
            total -= sum(costs.values()) - max(costs.values(), default=0.0)
    return total


def simulate(graph: RouteGraph, open_routes: dict[str, frozenset[int]]) -> set[str]:
    """Names of the values that run for an image whose every gate opens just `open_routes` of it (inference)."""
    live = graph.policies.live_inference
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
                delivers = value.index in opened or (bool(opened) and value.sends and live != "by_route")
                present = consulted and (delivers if opened else value.closed is not None)
                if is_per_position(graph, value):
                    present = consulted and (value.index not in opened or value.source in there)
            case Output():
                present = True
            case _:
                present = any(arg in there for arg in value.args)
        if present and not isinstance(value, Gate):
            there.add(value.name)
        if present and _runs(value, open_routes, ran):
            ran.add(value.name)
    return ran


def _runs(value: Value, open_routes: dict[str, frozenset[int]], ran: set[str]) -> bool:
    if isinstance(value, Route):
        return value.gate in ran and value.index in open_routes[value.gate]
    if isinstance(value, (Input, Output, Zero)) or value.guard is None:
        return True
    return any(
        atom.gate in ran
        and (atom.index in open_routes[atom.gate] if atom.index is not None else not open_routes[atom.gate])
        for atom in value.guard
    )


def _part(graph: RouteGraph, value: Value) -> str | None:
    match value:
        case Apply():
            return value.part or ("fixed" if value.guard is None else "cell")
        case Gate():
            routes = graph.routes_of[value.name]
            return "guard" if routes and all(route.pruned for route in routes) else "gate"
        case Route():
            return "route"
    return None


def _squared(graph: RouteGraph, size: Sizes) -> Inferred:
    height, _ = image_size(graph, size)
    return infer(graph, (height, height), padded=True)


def _entry_nodes(graph: RouteGraph) -> set[str]:
    """Nodes that no route of another node reaches."""
    reached = {
        value.node
        for value in graph.values
        for arg in value.args
        if _is_route(graph.by_name[arg]) and graph.by_name[arg].node != value.node
    }
    return {node.name for node in graph.nodes} - reached


def _is_route(value: Value) -> bool:
    return isinstance(value, Route) or (isinstance(value, Apply) and value.part == "route")


def _makes_output(graph: RouteGraph) -> set[str]:
    """Outputs, and ungated values that only they read."""
    found: set[str] = set()
    for value in reversed(graph.values):
        if isinstance(value, Output):
            found.add(value.name)
        elif isinstance(value, (Apply, Merge)) and value.guard is None and not _is_route(value):
            readers = graph.readers[value.name]
            if readers and all(reader in found for reader in readers):
                found.add(value.name)
    return found
