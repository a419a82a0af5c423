"""The ledger: what every value of a graph costs at an image size, and what conventions make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from routespace.graph.demands import demands, is_opaque, runs_whole
from routespace.graph.infer import Inferred, Sizes, image_size, infer
from routespace.graph.ir import Apply, Gate, Input, Merge, Output, Route, RouteGraph, Value, is_per_position
from routespace.graph.passes.guard import guard
from routespace.space.conventions import Convention
from routespace.space.demand import Demand, Everything
from routespace.space.fault import Fault
from routespace.space.shape import NO_COST, Cost, Shape


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
    true = infer(graph, size)
    padded = _padded(graph, size) or true
    squared = _squared(graph, size) or true
    whole = guard(graph.sizing) if graph.sizing is not None else graph  # a net is told apart as in its space
    entries = _entry_nodes(whole)
    outputs = _makes_output(whole)
    rows: list[Row] = []
    for value in graph.values:
        part = _part(graph, value)
        if part is None:
            continue
        readers = graph.readers[value.name]
        leaving = whole.readers.get(value.name, readers)
        leaves = part == "route" and bool(leaving) and all(reader in outputs for reader in leaving)
        row = Row(
            value.name,
            value.name,
            value.node,
            part,
            true.costs[value.name],
            (padded if _reads_input(graph, value) else true).costs[value.name],
            squared.costs[value.name],
            value.node in entries,
            leaves,
            value.name in outputs,
            sent=isinstance(value, Route) and value.sends,
            unread=isinstance(value, Route) and not readers,
        )
        if isinstance(value, Route) and is_per_position(graph, value):
            rows.extend(_leaf_rows(row, value, true, squared))
        else:
            rows.append(row)
    return tuple(rows)


def _leaf_rows(whole: Row, route: Route, true: Inferred, squared: Inferred) -> Iterator[Row]:
    """A row for each op of a route that is decided per position."""
    costs = [found.leaf_costs[route.name] for found in (true, squared)]
    entering = [one.entering for one in costs[0]]
    last: tuple[Demand, ...] = (Everything(_size(true.shapes[route.name])),) if is_opaque(route.op) else ()
    for place, (leaf, after) in enumerate(demands(route.op, entering, last)):
        own, square = (found[place].cost for found in costs)
        if own == NO_COST:
            continue
        if runs_whole(leaf):
            after = (Everything(costs[0][place].leaving), *after)
        yield replace(
            whole,
            name=f"{route.name}:{place}",
            cost=own,
            padded=own,
            squared=square,
            position=after,
            positions=costs[0][place].positions,
            entry_of=leaf.entry,
        )


def _size(shape: Shape) -> tuple[int, int]:
    return shape.height, shape.width


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


def _padded(graph: RouteGraph, size: Sizes) -> Inferred | None:
    """Sizes as if every window were padded; None where streams would not fit each other then."""
    try:
        return infer(graph, size, padded=True)
    except Fault:
        return None


def _squared(graph: RouteGraph, size: Sizes) -> Inferred | None:
    """Sizes as if images were as wide as high; None where such images do not fit."""
    height, _ = image_size(graph, size)
    try:
        return infer(graph, (height, height))
    except Fault:
        return None


def _reads_input(graph: RouteGraph, value: Value) -> bool:
    """Whether a value is made of an input: the stem, of which the released code prices maps of a half and a quarter."""
    return isinstance(value, Apply) and any(isinstance(graph.by_name[arg], Input) for arg in value.args)


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
