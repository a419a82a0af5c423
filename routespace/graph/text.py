"""A RouteGraph as text: a line for each value, ops spelled as the language spells them, every number resolved."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from routespace.diagnostics import Findings
from routespace.graph.infer import infer
from routespace.graph.ir import (
    Apply,
    Gate,
    Guard,
    Input,
    Leaf,
    Merge,
    Op,
    Output,
    Parallel,
    Policies,
    Route,
    RouteGraph,
    Sequential,
    Value,
    Zero,
)
from routespace.graph.places import resolve_axes
from routespace.space.expr import Range
from routespace.space.numbers import Numbers
from routespace.space.registry import ACTIVATIONS, OPS, ByMode, Parameter
from routespace.space.scope import Scope


def dump(graph: RouteGraph, size: tuple[int, int] | None = None) -> str:
    """The policies and values of `graph`, one to a line, in graph order; equal graphs give equal text.

    With `size`, the (height, width) of an image, each line ends in the shape that its value has there. Raises `Fault`
    where the size is too small.

    >>> import routespace as rs
    >>> print(dump(rs.build(rs.loads('''space tiny {
    ...   input image: 3
    ...   output y = image | conv(3, 2) | relu
    ... }'''))))
    graph tiny: 0 nodes, 0 gates, 0 routes
    live   by_route in training, by_route in inference
    init   kaiming
    budget none
    cost   macs
    <BLANKLINE>
    input image: 3
    outputs.y = image | conv(3, 2) | relu
    output y = outputs.y
    """
    writer = _Writer(graph)
    shapes = infer(graph, size).shapes if size else {}
    lines = list(_head(graph))
    for value in graph.values:
        shape = shapes.get(value.name)
        lines.append(writer.line(value) + (f"  # {shape}" if shape else ""))
    return "\n".join(lines)


def op_text(graph: RouteGraph, op: Op) -> str:
    """`op` as the language spells it in the space of `graph`.

    >>> import routespace as rs
    >>> graph = rs.build(rs.loads('''space tiny {
    ...   input image: 3
    ...   output y = image | conv(3, 2, stride = 2) | (conv(3) | relu) + identity
    ... }'''))
    >>> op_text(graph, graph.values[1].op)
    'conv(3, 2, stride = 2) | (conv(3, 2) | relu) + identity'
    """
    return _Writer(graph).op(op)


def leaf_args(leaf: Leaf) -> dict[str, Any]:
    """The arguments of a registered op with those that depend on its input settled: padding and output channels."""
    args = dict(leaf.args)
    if "channels" in args and args["channels"] is None:
        args["channels"] = leaf.channels[0]
    if "pad" in args and args["pad"] is None:
        args["pad"] = _same_size_pad(args)
    return args


def _head(graph: RouteGraph) -> Iterator[str]:
    policies = graph.policies
    routes = sum(isinstance(value, Route) for value in graph.values)
    yield f"graph {graph.name}: {len(graph.nodes)} nodes, {len(graph.gates)} gates, {routes} routes"
    yield f"live   {policies.live_training} in training, {policies.live_inference} in inference"
    yield f"init   {_called(policies.init, [_shown(value) for _, value in policies.init_args])}"
    yield f"budget {_budget(policies)}"
    yield f"cost   {policies.cost}"
    yield ""


def _budget(policies: Policies) -> str:
    budget = policies.budget
    if budget is None:
        return "none"
    target = [] if budget.kind == "ratio" else [_shown(budget.target)]
    named = [f"{name} = {_shown(getattr(budget, name))}" for name in ("weight", "start", "ramp")]
    return _called(budget.kind, ["expected / maximum", *target, *named])


class _Writer:
    """Spells the values of one graph; knows what the strides of its space are called."""

    def __init__(self, graph: RouteGraph) -> None:
        self.graph = graph
        self.scale_of = _scales(graph)

    def line(self, value: Value) -> str:
        match value:
            case Input():
                return f"input {value.name}: {value.channels}"
            case Zero():
                at = f" at {self.scale(value.stride)}" if value.stride else ""
                return f"{value.name} = zeros({value.channels}){at}"
            case Output():
                return f"output {value.key} = {value.args[0]}"
            case Merge():
                return f"{value.name} = {_merged(value)}{self.guard(value.guard)}"
            case Apply():
                return f"{value.name} = {self.applied(value)}{_weights(value)}{self.guard(value.guard)}"
            case Gate():
                return f"{value.name} = {self.gate(value)}{_weights(value)}{self.guard(value.guard)}"
            case Route():
                return f"{value.name} = {self.route(value)}{_weights(value)}{self.guard(value.guard)}"

    def applied(self, value: Apply) -> str:
        if isinstance(value.op, Leaf) and OPS[value.op.entry].variadic:
            return _called(value.op.entry, [*value.args, *self.args(value.op)])
        return self.piped(value.args[0], value.op)

    def gate(self, gate: Gate) -> str:
        given = dict(gate.activation_args)
        shown = [f"{one.name} = {_shown(given[one.name])}" for one in ACTIVATIONS[gate.activation].parameters]
        start = "" if gate.start is None else f" start bias({_shown(gate.start)})"
        below = f" below {_shown(gate.below)}" if gate.below else ""
        body, activation = self.piped(gate.args[0], gate.body), _called(gate.activation, shown)
        usual = ACTIVATIONS[gate.activation].gradient
        taught = "" if gate.gradient == usual else f" gradient {gate.gradient}"
        return f"{body} per {gate.granularity} by {activation} over {', '.join(gate.routes)}{start}{taught}{below}"

    def route(self, route: Route) -> str:
        verb = "send" if route.sends else "take"
        closed = "" if route.closed is None else f" closed = {route.closed}"
        if route.pruned:
            return f"{verb} nothing by {self.slot(route.gate, route.index)}, pruned{closed}"
        return f"{verb} {self.piped(route.source, route.op)} by {self.slot(route.gate, route.index)}{closed}"

    def slot(self, gate: str, index: int | None) -> str:
        decides = self.graph.by_name[gate]
        assert isinstance(decides, Gate)
        return f"{gate}[{'closed' if index is None else decides.routes[index]}]"

    def guard(self, guard: Guard) -> str:
        if guard is None:
            return ""
        return f" when {' or '.join(self.slot(atom.gate, atom.index) for atom in guard) or 'never'}"

    def piped(self, source: str, op: Op) -> str:
        if isinstance(op, Sequential) and not op.parts:
            return source
        return f"{source} | {self.op(op)}"

    def op(self, op: Op) -> str:
        match op:
            case Leaf():
                return _called(op.entry, self.args(op))
            case Sequential():
                return " | ".join(self.op(part) for part in op.parts) or "identity"
            case Parallel(merge="sum"):
                return " + ".join(self.term(part) for part in op.parts)
            case Parallel():
                return _called(op.merge, [self.op(part) for part in op.parts])

    def term(self, part: Op) -> str:
        """A part of a sum, in brackets where it holds together less tightly than `+`."""
        is_loose = (isinstance(part, Sequential) and len(part.parts) > 1) or (
            isinstance(part, Parallel) and part.merge == "sum"
        )
        return f"({self.op(part)})" if is_loose else self.op(part)

    def args(self, leaf: Leaf) -> list[str]:
        """Arguments as they are written, without those that have their default value."""
        entry, given = OPS[leaf.entry], leaf_args(leaf)
        shown: list[str] = []
        in_order = True
        for parameter in entry.parameters:
            value = given[parameter.name]
            if _is_default(parameter, value, given):
                in_order = in_order and parameter.kind == "flag"
            elif parameter.kind == "flag":
                shown.append(parameter.name)
            elif isinstance(value, ByMode):
                shown += [f"{parameter.name} = {getattr(value, mode)} in {mode}" for mode in ("training", "inference")]
            else:
                is_plain = in_order and (parameter.required or parameter.name == "channels")
                shown.append(
                    self.value(parameter, value) if is_plain else f"{parameter.name} = {self.value(parameter, value)}"
                )
        return shown

    def value(self, parameter: Parameter, value: Any) -> str:
        return self.scale(value) if parameter.kind == "scale" else _shown(value)

    def scale(self, stride: int | Fraction) -> str:
        return self.scale_of.get(Fraction(stride), f"stride {stride}")


def _weights(value: Apply | Gate | Route) -> str:
    return f" with {value.weights}" if value.weights else ""


def _scales(graph: RouteGraph) -> dict[Fraction, str]:
    """What is written for a scale, by its stride: the name of the index on the axis that has strides."""
    if graph.space is None:
        return {}
    scope = Scope.of(graph.space)
    numbers = Numbers(scope)
    resolve_axes(scope, numbers, Findings())
    attribute = scope.attributes.get("stride")
    if attribute is None or attribute[0].name not in scope.axes:
        return {}
    axis = scope.axes[attribute[0].name]
    is_named = not isinstance(axis.declaration.values, Range)
    return {
        Fraction(numbers.number(attribute[1], {axis.name: at})): axis.label(at) if is_named else str(at)
        for at in range(axis.low, axis.high + 1)
    }


def _merged(merge: Merge) -> str:
    merged = " + ".join(merge.args) if merge.kind == "sum" else _called(merge.kind, list(merge.args))
    return f"arriving {merged}" if merge.arrives else merged


def _is_default(parameter: Parameter, value: Any, given: dict[str, Any]) -> bool:
    if parameter.name == "pad" and parameter.default is None and "kernel" in given:
        return bool(value == _same_size_pad(given))
    return not parameter.required and bool(value == parameter.default)


def _same_size_pad(args: dict[str, Any]) -> int:
    return int(args.get("dilation", 1) * (args["kernel"] - 1) // 2)


def _called(name: str, args: list[str]) -> str:
    return f"{name}({', '.join(args)})" if args else name


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
