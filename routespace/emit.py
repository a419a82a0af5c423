"""RouteGraph → `torch.fx.GraphModule`. The only file that writes `torch.fx` graphs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from routespace.graph.infer import Sizes, infer
from routespace.graph.ir import (
    Apply,
    Atom,
    Gate,
    Guard,
    Input,
    Leaf,
    Merge,
    Op,
    Output,
    Parallel,
    Route,
    RouteGraph,
    Sequential,
    Zero,
    is_per_position,
)
from routespace.graph.ledger import Row, ledger, price
from routespace.graph.params import leaves
from routespace.graph.sizes import refusal
from routespace.graph_module import CompiledModule, UncompiledModule
from routespace.modules import coupling, factory, op_module
from routespace.runtime import dense, export, export_maps, fixed, maps, sparse, sparse_maps
from routespace.runtime.errors import InputError
from routespace.runtime.frame import Begin, BeginPyramid, Size
from routespace.runtime.leaves import GateParts, RouteParts
from routespace.runtime.meter import Listed, Meter, PriceList, Unit
from routespace.runtime.report import Report
from routespace.runtime.tree import borrow
from routespace.runtime.watch import note
from routespace.space.conventions import CONVENTIONS
from routespace.space.registry import ACTIVATIONS, MERGES, OPS
from routespace.space.shape import Stride
from routespace.targets import BEGIN, REPORT, shared_target, targets_of

FORMS = {"dense": dense, "sparse": sparse, "export": export, "fixed": fixed}
MAPS = {"dense": maps, "sparse": sparse_maps, "export": export_maps}
"""Gates per position and their routes, by form."""


def emit(graph: RouteGraph, form: str, debug: bool = False) -> fx.GraphModule:
    """A graph module that runs `graph` in `form`; `graph` has been through the passes of that form."""
    return _Emitter(graph, FORMS[form], MAPS.get(form), debug).run()


class _Emitter:
    def __init__(self, graph: RouteGraph, family: Any, maps: Any, debug: bool) -> None:
        self.graph, self.family, self.maps, self.debug = graph, family, maps, debug
        self.root = nn.Module()
        self.targets = targets_of(graph)
        self.fx = fx.Graph()
        self.nodes: dict[str, fx.Node] = {}
        self.gates = [gate.name for gate in graph.gates]
        self.places = {name: place for place, name in enumerate(self.gates)}
        self.rows = ledger(graph, graph.probe)
        self.units = {row.value: place for place, row in enumerate(self.rows)}
        self.owners: dict[str, nn.Module] = {}
        self.leaves: dict[str, nn.Module] = {}
        policies = graph.policies
        self.always = (policies.live_inference == "always", policies.live_training == "always")
        self.zeros = (policies.live_inference != "by_route", policies.live_training != "by_route")

    def run(self) -> fx.GraphModule:
        inputs = [value for value in self.graph.values if isinstance(value, Input)]
        source = inputs[0]
        name, _, label = source.name.partition(".")
        self.images = self.fx.placeholder(name if label else "images")
        graph = self.graph

        def sizes_of(size: Sizes) -> tuple[dict[Stride, Size], dict[str, Size]]:
            why = refusal(graph, size)
            if why is not None:
                raise InputError(why)
            found = infer(graph, size)
            return found.sizes, {name: shape.size for name, shape in found.shapes.items()}

        self.begin: Begin | BeginPyramid
        if label:
            levels = [(one.name, one.name.partition(".")[2], one.channels, one.stride) for one in inputs]
            self.begin = BeginPyramid(name, levels, sizes_of)
        else:
            self.begin = Begin(source.name, source.channels, sizes_of)
        self.frame = self.place(BEGIN, self.begin, self.images)
        for value in graph.values:
            getattr(self, f"_{type(value).__name__.lower()}")(value)
        self._rectify()
        self.fx.output(self._report())
        kind = UncompiledModule if self.family is sparse else CompiledModule
        module = kind(self.root, self.fx, class_name=_class_name(graph.name))
        for target, owner in self.owners.items():
            module.add_submodule(target, owner)
        module.graph.lint()
        return module

    def call(self, name: str, leaf: nn.Module, *args: fx.Node) -> fx.Node:
        """A call of the leaf that makes the value `name`."""
        if hasattr(leaf, "unit"):
            leaf.unit = self.units[name]  # type: ignore[assignment]
        self.leaves[name] = leaf
        self.nodes[name] = self.place(self.targets[name], leaf, *args)
        return self.nodes[name]

    def place(self, target: str, leaf: nn.Module, *args: fx.Node) -> fx.Node:
        parent = self.root
        *path, last = target.split(".")
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        parent.add_module(last, leaf)
        return self.fx.call_module(target, args)

    def guard(self, guard: Guard) -> tuple[tuple[tuple[int, int | None], ...] | None, list[fx.Node]]:
        """A guard as places among the decisions passed, and those decisions."""
        if guard is None:
            return None, []
        gates = list(dict.fromkeys(atom.gate for atom in guard))
        return tuple((gates.index(atom.gate), atom.index) for atom in guard), [self.nodes[gate] for gate in gates]

    def _input(self, value: Input) -> None:
        self.call(value.name, self.family.Source(value.name), self.frame)

    def _zero(self, value: Zero) -> None:
        self.call(value.name, self.family.Blank(value.channels, value.name), self.frame)

    def op(self, op: Op, weights: str, child: str) -> tuple[nn.Module, bool]:
        """The torch module of an op; where weights are shared, one that borrows them from their owner."""
        whole = op if not weights or isinstance(op, (Sequential, Parallel)) else Sequential((op,))
        module, targets = op_module(whole)
        if weights:
            target = f"{shared_target(weights)}.{child}"
            if target not in self.owners:
                self.owners[target] = op_module(whole)[0]
                note(self.owners[target])
            borrow(module, self.owners[target])
        note(module)
        return module, targets

    def is_summed_once(self, route: Route) -> bool:
        """Whether all that reads a route is one term of one sum, which may then write into it."""
        readers = [self.graph.by_name[name] for name in self.graph.readers[route.name]]
        only = readers[0] if len(readers) == 1 else None
        return isinstance(only, Merge) and only.kind == "sum" and only.args.count(route.name) == 1

    def _rectify(self) -> None:
        """Tell the values that only routes read which these are."""
        for value in self.graph.values:
            leaf = self.leaves.get(value.name)
            if not isinstance(leaf, sparse.Apply):
                continue
            readers = [self.graph.by_name[name] for name in self.graph.readers[value.name]]
            routes = [self.leaves.get(reader.name) for reader in readers]
            closing = any(isinstance(reader, Route) and reader.closed == value.name for reader in readers)
            if not closing and all(isinstance(route, sparse.Route) for route in routes):
                leaf.readers = tuple(route for route in routes if isinstance(route, sparse.Route))

    def is_merged_only(self, route: Route) -> bool:
        """Whether merges and outputs alone read a route: they know zeros without a tensor of them."""
        return all(isinstance(self.graph.by_name[name], (Merge, Output)) for name in self.graph.readers[route.name])

    def leaf_units(self, route: Route) -> tuple[int | None, ...]:
        """For each leaf of a route that is decided per position, its place in the ledger; None where it is free."""
        places = {row.name: place for place, row in enumerate(self.rows)}
        return tuple(places.get(f"{route.name}:{leaf}") for leaf, _ in enumerate(leaves(route.op)))

    def _apply(self, value: Apply) -> None:
        op, targets = self.op(value.op, value.weights, "op")
        args = [self.nodes[arg] for arg in value.args]
        if isinstance(value.op, Leaf) and OPS[value.op.entry].variadic:
            leaf = self.family.Gather(op, targets, coupling(value.op), self.widths(value.args))
            self.call(value.name, leaf, self.frame, *args)
            return
        atoms, decisions = self.guard(value.guard)
        leaf = self.family.Apply(op, targets, self.statistics(value), atoms)
        self.call(value.name, leaf, self.frame, *args, *decisions)

    def statistics(self, value: Apply) -> str | None:
        """Which images a value is computed for in training: "all" where batch statistics behind it want all."""
        own = coupling(value.op)
        if own == "all" or value.guard is None or (own is None and self.family.tally != "trace"):
            return own
        waiting, seen = [value.name], {value.name}
        while waiting:
            for reader in self.graph.readers[waiting.pop()]:
                behind = self.graph.by_name[reader]
                if isinstance(behind, (Apply, Route)) and coupling(behind.op) == "all":
                    return "all"
                if isinstance(behind, (Apply, Merge)) and behind.guard is not None and reader not in seen:
                    seen.add(reader)
                    waiting.append(reader)
        return own

    def _merge(self, value: Merge) -> None:
        entry = MERGES[value.kind]
        neutral = 0.0 if entry.neutral == "zero" else -math.inf
        always = self.always if value.arrives else (False, False)
        widths = self.widths(value.args)
        zeros = neutral == 0.0 and not entry.outside
        leaf = self.family.Merge(factory(entry.factory)(), neutral, always, entry.ordered, widths, zeros)
        self.call(value.name, leaf, self.frame, *(self.nodes[arg] for arg in value.args))

    def _gate(self, value: Gate) -> None:
        body, targets = self.op(value.body, value.weights, "body")
        activation = factory(ACTIVATIONS[value.activation].factory)(**dict(value.activation_args))
        make = self.maps.Gate if value.granularity == "position" else self.family.Gate
        coupled = coupling(value.body) is not None
        teaches = value.gradient == "all"
        slope = teaches or ACTIVATIONS[value.activation].straight_through
        leaf = make(GateParts(body, targets, activation, value.routes, value.below, coupled, slope, teaches))
        leaf.node, leaf.name = value.node, value.name
        atoms, decisions = self.guard(value.guard)
        leaf.atoms = atoms
        self.call(value.name, leaf, self.frame, self.nodes[value.args[0]], *decisions)

    def _route(self, value: Route) -> None:
        if not self.graph.readers[value.name]:
            return
        zeros = self.zeros if value.sends else (False, False)
        family = self.maps if is_per_position(self.graph, value) else self.family
        closed = [] if value.closed is None else [self.nodes[value.closed]]
        if value.pruned:
            leaf = family.Pruned(value.index, value.closed is not None, zeros)
            self.call(value.name, leaf, self.frame, self.nodes[value.gate], *closed)
            return
        op, targets = self.op(value.op, value.weights, "op")
        leaf = family.Route(RouteParts(op, targets, coupling(value.op), value.index, value.closed is not None, zeros))
        if hasattr(leaf, "units"):
            leaf.units = self.leaf_units(value)
        if hasattr(leaf, "filled") and not self.is_merged_only(value):
            ((name, channels),) = self.widths((value.name,))
            leaf.filled = name, channels
        if hasattr(leaf, "summed"):
            leaf.summed = self.is_summed_once(value)
        self.call(value.name, leaf, self.frame, self.nodes[value.source], self.nodes[value.gate], *closed)

    def _output(self, value: Output) -> None:
        ((name, channels),) = self.widths(value.args)
        self.call(value.name, self.family.Sink(name, channels), self.frame, self.nodes[value.args[0]])

    def widths(self, names: Sequence[str]) -> list[tuple[str, int]]:
        """Values and their channels."""
        shapes = infer(self.graph, self.graph.probe).shapes
        return [(name, shapes[name].channels) for name in names]

    def _report(self) -> fx.Node:
        graph = self.graph
        watched: list[str] = []
        units = [self._unit(row, watched) for row in self.rows]
        meter = Meter(units, [len(gate.routes) for gate in graph.gates], price_list(graph), graph.policies.cost)
        outputs = [value for value in graph.values if isinstance(value, Output)]
        keys = [value.key for value in outputs]
        gates = [(gate.node, gate.routes) for gate in graph.gates]
        mapped = {place for place, gate in enumerate(graph.gates) if gate.granularity == "position"}
        report = Report(meter, keys, gates, len(watched), self.family.tally, self.family.presence, self.debug, mapped)
        return self.place(
            REPORT,
            report,
            self.frame,
            *(self.nodes[value.name] for value in outputs),
            *(self.nodes[gate] for gate in self.gates),
            *(self.nodes[name] for name in watched),
        )

    def _unit(self, row: Row, watched: list[str]) -> Unit:
        places = self.places
        value = self.graph.by_name[row.value]
        if isinstance(value, Gate):
            return Unit(value.name, value.name, None, gate=places[value.name])
        assert isinstance(value, (Apply, Route))
        atoms = (Atom(value.gate, value.index),) if isinstance(value, Route) else value.guard
        source = value.source if isinstance(value, Route) else value.name
        present = None
        if not self._implied(source, atoms):
            if source not in watched:
                watched.append(source)
            present = watched.index(source)
        if row.position is not None:
            assert isinstance(value, Route)
            return Unit(
                row.name,
                value.name,
                None,
                present=present,
                route=(places[value.gate], value.index),
                sent=row.sent,
            )
        coded = None if atoms is None else tuple((places[atom.gate], atom.index) for atom in atoms)
        return Unit(value.name, value.name, coded, present=present)

    def _implied(self, name: str, atoms: Guard) -> bool:
        """Whether a value is there whenever its atoms hold: it hangs on what their gates read, or on an input."""
        root = self._root(name)
        if isinstance(self.graph.by_name[root], Input):
            return True
        return bool(atoms) and all(self._root(self.graph.by_name[atom.gate].args[0]) == root for atom in atoms or ())

    def _root(self, name: str) -> str:
        value = self.graph.by_name[name]
        while isinstance(value, Apply) and len(value.args) == 1:
            value = self.graph.by_name[value.args[0]]
        return value.name


def price_list(graph: RouteGraph) -> PriceList:
    """Prices of a graph's working values, in order, for an image size and a convention."""

    def prices(size: Sizes, name: str) -> Listed:
        convention = CONVENTIONS[name]
        rows = ledger(graph, size)
        found = [price(row, convention) for row in rows]
        return Listed(
            [one.expected for one in found],
            [one.hard for one in found],
            [one.executed for one in found],
            [one.always_hard for one in found],
            [row.positions for row in rows],
            [row.position or () for row in rows],
            convention,
        )

    return prices


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_")) or "Space"
