"""Shapes and costs of every value at one image size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias, TypeGuard, cast

from routespace.diagnostics import Span
from routespace.graph.ir import (
    Apply,
    Gate,
    Input,
    Leaf,
    Merge,
    Op,
    Output,
    Route,
    RouteGraph,
    Sequential,
    Value,
    Zero,
    is_per_position,
)
from routespace.graph.kept import kept
from routespace.graph.ops import leaf_cost, leaf_shape
from routespace.graph.shapes import (
    IMAGE_STRIDE,
    check_closed,
    check_decision,
    check_merge,
    check_positions,
    fix_scale,
    merged,
    size_at,
)
from routespace.space.fault import Fault
from routespace.space.shape import NO_COST, Cost, Shape, Stride

Size = tuple[int, int]
Sizes: TypeAlias = "Size | tuple[tuple[str, Size], ...]"
"""The (height, width) of an image, or that of every input by its name."""


class LeafCost(NamedTuple):
    """Work of one leaf of an op on one image, and the sizes of what it reads and of what it makes."""

    cost: Cost
    entering: Size
    leaving: Size

    @property
    def positions(self) -> int:
        return self.leaving[0] * self.leaving[1]


@dataclass(frozen=True)
class Inferred:
    """What inference found: shapes and costs by value name, and the size that streams of each stride have."""

    shapes: dict[str, Shape]
    costs: dict[str, Cost]
    leaf_costs: dict[str, tuple[LeafCost, ...]]
    sizes: dict[Stride, Size]


@kept
def infer(graph: RouteGraph, size: Sizes, padded: bool = False) -> Inferred:
    """Shapes and costs of `graph` for images of `size`; inputs at a stride have its share of it, rounded up.

    `padded` counts as if every window were padded to keep its size (a convention of released code). Raises `Fault`
    where the size does not fit: it is too small for an op, streams that merge come out unequal, or a gate gives
    decisions for other positions than it decides.
    """
    return _Inference(graph, size, padded).run()


def image_size(graph: RouteGraph, size: Sizes) -> Size:
    """Size of the images that inputs of `size` belong to; of a pyramid, what its first level covers."""
    if not _by_name(size):
        return cast("Size", size)
    name, (height, width) = size[0]
    stride = next(value.stride for value in graph.values if isinstance(value, Input) and value.name == name)
    return int(height * stride), int(width * stride)


def _by_name(size: Sizes) -> TypeGuard[tuple[tuple[str, Size], ...]]:
    return isinstance(size[0], tuple)


class _Inference:
    def __init__(self, graph: RouteGraph, size: Sizes, padded: bool) -> None:
        self.graph, self.padded = graph, padded
        self.given: dict[str, Size] = dict(size) if _by_name(size) else {}
        image = image_size(graph, size)
        self.whole = infer(graph.sizing, size, padded) if graph.sizing is not None else None
        known = self.whole.sizes if self.whole is not None else {}
        self.sizes: dict[Stride, Size] = {**known, IMAGE_STRIDE: image}
        self.shapes: dict[str, Shape] = {}
        self.known: dict[tuple[int, tuple[Shape, ...]], tuple[Shape, tuple[LeafCost, ...]]] = {}

    def run(self) -> Inferred:
        leaf_costs: dict[str, tuple[LeafCost, ...]] = {}
        for value in self.graph.values:
            try:
                shape, leaves = self._made(value)
            except Fault as fault:
                fault.note(f"at `{value.name}`")
                raise
            self.shapes[value.name] = shape
            leaf_costs[value.name] = leaves
            if not isinstance(value, (Gate, Output)):
                fix_scale(self.sizes, shape)
        costs = {name: sum((leaf.cost for leaf in leaves), NO_COST) for name, leaves in leaf_costs.items()}
        return Inferred(self.shapes, costs, leaf_costs, self.sizes)

    def _made(self, value: Value) -> tuple[Shape, tuple[LeafCost, ...]]:
        """Shape of a value and the cost of each leaf of its op."""
        match value:
            case Input():
                entering = self.given.get(value.name) or size_at(self.sizes[IMAGE_STRIDE], value.stride)
                return Shape(value.channels, value.stride, *entering), ()
            case Zero():
                assert self.whole is not None
                return self.whole.shapes[value.like], ()
            case Route(pruned=True):
                assert self.whole is not None
                return self.whole.shapes[value.name], ()
            case Apply():
                return self.op(value.op, tuple(self.shapes[arg] for arg in value.args))
            case Merge():
                shapes = tuple(self.shapes[arg] for arg in value.args)
                check_merge(value.kind, shapes, [self._span(arg) for arg in value.args], value.span)
                return merged(value.kind, shapes), ()
            case Gate():
                shape, leaves = self.op(value.body, (self.shapes[value.args[0]],))
                if value.granularity == "image" and not self.padded:
                    check_decision(value.name, shape, value.span, value.span, None)
                return shape, leaves
            case Route():
                shape, leaves = self.op(value.op, (self.shapes[value.source],))
                if not self.padded:
                    self._fits(value, shape)
                return shape, leaves
            case Output():
                return self.shapes[value.args[0]], ()

    def _fits(self, route: Route, shape: Shape) -> None:
        """A gate per position decides at every position of what it gates, and closed rules pass on the same shape."""
        if is_per_position(self.graph, route):
            check_positions(route.name, self.shapes[route.gate], shape, route.span, self._span(route.gate))
        if route.closed is not None:
            check_closed(route.name, shape, self.shapes[route.closed], route.span, self._span(route.closed))

    def _span(self, name: str) -> Span | None:
        return self.graph.by_name[name].span

    def op(self, op: Op, inputs: tuple[Shape, ...]) -> tuple[Shape, tuple[LeafCost, ...]]:
        """Shape an op gives and the cost of each of its leaves."""
        key = (id(op), inputs)
        found = self.known.get(key)
        if found is None:
            found = self._op(op, inputs)
            self.known[key] = found
        return found

    def _op(self, op: Op, inputs: tuple[Shape, ...]) -> tuple[Shape, tuple[LeafCost, ...]]:
        if isinstance(op, Leaf):
            counted = _padded(op) if self.padded else op
            shape = leaf_shape(counted, inputs, self.sizes)
            cost = leaf_cost(counted, inputs, shape)
            return shape, (LeafCost(cost, (inputs[0].height, inputs[0].width), (shape.height, shape.width)),)
        leaves: tuple[LeafCost, ...] = ()
        if isinstance(op, Sequential):
            (shape,) = inputs
            for part in op.parts:
                shape, more = self.op(part, (shape,))
                leaves += more
            return shape, leaves
        shapes: list[Shape] = []
        for part in op.parts:
            shape, more = self.op(part, inputs)
            shapes.append(shape)
            leaves += more
        if not self.padded:
            check_merge(op.merge, tuple(shapes), [_first(part) for part in op.parts], None)
        return merged(op.merge, tuple(shapes)), leaves


def _first(op: Op) -> Span | None:
    """Where an op begins."""
    if isinstance(op, Leaf):
        return op.span
    return _first(op.parts[0]) if op.parts else None


def _padded(leaf: Leaf) -> Leaf:
    args = dict(leaf.args)
    if args.get("pad") is None:
        return leaf
    args["pad"] = None
    return replace(leaf, args=tuple(args.items()))
