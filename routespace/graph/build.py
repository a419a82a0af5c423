"""Space → RouteGraph: expand the declarations, drop what nobody reads, make every op concrete."""

from __future__ import annotations

from typing import Any

from routespace.diagnostics import Findings, RouteError
from routespace.diagnostics.collector import collector_paused
from routespace.graph.arguments import fill
from routespace.graph.choices import clause
from routespace.graph.draft import KINDS, Draft, Streams
from routespace.graph.expand import PlaceBuilder, output_drafts
from routespace.graph.fault import Fault
from routespace.graph.ir import (
    IDENTITY,
    Apply,
    Gate,
    Input,
    Leaf,
    Merge,
    Node,
    Op,
    Output,
    Route,
    RouteGraph,
    Value,
)
from routespace.graph.numbers import Numbers
from routespace.graph.ops import IMAGE_STRIDE, Resolver, check_merge, check_size
from routespace.graph.places import places_of, resolve_axes
from routespace.graph.policies import resolve_policies
from routespace.graph.scope import Scope
from routespace.graph.settle import settle
from routespace.space.expr import Binary, Call, Expr, GateDecl, Index, Name, Sum
from routespace.space.model import Space
from routespace.space.names import check_space
from routespace.space.registry import ACTIVATIONS, MERGES, OPS
from routespace.space.shape import Shape, Stride

PROBE = (192, 256)


def build(space: Space, findings: Findings | None = None) -> RouteGraph:
    """The graph of `space`.

    Everything wrong with the space is added to `findings`; with errors, or without `findings` given, they are raised
    as `RouteError`.
    """
    found = findings if findings is not None else Findings({source.path: source for source in space.sources})
    with collector_paused():
        try:
            return _build(space, found)
        except RecursionError:
            found.add("RS805", f"space `{space.name}` is nested too deeply to be built", space.declaration.span)
        raise RouteError(found.diagnostics, found.sources)


def _build(space: Space, found: Findings) -> RouteGraph:
    check_space(space, found)
    found.raise_errors()
    scope = Scope.of(space)
    numbers = Numbers(scope)
    resolve_axes(scope, numbers, found)
    policies = resolve_policies(scope.clauses, space.overrides, numbers, found)
    _refuse_shares(scope, found)
    if not scope.outputs:
        found.add("RS509", f"space `{space.name}` has no output", space.declaration.span)
    found.raise_errors()
    places = places_of(scope, numbers, found)
    try:
        streams = Streams(scope, numbers, places)
    except Fault as fault:
        fault.report(found)
        raise
    _inputs(streams, found)
    for place in places:
        PlaceBuilder(streams, place).build(found)
    for declared in scope.outputs:
        try:
            output_drafts(streams, declared)
        except Fault as fault:
            fault.report(found)
    _never_hit(streams, found)
    found.raise_errors()
    try:
        drafts = settle(streams, found)
    except Fault as fault:
        fault.report(found)
        drafts = []
    found.raise_errors()
    values = _Concrete(scope, numbers, found).all(drafts)
    found.raise_errors()
    alive = {value.node for value in values}
    nodes = tuple(
        Node(place.name, tuple(zip(place.declaration.axes, place.index, strict=True)), place.declaration.span)
        for place in places
        if place.name in alive
    )
    return RouteGraph(space.name, tuple(values), nodes, policies, space=space)


def _refuse_shares(scope: Scope, findings: Findings) -> None:
    for share in scope.shares:
        findings.add("RS602", "weights shared across an axis are not supported yet", share.span)


def _inputs(streams: Streams, findings: Findings) -> None:
    scope, numbers = streams.scope, streams.numbers
    for declared in scope.inputs.values():
        if declared.index:
            findings.add("RS602", "inputs with an index are not supported yet", declared.span)
            continue
        try:
            channels = numbers.integer(declared.channels, {})
            if not 1 <= channels <= 2**16:
                raise Fault(
                    "RS311", f"an input of {channels} channels; 1 to 65536 are possible", declared.channels.span
                )
        except Fault as fault:
            fault.report(findings)
            continue
        streams.drafts[declared.name] = Draft("input", declared.name, "", [], {"channels": channels}, declared.span)


