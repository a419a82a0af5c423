"""Ops that gates stand in, taken apart: what a pipe with a gate inside is as streams of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routespace.diagnostics import Span
from routespace.graph.draft import Draft, Ref
from routespace.graph.ops import DEEPEST, too_deep
from routespace.space.expr import Binary, Call, Choice, Expr, If, Name, Pipe, Sum
from routespace.space.fault import Fault, Faults, head_of

if TYPE_CHECKING:
    from routespace.graph.expand import PlaceBuilder


class Gated:
    """Pipes streams of one node through ops. An op without gates is one value; else each gate in it is an instance
    that reads what the op it stands before reads."""

    def __init__(self, builder: PlaceBuilder) -> None:
        self.builder, self.scope = builder, builder.scope
        self.known = builder.streams.gated
        self.opening: list[str] = []
        self.way: list[str] = []
        self.count: dict[str, int] = {}

    def has_gate(self, expr: Expr) -> bool:
        """Whether an op, or an op that it names, has a gate in it."""
        known = self.known.get(id(expr))
        if known is None:
            known = (expr, self._has_gate(expr))
            self.known[id(expr)] = known
        return known[1]

    def _has_gate(self, expr: Expr) -> bool:
        match expr:
            case Choice():
                return True
            case Binary(op="*"):
                return not self.is_op(expr.left) or self.has_gate(expr.right)
            case Pipe(stages=parts) | Sum(terms=parts):
                return any(self.has_gate(part) for part in parts)
            case If():
                return self.has_gate(expr.value) or self.has_gate(expr.otherwise)
            case Name(id=name) | Call(name=name):
                return self._names_gate(name)
        return False

    def _names_gate(self, name: str) -> bool:
        declared = self.scope.ops.get(name)
        if declared is None or name in self.opening:
            return False
        if len(self.opening) >= DEEPEST:
            raise too_deep(self.opening, head_of(declared))
        self.opening.append(name)
        try:
            return self.has_gate(declared.value)
        finally:
            self.opening.pop()

    def is_op(self, expr: Expr) -> bool:
        """Whether what stands before a `*` is an op that is piped into, such as `learned(1)`."""
        return isinstance(expr, Call) and self.builder.streams.binding.is_op(expr.name, {})

    def piped(self, source: str, expr: Expr, name: str, env: dict[str, Any], head: str, span: Span | None) -> Ref:
        """`source` through the op `expr`, called `name`; `head` is the value whose channels `channels` stands for."""
        self.builder.streams.spend(1, span)
        if not self.has_gate(expr):
            draft = Draft("apply", name, self.builder.node, [source], env, span, expr)
            draft.head = "" if head == source else head
            return self.builder.add(draft)
        match expr:
            case Pipe():
                return self._stages(source, expr, name, env, head, span)
            case Sum():
                return self._beside(source, expr, name, env, head)
            case If():
                chosen = expr.value if self.builder.numbers.truth(expr.condition, env) else expr.otherwise
                return self.piped(source, chosen, name, env, head, span)
            case Binary(op="*") if self.is_op(expr.left):
                return self.piped(source, Pipe((expr.right, expr.left), expr.span), name, env, head, span)
            case Binary(op="*"):
                return self._route(source, expr, name, env, head)
            case Name(id=called) | Call(name=called) if called in self.scope.ops:
                return self._declared(source, called, expr, name, env)
        raise Fault(
            "RS602",
            "a choice inside an op is not supported yet",
            expr.span,
            help="write the choice as an equation of the node",
        )

    def _stages(self, source: str, expr: Pipe, name: str, env: dict[str, Any], head: str, span: Span | None) -> Ref:
        runs: list[list[Expr]] = []
        for stage in expr.stages:
            if runs and not self.has_gate(stage) and not self.has_gate(runs[-1][-1]):
                runs[-1].append(stage)
            else:
                runs.append([stage])
        ref: Ref = source
        for place, run in enumerate(runs):
            assert ref is not None
            part = run[0] if len(run) == 1 else Pipe(tuple(run), expr.span)
            called = name if place == len(runs) - 1 else self.builder.fresh(name)
            ref = self.piped(ref, part, called, env, head, span)
        return ref

    def _beside(self, source: str, expr: Sum, name: str, env: dict[str, Any], head: str) -> Ref:
        refs: list[Ref] = []
        faults = Faults()
        for term in expr.terms:
            try:
                refs.append(self.piped(source, term, self.builder.fresh(name), env, head, term.span))
            except Fault as fault:
                faults.add(fault)
        faults.settle()
        spans = [term.span for term in expr.terms]
        return self.builder.add(
            Draft("merge", name, self.builder.node, [ref for ref in refs if ref], env, expr.span, spans=spans)
        )

    def _declared(self, source: str, called: str, expr: Name | Call, name: str, env: dict[str, Any]) -> Ref:
        declared = self.scope.ops[called]
        args = expr.args if isinstance(expr, Call) else ()
        inner = self.builder.streams.binding.inside(declared, args, env, expr.span)
        if len(self.way) >= DEEPEST:
            raise too_deep(self.way, expr.span)
        self.way.append(called)
        try:
            return self.piped(source, declared.value, name, inner, source, expr.span)
        except Fault as fault:
            fault.through(expr.span, f"`{called}` is used here")
            raise
        finally:
            self.way.pop()

    def _named(self, name: str, gate: Expr) -> str:
        """Name of a gated op: that of its equation where it is all of it, else with the name of its gate behind."""
        *path, last = name.split(".")
        if not last.isdigit():
            return name
        while path[-1].isdigit():
            path.pop()
        template = gate.id if isinstance(gate, Name) else gate.name if isinstance(gate, Call) else "gated"
        found = hint = f"{'.'.join(path)}.{template}"
        while found in self.builder.streams.drafts:
            self.count[hint] = self.count.get(hint, 1) + 1
            found = f"{hint}.{self.count[hint]}"
        return found

    def _route(self, source: str, expr: Binary, name: str, env: dict[str, Any], head: str) -> Ref:
        """`gate * op`: the op's result where the gate, which reads what the op reads, is open.

        It counts as what it becomes: a gate, its decision, and a route.
        """
        self.builder.streams.spend(3, expr.span)
        deciding, short = self.builder.deciding, self.builder.choices.short
        if self.has_gate(expr.right):
            raise Fault("RS602", "a gate inside a gated op is not supported yet", expr.right.span)
        name = self._named(name, expr.left)
        gate = deciding.instance(expr.left, source, deciding.named(name), env)
        deciding.decide(gate, Choice("sum", expr.left, (), span=expr.span), [short(name)], env)
        route = Draft("route", name, self.builder.node, [source], env, expr.span, expr.right)
        route.gate, route.sends, route.head = gate, False, "" if head == source else head
        return self.builder.add(route)
