"""First half of building: which values there are and which read which. Ops and shapes come later."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from routespace.diagnostics import Span, did_you_mean
from routespace.graph.fault import Fault
from routespace.graph.numbers import Numbers
from routespace.graph.places import Place
from routespace.graph.scope import Scope
from routespace.space.expr import (
    Arg,
    Binary,
    Call,
    Choice,
    Clause,
    Each,
    Equation,
    Expr,
    GateDecl,
    If,
    Index,
    Name,
    NodeDecl,
    OutputDecl,
    Pipe,
    Sum,
)
from routespace.space.registry import MERGES, OPS

Ref: TypeAlias = "str | None"
"""Name of a value, or None for nothing."""

COMBINES = ("sum", "one", "mix")
_NO_NODE = NodeDecl(None, (), None, ())


KINDS = ("input", "apply", "gather", "merge", "gate", "route", "output")


@dataclass(slots=True)
class Draft:
    """A value before its op and shape are known."""

    kind: Literal["input", "apply", "gather", "merge", "gate", "route", "output"]
    name: str
    node: str
    args: list[str]
    env: dict[str, Any]
    span: Span | None
    expr: Expr | None = None
    merge: str = "sum"
    arrives: bool = False
    spans: list[Span | None] = field(default_factory=list)
    gate: str = ""
    slot: str = ""
    closed: str | None = None
    sends: bool = True
    template: GateDecl | None = None
    slots: list[str] = field(default_factory=list)
    below: float = 0.0
    call: Call | None = None

    @property
    def reads(self) -> list[str]:
        reads = list(self.args)
        if self.gate:
            reads.append(self.gate)
        if self.closed:
            reads.append(self.closed)
        return reads


@dataclass
class Streams:
    """Drafts of all values of a space, by name, made place by place."""

    scope: Scope
    numbers: Numbers
    places: Sequence[Place]
    drafts: dict[str, Draft] = field(default_factory=dict)
    aliases: dict[str, Ref] = field(default_factory=dict)
    reads: dict[int, Index] = field(default_factory=dict)
    hits: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_stream: dict[str, dict[tuple[int, ...], Place]] = {}
        for place in self.places:
            for part in place.declaration.body:
                names = [part.name] if isinstance(part, Equation) else [branch.name for branch in part.branches]
                for name in names:
                    self.by_stream.setdefault(name, {})[place.index] = place

    def resolve(self, ref: Ref) -> Ref:
        """The value behind a chain of plain renamings."""
        seen = 0
        while ref is not None and ref in self.aliases:
            ref = self.aliases[ref]
            seen += 1
            if seen > len(self.aliases):
                raise Fault("RS505", f"`{ref}` is only a name for itself")
        return ref


class PlaceBuilder:
    """Builds the drafts of one node."""

    def __init__(self, streams: Streams, place: Place) -> None:
        self.streams, self.place = streams, place
        self.scope, self.numbers = streams.scope, streams.numbers
        self.node = place.name
        self.sent = {
            branch.name for part in place.declaration.body if isinstance(part, Choice) for branch in part.branches
        }
        self.local = self.sent | {part.name for part in place.declaration.body if isinstance(part, Equation)}
        self.gates: dict[str, str] = {}
        self.count = itertools.count(1)

    def build(self) -> None:
        body = self.place.declaration.body
        for part in body:
            if isinstance(part, Equation) and isinstance(part.value, Call) and part.value.name in self.scope.gates:
                self.gates[part.name] = self.gate(part.value, f"{self.node}.{part.name}")
        for part in body:
            if isinstance(part, Choice):
                self.send(part)
            elif part.name not in self.gates:
                self.equation(part)

    def equation(self, part: Equation) -> None:
        name = f"{self.node}.{part.name}"
        ref = self.stream(part.value, name, self.place.env)
        if ref != name:
            self.streams.aliases[name] = ref

    def fresh(self, hint: str) -> str:
        return f"{hint}_{next(self.count)}"

    def add(self, draft: Draft) -> str:
        if draft.name in self.streams.drafts:
            raise Fault("RS204", f"`{draft.name}` is defined twice", draft.span)
        self.streams.drafts[draft.name] = draft
        return draft.name

    def stream(self, expr: Expr, name: str, env: dict[str, Any]) -> Ref:
        """The value that a stream expression makes; a new one is called `name`."""
        match expr:
            case Name():
                return self.read_name(expr)
            case Index():
                return self.read_index(expr, env)
            case If():
                chosen = expr.value if self.numbers.truth(expr.condition, env) else expr.otherwise
                return self.stream(chosen, name, env)
            case Sum():
                return self.merge("sum", [(term, env) for term in expr.terms], name, expr.span)
            case Pipe():
                source = self.entering(self.stream(expr.stages[0], self.fresh(name), env), self.fresh(name), expr.span)
                if source is None:
                    return None
                rest = expr.stages[1] if len(expr.stages) == 2 else Pipe(expr.stages[1:], expr.span)
                return self.add(Draft("apply", name, self.node, [source], env, expr.span, rest))
            case Call() if expr.name in MERGES:
                return self.merge(expr.name, list(self.terms(expr, env)), name, expr.span)
            case Call() if expr.name in OPS and OPS[expr.name].variadic:
                return self.gather(expr, name, env)
            case Call():
                return self.applied(expr, name, env)
            case Choice():
                return self.choice(expr, name, env)
            case Binary(op="*"):
                return self.gated(expr, name, env)
        raise Fault("RS314", "a stream is needed here", expr.span)

    def read_name(self, expr: Name) -> Ref:
        name = expr.id
        if name in self.gates:
            raise Fault("RS314", f"`{name}` is a gate, not a stream", expr.span)
        if name in self.local:
            return f"{self.node}.{name}"
        if name in self.scope.inputs:
            declared = self.scope.inputs[name]
            if not declared.index:
                return name
            missing = [axis for axis in declared.index if axis not in self.place.env]
            if missing:
                raise Fault("RS304", f"`{name}` is read by index `{name}[{', '.join(declared.index)}]`", expr.span)
            return self._input(name, tuple(self.place.env[axis] for axis in declared.index), expr.span)
        axes = self.scope.stream_axes.get(name)
        if axes == ():
            place = self.streams.by_stream[name].get(())
            return f"{place.name}.{name}" if place else None
        if axes is not None:
            raise Fault("RS304", f"`{name}` is read by index `{name}[{', '.join(axes)}]`", expr.span)
        known = "an op" if name in self.scope.ops or name in OPS else "a number" if self.numbers.is_number(name) else ""
        if known:
            raise Fault("RS314", f"a stream is needed here, `{name}` is {known}", expr.span)
        raise Fault(
            "RS201",
            f"unknown stream `{name}`",
            expr.span,
            help=did_you_mean(name, [*self.local, *self.scope.stream_names()]),
        )

    def read_index(self, expr: Index, env: dict[str, Any]) -> Ref:
        name = expr.name
        declared = self.scope.inputs.get(name)
        axes = declared.index if declared else self.scope.stream_axes.get(name)
        if axes is None:
            raise Fault(
                "RS201", f"unknown stream `{name}`", expr.span, help=did_you_mean(name, self.scope.stream_names())
            )
        if len(expr.at) != len(axes):
            raise Fault(
                "RS304", f"`{name}` has {len(axes)} indices ({', '.join(axes)}), {len(expr.at)} are given", expr.span
            )
        index = tuple(self.numbers.integer(part, env) for part in expr.at)
        if declared:
            return self._input(name, index, expr.span)
        place = self.streams.by_stream.get(name, {}).get(index)
        self.streams.hits[id(expr)] = self.streams.hits.get(id(expr), False) or place is not None
        self.streams.reads[id(expr)] = expr
        return f"{place.name}.{name}" if place else None

    def _input(self, name: str, index: tuple[int, ...], span: Span | None) -> Ref:
        declared = self.scope.inputs[name]
        axes = [self.scope.axis(axis, span) for axis in declared.index]
        if any(ordinal not in axis for axis, ordinal in zip(axes, index, strict=True)):
            return None
        return ".".join([name, *(axis.label(ordinal) for axis, ordinal in zip(axes, index, strict=True))])

    def entering(self, ref: Ref, name: str, span: Span | None) -> Ref:
        """`ref` as something an op can read: a route of another node arrives through a merge of one."""
        if ref is None or not self.crosses(ref):
            return ref
        return self.add(Draft("merge", name, self.node, [ref], self.place.env, span, arrives=True, spans=[span]))

    def crosses(self, ref: str) -> bool:
        """Whether a value is a stream on its way: sent by a route, or made by another node."""
        if ref.startswith(self.node + "."):
            return ref[len(self.node) + 1 :] in self.sent
        return not ref.startswith(self.node + ".") and "." in ref and ref.split(".", 1)[0] not in self.scope.inputs

    def merge(self, kind: str, terms: list[tuple[Expr, dict[str, Any]]], name: str, span: Span | None) -> Ref:
        refs: list[str] = []
        spans: list[Span | None] = []
        for term, env in terms:
            ref = self.stream(term, self.fresh(name), env)
            if ref is not None:
                refs.append(ref)
                spans.append(term.span)
        if not refs:
            return None
        arrives = any(self.crosses(ref) for ref in refs)
        if len(refs) == 1 and not arrives:
            return refs[0]
        return self.add(
            Draft("merge", name, self.node, refs, self.place.env, span, merge=kind, arrives=arrives, spans=spans)
        )

    def terms(self, call: Call, env: dict[str, Any]) -> list[tuple[Expr, dict[str, Any]]]:
        """Stream arguments of a merge: listed, or made by `for`, or a family over the axes left free."""
        found: list[tuple[Expr, dict[str, Any]]] = []
        for arg in call.args:
            if isinstance(arg.value, Each):
                each = arg.value
                found.extend((each.value, {**env, each.var: item}) for item in self.numbers.domain(each.domain, env))
            else:
                found.extend((arg.value, inner) for inner in self.family(arg.value, env))
        return found

    def family(self, expr: Expr, env: dict[str, Any]) -> list[dict[str, Any]]:
        """Environments for an indexed read whose axes are not all bound here, in order of the free axes."""
        free = [
            part.id
            for part in (expr.at if isinstance(expr, Index) else ())
            if isinstance(part, Name) and part.id in self.scope.axes and part.id not in env
        ]
        if not free:
            return [env]
        axes = [self.scope.axes[name] for name in free]
        spans = [range(axis.low, axis.high + 1) for axis in axes]
        return [{**env, **dict(zip(free, index, strict=True))} for index in itertools.product(*spans)]

    def gather(self, call: Call, name: str, env: dict[str, Any]) -> Ref:
        """An op of several streams: leading positional arguments that read streams, then its own arguments."""
        refs: list[str] = []
        rest: list[Arg] = []
        for arg in call.args:
            if arg.name is None and not rest and self.is_stream(arg.value):
                for expr, inner in self.terms(Call(call.name, (arg,), call.span), env):
                    ref = self.stream(expr, self.fresh(name), inner)
                    if ref is not None:
                        refs.append(ref)
            else:
                rest.append(arg)
        if not refs:
            return None
        return self.add(
            Draft("gather", name, self.node, refs, env, call.span, call=Call(call.name, tuple(rest), call.span))
        )

    def is_stream(self, expr: Expr) -> bool:
        match expr:
            case Index():
                return expr.name in self.scope.stream_axes or expr.name in self.scope.inputs
            case Name():
                return expr.id in self.local or expr.id in self.scope.inputs or expr.id in self.scope.stream_axes
            case Each():
                return self.is_stream(expr.value)
            case Pipe():
                return self.is_stream(expr.stages[0])
            case Sum():
                return any(self.is_stream(term) for term in expr.terms)
            case If():
                return self.is_stream(expr.value) or self.is_stream(expr.otherwise)
        return False

    def applied(self, call: Call, name: str, env: dict[str, Any]) -> Ref:
        if call.name in self.scope.gates:
            raise Fault("RS314", "a gate is no stream", call.span, help="give it a name, or use it after `by`")
        if call.name in self.scope.ops or call.name in OPS:
            raise Fault(
                "RS314", f"`{call.name}` is an op", call.span, help=f"pipe a stream into it: `x | {call.name}(…)`"
            )
        raise Fault(
            "RS203",
            f"unknown op `{call.name}`",
            call.span,
            help=did_you_mean(call.name, [*MERGES, *self.scope.op_names()]),
        )

    def gate(self, expr: Expr, name: str) -> str:
        """An instance of a gate template reading a stream; a name stands for an instance made before."""
        if isinstance(expr, Name):
            if expr.id in self.gates:
                return self.gates[expr.id]
            if expr.id in self.scope.gates:
                raise Fault("RS315", f"gate `{expr.id}` reads a stream", expr.span, help=f"write `{expr.id}(x)`")
            raise Fault(
                "RS206",
                f"unknown gate `{expr.id}`",
                expr.span,
                help=did_you_mean(expr.id, [*self.gates, *self.scope.gates]),
            )
        if not isinstance(expr, Call):
            raise Fault("RS315", "a gate is needed here", expr.span, help="write `GATE(stream)`")
        template = self.scope.gates.get(expr.name)
        if template is None:
            raise Fault(
                "RS206", f"unknown gate `{expr.name}`", expr.span, help=did_you_mean(expr.name, self.scope.gates)
            )
        if template.granularity != "image":
            raise Fault(
                "RS602",
                f"gates per {template.granularity} are not supported yet",
                template.span,
                help="write `per image`",
            )
        if not expr.args or expr.args[0].name is not None:
            raise Fault("RS315", f"gate `{expr.name}` reads a stream", expr.span, help=f"write `{expr.name}(x)`")
        env: dict[str, Any] = dict(self.place.env)
        for parameter, arg in itertools.zip_longest(template.params, expr.args[1:]):
            if parameter is None:
                raise Fault("RS309", f"too many arguments for gate `{expr.name}`", arg.span)
            value = arg.value if arg is not None else parameter.default
            if value is None:
                raise Fault("RS309", f"gate `{expr.name}` needs `{parameter.name}`", expr.span)
            env[parameter.name] = (
                value
                if isinstance(value, Name) and not self.numbers.is_number(value.id)
                else (self.numbers.value(value, self.place.env))
            )
        source = self.entering(
            self.stream(expr.args[0].value, self.fresh(name), self.place.env), self.fresh(name), expr.span
        )
        if source is None:
            raise Fault(
                "RS506",
                f"the gate of `{self.node}` reads nothing: no stream ever arrives there",
                expr.span,
                others=[(self.place.declaration.span, "at this node")],
            )
        return self.add(Draft("gate", name, self.node, [source], env, expr.span, template=template))

    def gate_name(self) -> str:
        name = f"{self.node}.gate"
        while name in self.streams.drafts:
            name = self.fresh(f"{self.node}.gate")
        return name

    def slots(self, gate: str, choice: Choice, names: list[str]) -> Draft:
        draft = self.streams.drafts[gate]
        if not draft.slots:
            draft.slots = names
        elif len(draft.slots) != len(names):
            raise Fault(
                "RS316",
                f"gate `{gate}` decides over {len(draft.slots)} branches elsewhere and {len(names)} here",
                choice.span,
                others=[(draft.span, "this gate")],
            )
        if choice.below is not None:
            draft.below = float(self.numbers.number(choice.below, self.place.env))
        return draft

    def send(self, choice: Choice) -> None:
        gate = self.gate(choice.gate, self.gate_name())
        source_expr = choice.source
        assert source_expr is not None
        source = self.entering(
            self.stream(source_expr, self.fresh(f"{self.node}.source"), self.place.env),
            self.fresh(f"{self.node}.source"),
            source_expr.span,
        )
        if source is None:
            raise Fault("RS506", f"nothing is ever sent by `{self.node}`", choice.span)
        branches = [
            branch
            for branch in choice.branches
            if branch.where is None or self.numbers.truth(branch.where, self.place.env)
        ]
        draft = self.slots(gate, choice, [branch.name for branch in branches])
        for slot, branch in zip(draft.slots, branches, strict=True):
            self.add(
                Draft(
                    "route",
                    f"{self.node}.{branch.name}",
                    self.node,
                    [source],
                    self.place.env,
                    branch.span,
                    branch.value,
                    gate=gate,
                    slot=slot,
                    closed=self.closed(choice, branch.name),
                )
            )

    def closed(self, choice: Choice, branch: str) -> Ref:
        for rule in choice.closed:
            if rule.branch is not None and rule.branch not in {one.name for one in choice.branches}:
                raise Fault(
                    "RS207",
                    f"`closed {rule.branch}` names no branch of this choice",
                    rule.span,
                    help=did_you_mean(rule.branch, [one.name for one in choice.branches]),
                )
            if rule.branch in (None, branch) and not (isinstance(rule.value, Name) and rule.value.id == "nothing"):
                name = f"{self.node}.closed"
                return self.entering(
                    self.stream(rule.value, self.fresh(name), self.place.env), self.fresh(name), rule.span
                )
        return None

    def choice(self, choice: Choice, name: str, env: dict[str, Any]) -> Ref:
        if choice.combine != "sum":
            known = choice.combine in COMBINES
            raise Fault(
                "RS602" if known else "RS208",
                f"choices by `{choice.combine}` are not supported yet"
                if known
                else f"unknown choice `{choice.combine}`",
                choice.span,
                help="`sum by` and `send … by` are there"
                if known
                else did_you_mean(choice.combine, (*COMBINES, "send")),
            )
        gate = self.gate(choice.gate, self.gate_name())
        branches = [one for one in choice.branches if one.where is None or self.numbers.truth(one.where, env)]
        draft = self.slots(gate, choice, [f"{name.rsplit('.', 1)[-1]}_{branch.name}" for branch in branches])
        refs: list[str] = []
        spans: list[Span | None] = []
        for slot, branch in zip(draft.slots, branches, strict=True):
            route = f"{name}_{branch.name}"
            source = self.entering(self.stream(branch.value, self.fresh(route), env), self.fresh(route), branch.span)
            if source is not None:
                spans.append(branch.span)
                refs.append(
                    self.add(
                        Draft(
                            "route",
                            route,
                            self.node,
                            [source],
                            env,
                            branch.span,
                            None,
                            gate=gate,
                            slot=slot,
                            closed=self.closed(choice, branch.name),
                            sends=False,
                        )
                    )
                )
        if not refs:
            return None
        return self.add(Draft("merge", name, self.node, refs, env, choice.span, spans=spans))

    def gated(self, expr: Binary, name: str, env: dict[str, Any]) -> Ref:
        """`g(x) * e` is `sum by g(x) { e }`."""
        gate = self.gate(expr.left, self.gate_name())
        slot = name.rsplit(".", 1)[-1]
        draft = self.slots(gate, Choice("sum", expr.left, (), span=expr.span), [slot])
        source = self.entering(self.stream(expr.right, self.fresh(name), env), self.fresh(name), expr.span)
        if source is None:
            return None
        return self.add(
            Draft("route", name, self.node, [source], env, expr.span, None, gate=gate, slot=draft.slots[0], sends=False)
        )


def output_drafts(streams: Streams, declared: OutputDecl) -> None:
    """Drafts of one output declaration: one output, or a family over its index."""
    place = Place("", (), {}, _NO_NODE)
    builder = PlaceBuilder(streams, place)
    builder.node = f"outputs.{declared.name}"
    axes = [streams.scope.axis(name, declared.span) for name in declared.index]
    for index in itertools.product(*(range(axis.low, axis.high + 1) for axis in axes)):
        env = dict(zip(declared.index, index, strict=True))
        builder.place = Place(builder.node, index, env, _NO_NODE)
        key = ".".join([declared.name, *(axis.label(i) for axis, i in zip(axes, index, strict=True))])
        ref = builder.stream(declared.value, f"outputs.{key}", env)
        if ref is None:
            raise Fault("RS507", f"output `{key}` reads nothing: its stream never exists", declared.span)
        streams.drafts[f"output.{key}"] = Draft("output", f"output.{key}", "", [ref], env, declared.span, slot=key)


def clause(template: GateDecl, name: str) -> Clause | None:
    """The clause of a gate called `name`."""
    return next((one for one in template.clauses if one.name == name), None)
