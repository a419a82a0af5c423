"""Drafts made concrete: ops with every argument a number, the shape of every value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from routespace.diagnostics import Findings, rename
from routespace.graph.arguments import fill
from routespace.graph.draft import KINDS, Draft
from routespace.graph.ir import (
    IDENTITY,
    Apply,
    Gate,
    Input,
    Leaf,
    Merge,
    Op,
    Output,
    Route,
    Value,
)
from routespace.graph.ops import Resolver
from routespace.graph.places import Place
from routespace.graph.remedies import averaged, biased, counting
from routespace.graph.shapes import (
    IMAGE_STRIDE,
    check_closed,
    check_decision,
    check_merge,
    check_positions,
    check_size,
    fix_scale,
    for_image,
    merged,
    size_at,
)
from routespace.graph.sharing import Sharing
from routespace.space.bare import bare
from routespace.space.expr import Call, Clause, Expr, GateDecl, Name
from routespace.space.fault import Fault, Faults
from routespace.space.numbers import Env, Numbers
from routespace.space.policies import GATE_CLAUSES, listed, wrong_word
from routespace.space.registry import ACTIVATIONS, OPS, ByMode
from routespace.space.scope import Scope
from routespace.space.shape import Shape, Stride
from routespace.space.walk import name_of

_KEEP_CONSTANTS = ("mean", "resize", "maxpool")


class Concrete:
    """Makes values of drafts in order, tracking the shape of each for an image of size `probe`."""

    def __init__(
        self, scope: Scope, numbers: Numbers, places: Sequence[Place], probe: tuple[int, int], findings: Findings
    ) -> None:
        self.findings = findings
        self.sharing = Sharing(scope, places)
        self.probe = probe
        self.sizes: dict[Stride, tuple[int, int]] = {IMAGE_STRIDE: probe}
        self.numbers = numbers
        self.resolver = Resolver(scope, numbers, self.sizes)
        self.shapes: dict[str, Shape] = {}
        self.clauses: dict[str, dict[str, Clause]] = {}
        self.routes: dict[str, list[int]] = {}
        self.sources: dict[str, Draft] = {}
        self.told: set[object] = set()
        self.lasts: dict[int, tuple[Op, Leaf | None]] = {}

    def all(self, drafts: list[Draft], patient: bool = True) -> list[Value]:
        """The values of `drafts`. What is wrong with them is added to the findings: all of it, or without being
        `patient` the first of it."""
        self.routes = _live_slots(drafts)
        self.sources = {draft.name: draft for draft in drafts}
        makers = {kind: getattr(self, f"_{kind}") for kind in KINDS}
        values: list[Value] = []
        failed = False
        for draft in drafts:
            if failed and not patient:
                break
            if failed and any(read not in self.shapes for read in draft.reads):
                continue
            try:
                value, shape = makers[draft.kind](draft)
                check_size(shape, draft.span)
            except Fault as fault:
                if draft.env:
                    fault.at(draft.node)
                self._tell(fault, draft)
                for_image(fault, self.probe)
                fault.report(self.findings)
                failed = True
                continue
            values.append(value)
            self.shapes[draft.name] = shape
            if draft.kind not in ("gate", "output"):
                fix_scale(self.sizes, shape)
        return values

    def _tell(self, fault: Fault, draft: Draft) -> None:
        """Show what shapes come from, once for each cause: all numbers that the statement reads, through its ops."""
        source = draft.expr or draft.template or draft.part
        if fault.code.startswith("RS4") and fault.cause not in self.told and source is not None:
            self.told.add(fault.cause)
            _, names = self.resolver.meaning(source)
            self.numbers.told(fault, draft.env, *(Name(name) for name in names))

    def _input(self, draft: Draft) -> tuple[Value, Shape]:
        stride = draft.env["stride"]
        shape = Shape(draft.env["channels"], stride, *size_at(self.probe, stride))
        return Input(draft.name, shape.channels, stride, draft.span), shape

    def _apply(self, draft: Draft) -> tuple[Value, Shape]:
        assert draft.expr is not None
        op, shape = self.resolver.resolve(draft.expr, self._env(draft), self.shapes[draft.args[0]])
        weights = self.sharing.weights(draft, op)
        return Apply(draft.name, draft.node, op, tuple(draft.args), weights=weights, span=draft.span), shape

    def _env(self, draft: Draft) -> Env:
        """The names that have a value in the op of a draft; `channels` are those of its head."""
        return {**draft.env, "channels": self.shapes[draft.head].channels} if draft.head else draft.env

    def _gather(self, draft: Draft) -> tuple[Value, Shape]:
        assert draft.call is not None
        inputs = tuple(self.shapes[arg] for arg in draft.args)
        op, shape = self.resolver.leaf(OPS[draft.call.name], draft.call.args, draft.env, inputs, draft.span)
        weights = self.sharing.weights(draft, op)
        return Apply(draft.name, draft.node, op, tuple(draft.args), weights=weights, span=draft.span), shape

    def _merge(self, draft: Draft) -> tuple[Value, Shape]:
        shapes = tuple(self.shapes[arg] for arg in draft.args)
        check_merge(draft.merge, shapes, draft.spans, draft.span)
        value = Merge(draft.name, draft.node, draft.merge, tuple(draft.args), draft.arrives, span=draft.span)
        return value, merged(draft.merge, shapes)

    def _gate(self, draft: Draft) -> tuple[Value, Shape]:
        template = draft.template
        assert template is not None
        routes = [draft.slots[slot] for slot in self.routes.get(draft.name, [])]
        clauses = self._clauses(template)
        body = clauses["body"]
        entering = self.shapes[draft.args[0]]
        faults = Faults()
        try:
            name, args = self._activation(clauses["activation"].value, draft.env)
        except Fault as fault:
            faults.add(fault)
        try:
            op, shape = self.resolver.resolve(body.value, {**draft.env, "routes": len(routes)}, entering)
        except Fault as fault:
            faults.add(fault)
        faults.settle()
        if shape.channels != len(routes):
            raise Fault(
                "RS403",
                f"gate `{template.name}` gives {shape.channels} logits for {len(routes)} routes",
                body.span,
                help="end its body with `conv(1, routes, bias)`",
                others=[(draft.span, "used here")],
            )
        if template.granularity == "position":
            if draft.below:
                raise Fault("RS602", "a gate per position is not closed as a whole by `below`", draft.span)
        else:
            check_decision(template.name, shape, body.span, draft.span, averaged(body.value))
        if not ACTIVATIONS[name].closes and not draft.below:
            self.findings.add(
                "RS911",
                f"`{name}` never gives 0: nothing that this gate decides is ever skipped",
                clauses["activation"].span,
                help=f"activations that close are {', '.join(one for one in ACTIVATIONS if ACTIVATIONS[one].closes)}",
                severity="warning",
            )
        value = Gate(
            draft.name,
            draft.node,
            tuple(draft.args),
            op,
            name,
            args,
            tuple(routes),
            self._start(clauses["start"], op, name, args, draft.env) if "start" in clauses else None,
            "position" if template.granularity == "position" else "image",
            below=draft.below,
            gradient=_gradient(clauses, name),
            weights=self.sharing.weights(draft, op),
            span=draft.span,
        )
        return value, shape

    def _clauses(self, template: GateDecl) -> dict[str, Clause]:
        """The clauses of a gate by name, of which it has a body and an activation."""
        known = self.clauses.get(template.name)
        if known is not None:
            return known
        for one in template.clauses:
            if one.mode is not None:
                raise Fault("RS602", f"`{one.name}` of a gate cannot be split by mode yet", one.span)
            if one.name not in GATE_CLAUSES:
                help = f"it has {listed(GATE_CLAUSES, 'and')}"
                raise Fault("RS318", f"a gate has no clause `{one.name}`", one.span, help=help)
        found = {one.name: one for one in template.clauses}
        if "body" not in found:
            raise Fault("RS317", f"gate `{template.name}` has no body", template.span, help="add `body …`")
        if "activation" not in found:
            help = "add `activation relu_tanh`"
            raise Fault("RS317", f"gate `{template.name}` has no activation", template.span, help=help)
        self.clauses[template.name] = found
        return found

    def _activation(self, value: Expr, env: Env) -> tuple[str, tuple[tuple[str, Any], ...]]:
        name = value.id if isinstance(value, Name) else value.name if isinstance(value, Call) else ""
        entry = ACTIVATIONS.get(name)
        if entry is None:
            help = rename(name, ACTIVATIONS) or f"there are {', '.join(ACTIVATIONS)}"
            message = f"unknown activation `{name}`" if name else "an activation is named here"
            raise Fault("RS209", message, value.span, help=help)
        args = value.args if isinstance(value, Call) else ()
        filled = fill(name, entry.parameters, args, env, self.numbers, value.span)
        return name, tuple(filled.items())

    def _start(self, declared: Clause, body: Op, name: str, args: tuple[tuple[str, Any], ...], env: Env) -> float:
        last = self._last(body)
        if last is None or last.entry != "conv" or not dict(last.args)["bias"]:
            what = "this one has no bias" if last is not None and last.entry == "conv" else "this stands last"
            raise Fault(
                "RS319",
                "a start needs a last conv with a bias to set",
                declared.span,
                help=biased(last),
                others=[(last.span, what)] if last is not None else (),
            )
        value = declared.value
        if isinstance(value, Call) and len(value.args) == 1 and value.name in ("bias", "value"):
            number = float(self.numbers.number(bare(value.name, value.args[0]), env))
            if value.name == "bias":
                return number
            inverse = ACTIVATIONS[name].inverse
            unsolved = Fault(
                "RS319", f"`{name}` cannot be solved for a starting value", declared.span, help="write `bias(b)`"
            )
            if inverse is None:
                raise unsolved
            low, high = ACTIVATIONS[name].range
            if not low < number < high:
                message = f"`{name}` gives weights above {low:g} and below {high:g}: none can start at {number:g}"
                raise self.numbers.told(Fault("RS319", message, declared.span), env, value.args[0].value)
            try:
                return inverse(dict(args), number)
            except ArithmeticError:
                raise unsolved from None
        raise Fault("RS319", "a start is `bias(b)` or `value(a)`", declared.span)

    def _last(self, body: Op) -> Leaf | None:
        """The last op of a gate's body that changes constant maps."""
        if id(body) not in self.lasts:
            last = next((leaf for leaf in reversed(_leaves(body)) if leaf.entry not in _KEEP_CONSTANTS), None)
            self.lasts[id(body)] = (body, last)
        return self.lasts[id(body)][1]

    def _route(self, draft: Draft) -> tuple[Value, Shape]:
        entering = self.shapes[draft.args[0]]
        op, shape = (
            (IDENTITY, entering)
            if draft.expr is None
            else self.resolver.resolve(draft.expr, self._env(draft), entering)
        )
        if draft.closed is not None:
            source = self.sources[draft.closed].span
            check_closed(draft.name, shape, self.shapes[draft.closed], draft.span, source)
        self._positions(draft, op, shape)
        index = self.routes[draft.gate].index(draft.slot)
        weights = self.sharing.weights(draft, op)
        value = Route(
            draft.name,
            draft.node,
            draft.gate,
            index,
            op,
            draft.args[0],
            draft.closed,
            draft.sends,
            weights=weights,
            span=draft.span,
        )
        return value, shape

    def _positions(self, draft: Draft, op: Op, shape: Shape) -> None:
        """What a gate per position asks of the route it decides."""
        gate = self.sources[draft.gate]
        if gate.template is None or gate.template.granularity != "position":
            return
        if draft.closed is not None:
            raise Fault("RS602", "a gate per position passes nothing on where it is shut", draft.span)
        check_positions(draft.name, self.shapes[draft.gate], shape, draft.span, gate.span)
        for leaf in _leaves(op):
            if leaf.entry == "groupnorm" and _statistics(leaf) == "all":
                self.findings.add(
                    "RS910",
                    "nothing before this norm can be skipped: its statistics run over all positions",
                    leaf.span,
                    help=counting(leaf),
                    severity="warning",
                )
            elif OPS[leaf.entry].outside and (OPS[leaf.entry].window is None or OPS[leaf.entry].opaque):
                self.findings.add(
                    "RS910",
                    f"nothing before `{leaf.entry}` can be skipped: which positions it reads is not known",
                    leaf.span,
                    help="register the op with `window`, its kernel, stride, dilation and padding",
                    severity="warning",
                )

    def _output(self, draft: Draft) -> tuple[Value, Shape]:
        return Output(draft.name, draft.key, tuple(draft.args), draft.span), self.shapes[draft.args[0]]


def _gradient(clauses: dict[str, Clause], activation: str) -> Literal["all", "open"]:
    """Which routes teach a gate: those it says, else all of one whose activation decides hard."""
    said = clauses.get("gradient")
    if said is None:
        return ACTIVATIONS[activation].gradient
    wrong = wrong_word(said)
    if wrong is not None:
        raise Fault("RS322", wrong.message, wrong.span, help=wrong.help)
    return "all" if name_of(said.value) == "all" else "open"


def _statistics(leaf: Leaf) -> str:
    """Over which positions the statistics of a norm run in inference."""
    stats = dict(leaf.args)["stats"]
    return str(stats.inference if isinstance(stats, ByMode) else stats)


def _live_slots(drafts: list[Draft]) -> dict[str, list[int]]:
    """Places of the branches of each gate that some live route uses."""
    used: dict[str, set[int]] = {}
    for draft in drafts:
        if draft.kind == "route":
            used.setdefault(draft.gate, set()).add(draft.slot)
    return {draft.name: sorted(used.get(draft.name, ())) for draft in drafts if draft.kind == "gate"}


def _leaves(op: Op) -> list[Leaf]:
    if isinstance(op, Leaf):
        return [op]
    return [leaf for part in op.parts for leaf in _leaves(part)]
