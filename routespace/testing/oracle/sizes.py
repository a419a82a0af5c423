"""Sizes of everything in a graph for one image size, counted window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from routespace.graph.ir import (
    Apply,
    Gate,
    Input,
    Leaf,
    Merge,
    Op,
    Output,
    Parallel,
    Route,
    RouteGraph,
    Sequential,
    Value,
    Zero,
)
from routespace.space.registry import OPS
from routespace.space.shape import Shape, Stride

Size = tuple[int, int]
Sizes = Size | tuple[tuple[str, Size], ...]
"""Height and width of an image, or of every input by its name, the first level of a pyramid first."""

_IMAGE: Stride = 1


@dataclass(frozen=True)
class Extent:
    """Channels, stride, height and width of one value for one image; what is no map of the image has no stride."""

    channels: int
    stride: Stride | None
    height: int
    width: int

    @property
    def positions(self) -> int:
        return self.height * self.width

    @property
    def elements(self) -> int:
        return self.channels * self.height * self.width

    @property
    def shape(self) -> Shape:
        return Shape(self.channels, self.stride or 0, self.height, self.width)


@dataclass(frozen=True)
class Step:
    """One leaf where it is applied: its path in the state dict and what goes in and comes out."""

    path: str
    leaf: Leaf
    inputs: tuple[Extent, ...]
    output: Extent


@dataclass(frozen=True)
class Plan:
    """Extents and leaves of every value, and the size of every stride, for one image size."""

    extents: dict[str, Extent]
    steps: dict[str, tuple[Step, ...]]
    sizes: dict[Stride, Size]


def leaf_paths(path: str, op: Op) -> list[tuple[str, Leaf]]:
    """Every leaf of `op` with the name of its module when `op` is called `path`."""
    if isinstance(op, Leaf):
        return [(path, op)]
    return [found for place, part in enumerate(op.parts) for found in leaf_paths(f"{path}.{place}", part)]


def op_of(value: object) -> tuple[str, Op] | None:
    """Path and op of a value that has one."""
    match value:
        case Apply() | Route():
            return f"{value.name}.op", value.op
        case Gate():
            return f"{value.name}.body", value.body
    return None


def state_paths(graph: RouteGraph) -> dict[str, str]:
    """Path of every leaf to the one that its weights have in the oracle's state dict: that of the name under which
    values share them, or its own."""
    found: dict[str, str] = {}
    for value in graph.values:
        place = op_of(value)
        if place is None or not is_run(graph, value):
            continue
        common = getattr(value, "weights", "")
        for path, leaf in leaf_paths(*place):
            shared = common and leaf_has_weights(leaf)
            found[path] = common + path.removeprefix(value.name) if shared else path
    return found


def is_run(graph: RouteGraph, value: Value) -> bool:
    """Whether a value is made at all: a route that nobody reads is kept for conventions that charge it."""
    return not isinstance(value, Route) or bool(graph.readers[value.name])


def leaf_has_weights(leaf: Leaf) -> bool:
    """Whether the module of a leaf has trained numbers."""
    rule = OPS[leaf.entry].params
    return rule is None or rule(dict(leaf.args), leaf.channels) > 0


def plan(graph: RouteGraph, size: Sizes, padded: bool = False) -> Plan:
    """The plan of `graph` for images of `size`, or for a pyramid whose levels have the sizes given. `ValueError` where
    the size does not fit.

    `padded` counts as the released dynamic-routing code does: a window op gives ceil(size / stride) positions whatever
    its padding is.
    """
    levels = {} if isinstance(size[0], int) else dict(size)
    sizes: dict[Stride, Size] = {_IMAGE: _image(graph, size, levels)}
    extents: dict[str, Extent] = {}
    steps: dict[str, tuple[Step, ...]] = {}
    for value in graph.values:
        inputs = [extents[arg] for arg in value.args]
        found: list[Step] = []
        match value:
            case Input():
                extent = Extent(
                    value.channels, value.stride, *(levels.get(value.name) or size_at(value.stride, {_IMAGE: sizes[1]}))
                )
            case Zero():
                raise ValueError(f"`{value.name}` is taken out of another graph, whose sizes are not known here")
            case Merge():
                extent = _merged(value.kind, inputs)
            case Output():
                extent = inputs[0]
            case Apply():
                extent = _op(value.op, f"{value.name}.op", inputs, sizes, padded, found)
            case Gate():
                extent = _op(value.body, f"{value.name}.body", inputs, sizes, padded, found)
            case Route():
                extent = _op(value.op, f"{value.name}.op", inputs[:1], sizes, padded, found)
        extents[value.name] = extent
        steps[value.name] = tuple(found)
        if not padded:
            _hold(graph, value, extents)
        if extent.stride is not None and extent.stride not in sizes and not isinstance(value, (Gate, Output)):
            sizes[extent.stride] = extent.height, extent.width
    return Plan(extents, steps, sizes)


def _hold(graph: RouteGraph, value: Value, extents: Mapping[str, Extent]) -> None:
    """`ValueError` where there are more decisions, or fewer, than places that they are about."""
    own = extents[value.name]
    if isinstance(value, Gate) and value.granularity == "image" and own.positions != 1:
        raise ValueError(f"gate `{value.name}` decides {own.positions} times for an image")
    if not isinstance(value, Route):
        return
    gate = graph.by_name[value.gate]
    others = [extents[value.closed]] if value.closed is not None else []
    if isinstance(gate, Gate) and gate.granularity == "position":
        others.append(extents[gate.name])
    if any((other.height, other.width) != (own.height, own.width) for other in others):
        raise ValueError(f"`{value.name}` is {own}, what decides it or stands for it is {others}")


def _image(graph: RouteGraph, size: Sizes, levels: Mapping[str, Size]) -> Size:
    """The size of the images that the levels of a pyramid belong to: what the first one covers."""
    for value in graph.values:
        if isinstance(value, Input) and value.name in levels:
            height, width = levels[value.name]
            return int(height * value.stride), int(width * value.stride)
    return cast("Size", size)


def size_at(stride: Stride, sizes: dict[Stride, Size]) -> Size:
    """Height and width of streams of a stride; from then on, the image's rounded up where none is known."""
    if stride not in sizes:
        height, width = sizes[_IMAGE]
        sizes[stride] = max(1, -(-height // stride)), max(1, -(-width // stride))
    return sizes[stride]


def _merged(kind: str, inputs: Sequence[Extent]) -> Extent:
    strides = {x.stride for x in inputs if x.stride is not None}
    if len(strides) > 1 or len({(x.height, x.width) for x in inputs}) > 1:
        raise ValueError(f"streams of different sizes meet in a `{kind}`: {list(inputs)}")
    channels = sum(x.channels for x in inputs) if kind == "concat" else inputs[0].channels
    return Extent(channels, strides.pop() if strides else None, inputs[0].height, inputs[0].width)


def _op(
    op: Op, path: str, inputs: Sequence[Extent], sizes: dict[Stride, Size], padded: bool, found: list[Step]
) -> Extent:
    if isinstance(op, Sequential):
        (current,) = inputs
        for place, part in enumerate(op.parts):
            current = _op(part, f"{path}.{place}", [current], sizes, padded, found)
        return current
    if isinstance(op, Parallel):
        parts = [_op(part, f"{path}.{place}", inputs, sizes, padded, found) for place, part in enumerate(op.parts)]
        return _merged(op.merge, parts)
    output = _leaf(op, inputs, sizes, padded)
    found.append(Step(path, op, tuple(inputs), output))
    return output


def _leaf(leaf: Leaf, inputs: Sequence[Extent], sizes: dict[Stride, Size], padded: bool) -> Extent:
    args = dict(leaf.args)
    x = inputs[0]
    match leaf.entry:
        case "conv" | "depthwise" | "maxpool" | "avgpool":
            channels = args.get("channels") or x.channels
            height, width = (_windows(length, args, padded) for length in (x.height, x.width))
            return Extent(channels, None if x.stride is None else x.stride * args["stride"], height, width)
        case "mean":
            return Extent(x.channels, None, 1, 1)
        case "resize" if args["by"] is not None:
            by = Fraction(args["by"])
            height, width = (max(1, int(length * by)) for length in (x.height, x.width))
            return Extent(x.channels, None if x.stride is None else x.stride / by, height, width)
        case "resize":
            return Extent(x.channels, args["to"], *size_at(args["to"], sizes))
        case "ladder_decoder":
            return Extent(args["classes"], _IMAGE, *sizes[_IMAGE])
        case (
            "identity" | "scale" | "learned" | "batchnorm" | "groupnorm" | "relu" | "gelu" | "silu" | "sigmoid" | "tanh"
        ):
            return x
    return _registered(leaf, inputs, sizes)


def _windows(length: int, args: Mapping[str, int | None], padded: bool) -> int:
    """How many windows start inside a padded row of `length`; `ValueError` where none does."""
    kernel, stride, dilation = (int(args.get(name) or 1) for name in ("kernel", "stride", "dilation"))
    reach = dilation * (kernel - 1)
    pad = args.get("pad")
    if pad is None or padded:
        pad = reach // 2
    starts = range(0, length + 2 * pad - reach, stride)
    if not starts:
        raise ValueError(f"no window of {reach + 1} fits a row of {length}, padded by {pad}")
    return len(starts)


def _registered(leaf: Leaf, inputs: Sequence[Extent], sizes: dict[Stride, Size]) -> Extent:
    """An op the oracle does not know has the shape it was registered with."""
    entry = OPS[leaf.entry]
    args = dict(leaf.args)
    if entry.targets:
        args["size"] = size_at(args.get("to") or _IMAGE, sizes)
    shape = entry.shape(args, tuple(x.shape for x in inputs))
    return Extent(shape.channels, shape.stride or None, shape.height, shape.width)
