"""Fixing: the graph of a net. Gates go, what they would skip goes, what is left has constant weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

from routespace.graph.infer import infer
from routespace.graph.ir import (
    Apply,
    Gate,
    Input,
    Leaf,
    Merge,
    Output,
    Route,
    RouteGraph,
    Value,
    Zero,
)
from routespace.graph.nets import Held
from routespace.graph.order import reads
from routespace.graph.passes.guard import guard
from routespace.space.registry import MERGES


def fix(graph: RouteGraph, held: Held) -> RouteGraph:
    """`graph` with every gate replaced by the weights of `held`, for inference.

    What each stream is (something, zeros, nothing) no longer depends on the image, so it is followed here once:
    closed rules are taken, nothing is dropped from merges, and what no output needs is left out.
    """
    if not graph.gates:
        return graph
    return _Fixer(guard(graph), held).run()


@dataclass(frozen=True, slots=True)
class _Zeros:
    """A stream that is there and zero, of the shape of value `like`."""

    like: str


_Stream = str | _Zeros | None


class _Fixer:
    def __init__(self, graph: RouteGraph, held: Held) -> None:
        self.graph, self.held = graph, held
        self.shapes = infer(graph, graph.probe).shapes
        self.streams: dict[str, _Stream] = {}
        self.values: list[Value] = []
        self.live = graph.policies.live_inference

    def run(self) -> RouteGraph:
        consulted: dict[str, bool] = {}
        for value in self.graph.values:
            match value:
                case Input() | Zero():
                    self.put(value)
                case Apply():
                    self.apply(value)
                case Merge():
                    self.merge(value)
                case Gate():
                    consulted[value.name] = self.streams[value.args[0]] is not None
                case Route():
                    self.route(value, consulted[value.gate])
                case Output():
                    source = self.streams[value.args[0]]
                    name = self.tensor(source if source is not None else _Zeros(value.args[0]))
                    self.values.append(replace(value, args=(name,)))
        values = _needed(self.values)
        nodes = {value.node for value in values}
        return replace(
            self.graph,
            values=values,
            nodes=tuple(node for node in self.graph.nodes if node.name in nodes),
            sizing=self.graph.sizing or self.graph,
        )

    def put(self, value: Value) -> None:
        self.values.append(value)
        self.streams[value.name] = value.name

    def tensor(self, stream: _Stream) -> str:
        """Name of a value for a stream that is there; zeros are made where they are read."""
        assert stream is not None
        if isinstance(stream, str):
            return stream
        name = f"{stream.like}_zeros"
        if all(value.name != name for value in self.values):
            shape = self.shapes[stream.like]
            self.values.append(
                Zero(name, self.graph.by_name[stream.like].node, shape.channels, shape.stride, stream.like)
            )
        return name

    def apply(self, value: Apply) -> None:
        sources = [self.streams[arg] for arg in value.args]
        if all(source is None for source in sources) or (len(sources) == 1 and sources[0] is None):
            self.streams[value.name] = None
            return
        args = tuple(
            self.tensor(source if source is not None else _Zeros(arg))
            for arg, source in zip(value.args, sources, strict=True)
        )
        part = "cell" if value.guard is not None else ""
        self.put(replace(value, args=args, guard=None, part=part))

    def merge(self, value: Merge) -> None:
        entry = MERGES[value.kind]
        sources = [(arg, self.streams[arg]) for arg in value.args]
        there = [(arg, source) for arg, source in sources if source is not None]
        if not there:
            nothing = not (value.arrives and self.live == "always")
            self.streams[value.name] = None if nothing else _Zeros(value.name)
            return
        if entry.ordered:
            there = [(arg, source if source is not None else _Zeros(arg)) for arg, source in sources]
        if all(isinstance(source, _Zeros) for _, source in there):
            self.streams[value.name] = _Zeros(value.name)
            return
        if entry.neutral == "zero" and not entry.ordered:
            there = [(arg, source) for arg, source in there if not isinstance(source, _Zeros)]
        args = tuple(self.tensor(source) for _, source in there)
        if len(args) == 1 and not entry.outside:
            self.streams[value.name] = args[0]
            return
        self.put(replace(value, args=args, guard=None))

    def scaled(self, value: Route, weight: float) -> None:
        """What a route makes, times its weight: a value of its own, so that the op keeps the names of its weights."""
        times = Leaf("scale", (("weight", weight),), (self.shapes[value.name].channels,))
        name = f"{value.name}_scaled"
        self.values.append(Apply(name, value.node, times, (value.name,), part="route", span=value.span))
        self.streams[value.name] = name

    def route(self, value: Route, consulted: bool) -> None:
        weights = self.held.weights[value.gate]
        gate = self.graph.by_name[value.gate]
        assert isinstance(gate, Gate)
        weight = weights[value.index]
        running = any(one > 0 for one in weights) and not sum(one for one in weights if one > 0) < gate.below
        source = self.streams[value.source]
        if not consulted:
            self.streams[value.name] = None
        elif gate.granularity == "position" and not weight > 0:
            self.streams[value.name] = _Zeros(value.name)
        elif not running:
            self.streams[value.name] = None if value.closed is None else self.streams[value.closed]
        elif weight > 0:
            if source is None:
                self.streams[value.name] = None
            else:
                args = (self.tensor(source),)
                self.put(Apply(value.name, value.node, value.op, args, None, "route", value.weights, value.span))
                if weight != 1.0:
                    self.scaled(value, weight)
        else:
            zeros = value.sends and self.live != "by_route"
            self.streams[value.name] = _Zeros(value.name) if zeros else None


def _needed(values: list[Value]) -> tuple[Value, ...]:
    wanted = {value.name for value in values if isinstance(value, Output)}
    for value in reversed(values):
        if value.name in wanted:
            wanted.update(reads(value))
    return tuple(value for value in values if value.name in wanted or isinstance(value, Input))
