"""RouteGraph: one space as a flat list of named values, each made from values before it.

A value is a *stream*: per image a tensor or nothing. Everything a form needs to know is here and nothing about how
forms run it: no torch, no spans to parse, numbers only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from routespace.diagnostics import Span
from routespace.space.model import Space
from routespace.space.shape import Stride


@dataclass(frozen=True, slots=True)
class Leaf:
    """One registered op with every argument filled in. `channels` are those of its inputs."""

    entry: str
    args: tuple[tuple[str, Any], ...]
    channels: tuple[int, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sequential:
    """`a | b | c`; empty is the identity."""

    parts: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """`a + b`: every part reads the same input, the results are merged by `merge`."""

    parts: tuple[Op, ...]
    merge: str = "sum"


Op: TypeAlias = Leaf | Sequential | Parallel

IDENTITY = Sequential(())


@dataclass(frozen=True, slots=True)
class Atom:
    """The event that route `index` of `gate` is open; index None: that the gate is closed for the image."""

    gate: str
    index: int | None


Guard: TypeAlias = tuple[Atom, ...] | None
"""When a value is computed: for images where any of the atoms holds; None: wherever its inputs are something."""


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    channels: int
    stride: Stride
    span: Span | None = field(default=None, compare=False, repr=False)
    node: str = ""

    @property
    def args(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Apply:
    """An op of one stream (or, when `op` is a variadic leaf, of several): nothing in, nothing out.

    `part` tells what it was before its gates were fixed: a "cell" or a "route". Values with the same `weights` share
    one set of them, kept under that name; "" has its own.
    """

    name: str
    node: str
    op: Op
    args: tuple[str, ...]
    guard: Guard = None
    part: str = ""
    weights: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Merge:
    """Streams that arrive become one; those that are nothing are left out, all nothing is nothing.

    `arrives` marks the entry of a node: under `live always` it is zeros where nothing arrives.
    """

    name: str
    node: str
    kind: str
    args: tuple[str, ...]
    arrives: bool = True
    guard: Guard = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Gate:
    """Weights α (N, routes) of the images where its input is something; maps (N, routes, H, W) per position.

    An image is closed when no route is open, or when the weights sum to less than `below`. Per position, a route is
    open or shut at each; the stream it makes is there wherever its source is, and zero where it is shut. `gradient`
    says which routes teach the gate in training: "all", or those that are "open".
    """

    name: str
    node: str
    args: tuple[str, ...]
    body: Op
    activation: str
    activation_args: tuple[tuple[str, Any], ...]
    routes: tuple[str, ...]
    start: float | None
    granularity: Literal["image", "position"] = "image"
    below: float = 0.0
    gradient: Literal["all", "open"] = "open"
    guard: Guard = None
    weights: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """α·op(source) where route `index` of `gate` is open.

    For a closed image: the value `closed` if there is one, else nothing. `sends` marks a route that leaves a node
    (as against a gated term of a sum): under `by_node` it delivers zeros where its node ran with this route shut.
    A `pruned` one has no op, and for images where it is open there is no answer.
    """

    name: str
    node: str
    gate: str
    index: int
    op: Op
    source: str
    closed: str | None = None
    sends: bool = True
    pruned: bool = False
    guard: Guard = None
    weights: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def args(self) -> tuple[str, ...]:
        return (self.source,) if self.closed is None else (self.source, self.closed)


@dataclass(frozen=True, slots=True)
class Zero:
    """Zeros of the shape that value `like` has in the graph they were taken from: what a shut route delivers."""

    name: str
    node: str
    channels: int
    stride: Stride
    like: str
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def args(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Output:
    """A named result; what is nothing is read as zeros."""

    name: str
    key: str
    args: tuple[str, ...]
    span: Span | None = field(default=None, compare=False, repr=False)
    node: str = ""


Value: TypeAlias = Input | Apply | Merge | Gate | Route | Zero | Output


@dataclass(frozen=True, slots=True)
class Node:
    """A place of the space: its name, its index on the axes and the position it is drawn at."""

    name: str
    index: tuple[tuple[str, int], ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Budget:
    """`kind((quantity / reference), target)·weight`, switched on at `start` and ramped over `ramp` of training."""

    kind: str
    target: float
    weight: float
    start: float = 0.0
    ramp: float = 0.0


@dataclass(frozen=True, slots=True)
class Policies:
    """What a space declares once; `live` per mode."""

    live_training: str = "by_route"
    live_inference: str = "by_route"
    init: str = "kaiming"
    init_args: tuple[tuple[str, Any], ...] = ()
    cost: str = "macs"
    budget: Budget | None = None


@dataclass(frozen=True, eq=False)
class RouteGraph:
    """A space ready to be lowered: values in an order in which each reads only earlier ones.

    `sizing` is the graph whose streams say how large a scale is, where values were taken out of it; `probe` is a size
    (height, width) of images that fit.
    """

    name: str
    values: tuple[Value, ...]
    nodes: tuple[Node, ...]
    policies: Policies
    probe: tuple[int, int] = (192, 256)
    sizing: RouteGraph | None = field(default=None, repr=False)
    space: Space | None = field(default=None, compare=False, repr=False)

    @cached_property
    def results(self) -> dict[Callable[..., Any], dict[Any, Any]]:
        """What was computed of the graph and is `kept` with it, by rule and arguments."""
        return {}

    @cached_property
    def by_name(self) -> dict[str, Value]:
        return {value.name: value for value in self.values}

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """Names of the values that read each value."""
        found: dict[str, list[str]] = {value.name: [] for value in self.values}
        for value in self.values:
            args = value.args
            for arg in args if len(args) < 2 else dict.fromkeys(args):
                found[arg].append(value.name)
            if isinstance(value, Route):
                found[value.gate].append(value.name)
        return found

    @cached_property
    def gates(self) -> tuple[Gate, ...]:
        return tuple(value for value in self.values if isinstance(value, Gate))

    @cached_property
    def routes_of(self) -> dict[str, tuple[Route, ...]]:
        """The routes of each gate, in logit order."""
        found: dict[str, list[Route]] = {gate.name: [] for gate in self.gates}
        for value in self.values:
            if isinstance(value, Route):
                found[value.gate].append(value)
        return {gate: tuple(sorted(routes, key=lambda route: route.index)) for gate, routes in found.items()}


def is_per_position(graph: RouteGraph, route: Route) -> bool:
    """Whether the gate of a route decides per position."""
    gate = graph.by_name[route.gate]
    return isinstance(gate, Gate) and gate.granularity == "position"
