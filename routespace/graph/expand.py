"""Drafts of one node: its equations and choices at the place where it stands."""

from __future__ import annotations

import itertools
from math import prod
from typing import Any

from routespace.diagnostics import Edit, Findings, Fix, Span, rename
from routespace.graph.choices import Choices
from routespace.graph.draft import Draft, Part, Ref, Streams, of_nothing
from routespace.graph.gated import Gated
from routespace.graph.gates import Gates
from routespace.graph.places import Place
from routespace.graph.reads import Reader
from routespace.space.arithmetic import count
from routespace.space.expr import (
    Arg,
    Binary,
    Call,
    Choice,
    Each,
    Equation,
    Expr,
    If,
    Index,
    Name,
    NodeDecl,
    Number,
    OutputDecl,
    Pipe,
    Sum,
    Unary,
)
from routespace.space.fault import Fault, Faults
from routespace.space.registry import MERGES, OPS

MOST_MEMBERS = 1000
_NO_NODE = NodeDecl(None, (), None, ())


class PlaceBuilder(Reader):
    """Builds the drafts of one node."""

    def __init__(self, streams: Streams, place: Place) -> None:
        super().__init__(streams, place)
        self.count: dict[str, int] = {}
        self.part: Part | None = None
        self.deciding = Gates(self)
        self.choices = Choices(self)
        self.gated = Gated(self)

    def build(self, findings: Findings) -> None:
        """Make the drafts of all equations and choices; what is wrong with one of them is reported."""
        body = self.place.declaration.body
        for part in body:
            if isinstance(part, Equation) and isinstance(part.value, Call) and part.value.name in self.scope.gates:
                self.part = part
                try:
                    self.gates[part.name] = self.deciding.gate(part.value, f"{self.node}.{part.name}", self.place.env)
                except Fault as fault:
                    self.gates[part.name] = None
                    self.located(fault).report(findings)
        for part in body:
            self.part = part
            try:
                if isinstance(part, Choice):
                    self.choices.send(part)
                elif part.name not in self.gates:
                    self.equation(part)
            except Fault as fault:
                if isinstance(part, Equation):
                    self.failed.add(part.name)
                self.located(fault).report(findings)

    def located(self, fault: Fault) -> Fault:
        """`fault` with the place, where the node stands at several."""
        if self.place.env:
            fault.at(self.node)
        return fault

    def equation(self, part: Equation) -> None:
        name = f"{self.node}.{part.name}"
        ref = self.stream(part.value, name, self.place.env)
        if ref != name:
            ref = self.entering(ref, name, part.span)
        if ref != name:
            if name in self.streams.drafts:
                raise self.taken(name, part.span)
            self.streams.aliases[name] = ref
            self.streams.renames[name] = part

    def fresh(self, hint: str) -> str:
        """A name no user can write and no other equation changes: `x.1`, `x.2`."""
        self.count[hint] = self.count.get(hint, 0) + 1
        return f"{hint}.{self.count[hint]}"

    def add(self, draft: Draft) -> str:
        if draft.name in self.streams.drafts or draft.name in self.streams.renames:
            raise self.taken(draft.name, draft.span, draft.kind)
        draft.part = self.part
        self.streams.drafts[draft.name] = draft
        return draft.name

    def taken(self, name: str, span: Span | None, kind: str = "") -> Fault:
        """What to say of a second value called `name`."""
        draft = self.streams.drafts.get(name)
        kinds = (kind, draft.kind if draft is not None else "")
        help = "the branch of a choice is called by its equation and its own name, with `_` between them"
        return Fault(
            "RS204",
            f"`{name}` is defined twice",
            span,
            others=[(draft.span if draft is not None else self.streams.renames[name].span, "first here")],
            help=help if "route" in kinds else None,
        )

    def stream(self, expr: Expr, name: str, env: dict[str, Any]) -> Ref:
        """The value that a stream expression makes; a new one is called `name`."""
        self.streams.spend(1, expr.span)
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
                source = self.source(expr.stages[0], name, env, expr.span)
                if source is None:
                    return None
                rest = expr.stages[1] if len(expr.stages) == 2 else Pipe(expr.stages[1:], expr.span)
                return self.gated.piped(source, rest, name, env, source, expr.span)
            case Call() if expr.name in MERGES:
                return self.merge(expr.name, list(self.terms(expr, env)), name, expr.span)
            case Call() if expr.name in OPS and OPS[expr.name].variadic:
                return self.gather(expr, name, env)
            case Call():
                return self.applied(expr, name, env)
            case Choice():
                return self.choices.choice(expr, name, env)
            case Binary(op="*") if self.gated.is_op(expr.left):
                return self.stream(Pipe((expr.right, expr.left), expr.span), name, env)
            case Binary(op="*"):
                return self.choices.gated(expr, name, env)
        raise Fault("RS314", "a stream is needed here", expr.span, _no_stream(expr))

    def entering(self, ref: Ref, name: str, span: Span | None) -> Ref:
        """`ref` as something an op can read: a route of another node arrives through a merge of one."""
        if ref is None or not self.crosses(ref):
            return ref
        return self.add(Draft("merge", name, self.node, [ref], self.place.env, span, arrives=True, spans=[span]))

    def source(self, expr: Expr, hint: str, env: dict[str, Any], span: Span | None = None) -> Ref:
        """The value of a stream expression as something an op can read; what it takes is named by `hint`."""
        ref = self.stream(expr, self.fresh(hint), env)
        return self.entering(ref, self.fresh(hint), span or expr.span)

    def merge(self, kind: str, terms: list[tuple[Expr, dict[str, Any]]], name: str, span: Span | None) -> Ref:
        refs: list[str] = []
        spans: list[Span | None] = []
        faults = Faults()
        for term, env in terms:
            try:
                ref = self.stream(term, self.fresh(name), env)
            except Fault as fault:
                faults.add(fault)
                continue
            if ref is not None:
                refs.append(ref)
                spans.append(term.span)
        faults.settle()
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

    def gather(self, call: Call, name: str, env: dict[str, Any]) -> Ref:
        """An op of several streams: leading positional arguments that read streams, then its own arguments."""
        refs: list[str] = []
        rest: list[Arg] = []
        for arg in call.args:
            if arg.name is None and self.is_stream(arg.value):
                if rest:
                    message = f"the streams of `{call.name}` stand before its arguments"
                    raise Fault("RS309", message, arg.span or arg.value.span)
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

    def _piped(self, call: Call) -> Fix:
        """How to write an op that was called with a stream, `relu(x)`."""
        first = call.args[0].value if call.args else None
        if not isinstance(first, Name) or not self.is_stream(first):
            return Fix(f"pipe a stream into it: `x | {call.name}(…)`")
        piped = f"{first.id} | {call.name}"
        edits = (Edit(call.span, f"({piped})"),) if call.span and len(call.args) == 1 else ()
        return Fix(f"pipe a stream into it: `{piped}`", edits)

    def applied(self, call: Call, name: str, env: dict[str, Any]) -> Ref:
        if call.name in self.scope.gates:
            raise Fault("RS314", "a gate is no stream", call.span, help="give it a name, or use it after `by`")
        if call.name in self.scope.ops or call.name in OPS:
            raise Fault(
                "RS314", f"a stream is needed here, `{call.name}(…)` is an op", call.span, help=self._piped(call)
            )
        raise Fault(
            "RS203",
            f"unknown op `{call.name}`",
            call.span,
            help=rename(call.name, [*MERGES, *self.scope.op_names()]),
        )