def _never_hit(streams: Streams, findings: Findings) -> None:
    """Reads that never fall on a node: off the axes, or written out, they are errors; else nothing, with a warning."""
    for key, falls in streams.falls.items():
        expr = streams.reads[key]
        if falls == "off" or (falls == "between" and not _moves(expr, streams.scope)):
            findings.add(
                "RS508",
                f"this read of `{expr.name}` never falls on a node",
                expr.span,
                "off the grid wherever it stands",
            )
        elif falls == "between":
            findings.add(
                "RS909",
                f"this read of `{expr.name}` is nothing: no node stands where it falls",
                expr.span,
                severity="warning",
            )


def _moves(index: Index, scope: Scope) -> bool:
    """Whether where a read falls depends on where it stands."""
    waiting: list[Expr] = list(index.at)
    while waiting:
        part = waiting.pop()
        if isinstance(part, Name) and part.id in scope.axes:
            return True
        if isinstance(part, Sum):
            waiting.extend(part.terms)
        elif isinstance(part, Binary):
            waiting.extend((part.left, part.right))
    return False


class _Concrete:
    """Makes values of drafts in order, tracking the shape of each."""

    def __init__(self, scope: Scope, numbers: Numbers, findings: Findings) -> None:
        self.findings = findings
        self.sizes: dict[Stride, tuple[int, int]] = {IMAGE_STRIDE: PROBE}
        self.numbers = numbers
        self.resolver = Resolver(scope, numbers, self.sizes)
        self.shapes: dict[str, Shape] = {}
        self.routes: dict[str, list[str]] = {}
        self.sources: dict[str, Draft] = {}

    def all(self, drafts: list[Draft]) -> list[Value]:
        self.routes = _live_slots(drafts)
        self.sources = {draft.name: draft for draft in drafts}
        makers = {kind: getattr(self, f"_{kind}") for kind in KINDS}
        values: list[Value] = []
        failed = False
        for draft in drafts:
            if failed and any(read not in self.shapes for read in draft.reads):
                continue
            try:
                value, shape = makers[draft.kind](draft)
                check_size(shape, draft.span)
            except Fault as fault:
                fault.report(self.findings)
                failed = True
                continue
            values.append(value)
            self.shapes[draft.name] = shape
            if draft.kind not in ("gate", "output"):
                self.sizes.setdefault(shape.stride, (shape.height, shape.width))
        return values

    def _input(self, draft: Draft) -> tuple[Value, Shape]:
        shape = Shape(draft.env["channels"], IMAGE_STRIDE, *PROBE)
        return Input(draft.name, shape.channels, IMAGE_STRIDE, draft.span), shape

    def _apply(self, draft: Draft) -> tuple[Value, Shape]:
        assert draft.expr is not None
        op, shape = self.resolver.resolve(draft.expr, draft.env, self.shapes[draft.args[0]])
        return Apply(draft.name, draft.node, op, tuple(draft.args), span=draft.span), shape

    def _gather(self, draft: Draft) -> tuple[Value, Shape]:
        assert draft.call is not None
        inputs = tuple(self.shapes[arg] for arg in draft.args)
        op, shape = self.resolver.leaf(OPS[draft.call.name], draft.call.args, draft.env, inputs, draft.span)
        return Apply(draft.name, draft.node, op, tuple(draft.args), span=draft.span), shape

    def _merge(self, draft: Draft) -> tuple[Value, Shape]:
        shapes = tuple(self.shapes[arg] for arg in draft.args)
        check_merge(draft.merge, shapes, draft.spans, draft.span)
        value = Merge(draft.name, draft.node, draft.merge, tuple(draft.args), draft.arrives, span=draft.span)
        return value, MERGES[draft.merge].shape(shapes)

    def _gate(self, draft: Draft) -> tuple[Value, Shape]:
        template = draft.template
        assert template is not None
        routes = self.routes.get(draft.name, [])
        for one in template.clauses:
            if one.mode is not None:
                raise Fault("RS602", f"`{one.name}` of a gate cannot be split by mode yet", one.span)
        body = clause(template, "body")
        if body is None:
            raise Fault("RS317", f"gate `{template.name}` has no body", template.span, help="add `body …`")
        entering = self.shapes[draft.args[0]]
        op, shape = self.resolver.resolve(body.value, {**draft.env, "routes": len(routes)}, entering)
        if shape.channels != len(routes):
            raise Fault(
                "RS403",
                f"gate `{template.name}` gives {shape.channels} logits for {len(routes)} routes",
                body.span,
                help="end its body with `conv(1, routes, bias)`",
                others=[(draft.span, "used here")],
            )
        if (shape.height, shape.width) != (1, 1):
            raise Fault(
                "RS404",
                f"gate `{template.name}` gives a map of {shape.height}x{shape.width}; one decision per image is needed",
                body.span,
                help="add `mean` before the last conv",
            )
        name, args = self._activation(template)
        value = Gate(
            draft.name,
            draft.node,
            tuple(draft.args),
            op,
            name,
            args,
            tuple(routes),
            self._start(template, op, name, args),
            below=draft.below,
            span=draft.span,
        )
        return value, shape

    def _activation(self, template: GateDecl) -> tuple[str, tuple[tuple[str, Any], ...]]:
        declared = clause(template, "activation")
        if declared is None:
            raise Fault(
                "RS317", f"gate `{template.name}` has no activation", template.span, help="add `activation relu_tanh`"
            )
        value = declared.value
        name = value.id if isinstance(value, Name) else value.name if isinstance(value, Call) else ""
        entry = ACTIVATIONS.get(name)
        if entry is None:
            from routespace.diagnostics import did_you_mean

            raise Fault("RS209", f"unknown activation `{name}`", value.span, help=did_you_mean(name, ACTIVATIONS))
        args = value.args if isinstance(value, Call) else ()
        filled = fill(name, entry.parameters, args, {}, self.numbers, value.span)
        return name, tuple(filled.items())

    def _start(self, template: GateDecl, body: Op, name: str, args: tuple[tuple[str, Any], ...]) -> float | None:
        for one in template.clauses:
            if one.name not in ("body", "activation", "start"):
                raise Fault(
                    "RS318", f"a gate has no clause `{one.name}`", one.span, help="it has body, activation and start"
                )
        declared = clause(template, "start")
        if declared is None:
            return None
        last = next((leaf for leaf in reversed(_leaves(body)) if leaf.entry == "conv"), None)
        if last is None or not dict(last.args)["bias"]:
            raise Fault(
                "RS319",
                "a start needs a last conv with a bias to set",
                declared.span,
                help="write `conv(1, routes, bias)`",
            )
        value = declared.value
        if isinstance(value, Call) and len(value.args) == 1 and value.name in ("bias", "value"):
            number = float(self.numbers.number(value.args[0].value, {}))
            if value.name == "bias":
                return number
            inverse = ACTIVATIONS[name].inverse
            if inverse is None:
                raise Fault(
                    "RS319", f"`{name}` cannot be solved for a starting value", declared.span, help="write `bias(b)`"
                )
            low, high = ACTIVATIONS[name].range
            if not low < number < high:
                raise Fault("RS319", f"a start of {number:g} is outside ({low:g}, {high:g})", declared.span)
            return inverse(dict(args), number)
        raise Fault("RS319", "a start is `bias(b)` or `value(a)`", declared.span)

    def _route(self, draft: Draft) -> tuple[Value, Shape]:
        entering = self.shapes[draft.args[0]]
        op, shape = (
            (IDENTITY, entering) if draft.expr is None else self.resolver.resolve(draft.expr, draft.env, entering)
        )
        if draft.closed is not None:
            passed = self.shapes[draft.closed]
            if passed != shape:
                raise Fault(
                    "RS405",
                    f"`{draft.name}` delivers {shape} when open and {passed} when closed",
                    draft.span,
                    others=[(self.sources[draft.closed].span, "passed on when closed")],
                )
        index = self.routes[draft.gate].index(draft.slot)
        value = Route(
            draft.name, draft.node, draft.gate, index, op, draft.args[0], draft.closed, draft.sends, span=draft.span
        )
        return value, shape

    def _output(self, draft: Draft) -> tuple[Value, Shape]:
        return Output(draft.name, draft.slot, tuple(draft.args), draft.span), self.shapes[draft.args[0]]


def _live_slots(drafts: list[Draft]) -> dict[str, list[str]]:
    """Branches of each gate that some live route uses, in declared order."""
    used: dict[str, set[str]] = {}
    for draft in drafts:
        if draft.kind == "route":
            used.setdefault(draft.gate, set()).add(draft.slot)
    return {
        draft.name: [slot for slot in draft.slots if slot in used.get(draft.name, set())]
        for draft in drafts
        if draft.kind == "gate"
    }


def _leaves(op: Op) -> list[Leaf]:
    if isinstance(op, Leaf):
        return [op]
    return [leaf for part in op.parts for leaf in _leaves(part)]
