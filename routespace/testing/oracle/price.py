"""What the work of one leaf counts, column by column, and what a convention makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from routespace.graph.ir import Apply, Gate, Input, Leaf, Merge, Output, Route, RouteGraph, Value
from routespace.space.conventions import Convention
from routespace.space.registry import OPS
from routespace.space.shape import Cost
from routespace.testing.oracle.sizes import Extent, Sizes, Step, plan


@dataclass(frozen=True)
class Work:
    """Multiply-adds, and elements of norms, activations, pools and resizes."""

    macs: int = 0
    norm: int = 0
    activation: int = 0
    pool: int = 0
    resize: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.macs + other.macs,
            self.norm + other.norm,
            self.activation + other.activation,
            self.pool + other.pool,
            self.resize + other.resize,
        )

    def under(self, convention: Convention) -> float:
        """This work in the units of `convention`."""
        return convention.count(Cost(self.macs, self.norm, self.activation, self.pool, self.resize))


def leaf_work(leaf: Leaf, inputs: Sequence[Extent], output: Extent) -> Work:
    """Work of one leaf on one image. Biases are free."""
    args = dict(leaf.args)
    x = inputs[0]
    match leaf.entry:
        case "identity" | "scale" | "learned":
            return Work()
        case "conv":
            weights = output.channels * (x.channels // args["groups"]) * args["kernel"] * args["kernel"]
            return Work(macs=weights * output.positions)
        case "depthwise":
            return Work(macs=x.channels * args["kernel"] * args["kernel"] * output.positions)
        case "batchnorm" | "groupnorm":
            return Work(norm=x.elements)
        case "relu" | "gelu" | "silu" | "sigmoid" | "tanh":
            return Work(activation=x.elements)
        case "mean":
            return Work(pool=x.elements)
        case "maxpool" | "avgpool":
            return Work(pool=args["kernel"] * args["kernel"] * output.elements)
        case "resize":
            return Work(resize=output.elements)
        case "ladder_decoder":
            return _ladder(args["classes"], inputs, output)
    declared = OPS[leaf.entry].cost(args, tuple(one.shape for one in inputs), output.shape)
    return Work(declared.macs, declared.norm, declared.activation, declared.pool, declared.resize)


def _ladder(classes: int, inputs: Sequence[Extent], output: Extent) -> Work:
    """1x1 conv, norm and relu per step (to half the width, but for the finest), resize up; then a 3x3 conv."""
    total = Work(macs=inputs[0].channels * classes * 9 * inputs[0].positions, resize=output.elements)
    for place, x in enumerate(inputs):
        width = x.channels // 2 if place else x.channels
        after = width * x.positions
        total += Work(macs=x.channels * after, norm=after, activation=after)
        if place:
            total += Work(resize=width * inputs[place - 1].positions)
    return total


class Prices:
    """Price and part of every value of a graph under one convention, at one image size.

    The part says how a convention treats a value: `cell` (needed only through routes of gates), `route`, `gate`,
    `fixed` (needed wherever its input is there) or `output` (what outputs are made by); None is never charged.
    """

    def __init__(self, graph: RouteGraph, size: Sizes, convention: Convention) -> None:
        true, padded = plan(graph, size), plan(graph, size, convention.padded)
        self.graph, self.convention = graph, convention
        behind_gates = gated(graph)
        entries = _entries(graph)
        self.price: dict[str, float] = {}
        self.leaves: dict[str, list[tuple[Step, float]]] = {}
        self.part: dict[str, str | None] = {}
        for value in graph.values:
            part = _part(value, behind_gates)
            squared = convention.square_outputs and part == "output"
            doubles = convention.twice if _per_position(graph, value) else frozenset()
            self.leaves[value.name] = [
                (step, _work(step, squared).under(convention) * (2 if step.leaf.entry in doubles else 1))
                for step in (padded if _is_stem(graph, value) else true).steps[value.name]
            ]
            self.price[value.name] = sum(one for _, one in self.leaves[value.name])
            self.part[value.name] = None if self._left_out(value, part, entries) else part

    def _left_out(self, value: Value, part: str | None, entries: set[str]) -> bool:
        convention = self.convention
        if part in ("fixed", "output"):
            return not convention.fixed
        if part == "gate":
            return not convention.gates or (value.node in entries and not convention.entry_gate)
        if part == "cell":
            return value.node in entries and not convention.entry_cell
        if part == "route":
            if not self.graph.readers[value.name]:
                return not convention.unread
            return not convention.routes_to_outputs and self._only_for_outputs(value.name)
        return False

    def _only_for_outputs(self, name: str) -> bool:
        readers = [self.graph.by_name[reader] for reader in self.graph.readers[name]]
        return all(isinstance(reader, Output) or reader.node.startswith("outputs.") for reader in readers)


def _is_stem(graph: RouteGraph, value: Value) -> bool:
    """Whether a value is the first thing done to an input."""
    return isinstance(value, Apply) and any(isinstance(graph.by_name[arg], Input) for arg in value.args)


def _per_position(graph: RouteGraph, value: Value) -> bool:
    gate = graph.by_name[value.gate] if isinstance(value, Route) else None
    return isinstance(gate, Gate) and gate.granularity == "position"


def _work(step: Step, squared: bool) -> Work:
    if not squared:
        return leaf_work(step.leaf, step.inputs, step.output)
    inputs = [replace(x, width=x.height) for x in step.inputs]
    return leaf_work(step.leaf, inputs, replace(step.output, width=step.output.height))


def _part(value: Value, behind_gates: set[str]) -> str | None:
    match value:
        case Route():
            return "route"
        case Gate():
            return "gate"
        case Apply():
            return "output" if value.node.startswith("outputs.") else "cell" if value.name in behind_gates else "fixed"
    return None


def gated(graph: RouteGraph) -> set[str]:
    """Values that only routes of gates read, directly or through other values, gates that only such routes consult
    among them."""
    free: set[str] = set()
    for value in reversed(graph.values):
        if isinstance(value, Output) or (value.name in free and isinstance(value, (Apply, Merge, Gate))):
            free.update(value.args)
        elif isinstance(value, Route) and (value.name in free or not graph.readers[value.name]):
            free.add(value.gate)
    return {value.name for value in graph.values} - free


def _entries(graph: RouteGraph) -> set[str]:
    """Nodes that no route of another node feeds."""
    fed: set[str] = set()
    for value in graph.values:
        for arg in value.args:
            source = graph.by_name[arg]
            if source.node and source.node != value.node:
                fed.add(value.node)
    return {value.node for value in graph.values} - fed