def _no_stream(expr: Expr) -> str:
    """What an expression is that makes no stream, in words."""
    match expr:
        case Number():
            return "this is a number"
        case Binary(op="-"):
            return "streams are added with `+`, never subtracted"
        case Binary() | Unary():
            return "this is no way to make a stream"
    return ""


def output_drafts(streams: Streams, declared: OutputDecl) -> None:
    """Drafts of one output declaration: one output, or a family over its index."""
    place = Place("", (), {}, _NO_NODE)
    builder = PlaceBuilder(streams, place)
    builder.node = f"outputs.{declared.name}"
    faults = Faults()
    axes = [streams.scope.axis(name, declared.span) for name in declared.index]
    if (members := prod(len(axis.labels) for axis in axes)) > MOST_MEMBERS:
        message = f"output `{declared.name}` has {count(members)} members; at most {MOST_MEMBERS}"
        raise Fault("RS801", message, declared.span)
    for index in itertools.product(*(range(axis.low, axis.high + 1) for axis in axes)):
        env = dict(zip(declared.index, index, strict=True))
        builder.place = Place(builder.node, index, env, _NO_NODE)
        key = ".".join([declared.name, *(axis.label(i) for axis, i in zip(axes, index, strict=True))])
        try:
            ref = builder.stream(declared.value, f"outputs.{key}", env)
        except Fault as fault:
            faults.add(fault)
            continue
        if ref is None and streams.falls.get(id(declared.value)) == "off":
            continue  # said of the read itself
        if ref is None:
            faults.add(of_nothing(key, declared.span))
            continue
        streams.drafts[f"output.{key}"] = Draft("output", f"output.{key}", "", [ref], env, declared.span, key=key)
    faults.settle()
