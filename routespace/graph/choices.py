"""Choices of one node: `send`, `sum by` and `gate * stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from routespace.diagnostics import Edit, Fix, Span, rename
from routespace.graph.draft import Draft, Ref
from routespace.graph.ops import MOST_STAGES
from routespace.space.expr import Binary, Branch, Choice, ClosedRule, Expr, Name, Number, Pipe
from routespace.space.fault import Fault, Faults

if TYPE_CHECKING:
    from routespace.graph.expand import PlaceBuilder

Rules: TypeAlias = "dict[str | None, ClosedRule]"

COMBINES = ("sum", "one", "mix")


class Choices:
    """Builds the routes of the node that `builder` builds."""

    def __init__(self, builder: PlaceBuilder) -> None:
        self.builder, self.deciding = builder, builder.deciding
        self.sends = sum(isinstance(part, Choice) for part in builder.place.declaration.body)

    def short(self, name: str) -> str:
        """A value's name within its node."""
        return name.removeprefix(f"{self.builder.node}.").rpartition("outputs.")[2]

    def send(self, choice: Choice) -> None:
        node, env = self.builder.node, self.builder.place.env
        owner = node if self.sends == 1 else f"{node}.{choice.branches[0].name}"
        branches = self._branches(choice, env)
        if not branches:
            return
        gate = self.deciding.gate(choice.gate, self.deciding.named(owner), env)
        assert choice.source is not None
        source = self.builder.source(choice.source, f"{node}.source", env)
        if source is None:
            raise Fault("RS506", f"nothing is ever sent by `{node}`", choice.span)
        self.deciding.decide(gate, choice, [branch.name for branch in branches], env)
        rules = _rules(choice)
        for slot, branch in enumerate(branches):
            route = Draft("route", f"{node}.{branch.name}", node, [source], env, branch.span, branch.value)
            route.gate, route.slot, route.closed = gate, slot, self._closed(rules, branch, env)
            self.builder.add(route)

    def choice(self, choice: Choice, name: str, env: dict[str, Any]) -> Ref:
        if choice.combine != "sum":
            raise _no_choice(choice)
        gate = self.deciding.gate(choice.gate, self.deciding.named(name), env)
        branches = self._branches(choice, env)
        self.deciding.decide(gate, choice, [f"{self.short(name)}_{branch.name}" for branch in branches], env)
        rules = _rules(choice)
        refs: list[str] = []
        spans: list[Span | None] = []
        faults = Faults()
        for slot, branch in enumerate(branches):
            try:
                source = self.builder.source(branch.value, f"{name}_{branch.name}", env, branch.span)
                if source is not None:
                    route = Draft("route", f"{name}_{branch.name}", self.builder.node, [source], env, branch.span)
                    route.gate, route.slot, route.closed = gate, slot, self._closed(rules, branch, env)
                    route.sends = False
                    refs.append(self.builder.add(route))
                    spans.append(branch.span)
            except Fault as fault:
                faults.add(fault)
        faults.settle()
        if not refs:
            return None
        return self.builder.add(Draft("merge", name, self.builder.node, refs, env, choice.span, spans=spans))

    def gated(self, expr: Binary, name: str, env: dict[str, Any]) -> Ref:
        """`g(x) * e` is `sum by g(x) { e }`."""
        for number, stream in ((expr.left, expr.right), (expr.right, expr.left)):
            if self._is_number(number) and self.builder.is_stream(stream):
                message = "`*` takes a gate and a stream, no number"
                raise Fault("RS315", message, number.span, "this is a number", help=_scaled(expr, number, stream))
        gate = self.deciding.gate(expr.left, self.deciding.named(name), env)
        self.deciding.decide(gate, Choice("sum", expr.left, (), span=expr.span), [self.short(name)], env)
        template = self.builder.streams.drafts[gate].template
        piped, op = expr.right, None
        if template is not None and template.granularity == "position" and isinstance(piped, Pipe):
            stages = piped.stages
            piped, op = stages[0], stages[1] if len(stages) == 2 else Pipe(stages[1:], piped.span)
            if self.builder.gated.has_gate(op):
                raise Fault("RS602", "a gate inside a gated op is not supported yet", op.span)
        source = self.builder.source(piped, name, env, expr.span)
        if source is None:
            return None
        route = Draft("route", name, self.builder.node, [source], env, expr.span, op)
        route.gate, route.sends = gate, False
        return self.builder.add(route)

    def _is_number(self, expr: Expr) -> bool:
        return isinstance(expr, Number) or (isinstance(expr, Name) and self.builder.numbers.is_number(expr.id))

    def _branches(self, choice: Choice, env: dict[str, Any]) -> list[Branch]:
        """The branches that are there where `env` holds, of a choice that has not more than can be read."""
        if len(choice.branches) > MOST_STAGES:
            message = f"a choice of {len(choice.branches)} branches; at most {MOST_STAGES}"
            raise Fault("RS801", message, choice.branches[MOST_STAGES].span, help="make choices of parts of it")
        return [one for one in choice.branches if self.builder.streams.holds(one, env, self.builder.node)]

    def _closed(self, rules: Rules, branch: Branch, env: dict[str, Any]) -> Ref:
        """What `branch` delivers where it is closed: as its own rule says, else as the rule for all branches does."""
        rule = rules.get(branch.name) or rules.get(None)
        if rule is None or (isinstance(rule.value, Name) and rule.value.id == "nothing"):
            return None
        return self.builder.source(rule.value, f"{self.builder.node}.closed", env, rule.span)


def _scaled(product: Binary, number: Expr, stream: Expr) -> Fix:
    """How to write the `product` of a number and a stream."""
    if not isinstance(stream, Name) or not isinstance(number, (Name, Number)):
        return Fix("write `x | scale(…)` to scale a stream")
    scaled = f"{stream.id} | scale({number.id if isinstance(number, Name) else number.value})"
    edits = (Edit(product.span, f"({scaled})"),) if product.span else ()
    return Fix(f"write `{scaled}` to scale a stream", edits)


def _rules(choice: Choice) -> Rules:
    """The closed rules of a choice by branch; None is the one for all."""
    names = {branch.name for branch in choice.branches}
    for rule in choice.closed:
        if rule.branch is not None and rule.branch not in names:
            message, help = f"`closed {rule.branch}` names no branch of this choice", rename(rule.branch, names)
            raise Fault("RS207", message, rule.span, help=help)
    return {rule.branch: rule for rule in choice.closed}


def _no_choice(choice: Choice) -> Fault:
    if choice.combine in COMBINES:
        message = f"choices by `{choice.combine}` are not supported yet"
        return Fault("RS602", message, choice.span, help="`sum by` and `send … by` are there")
    help = rename(choice.combine, (*COMBINES, "send"))
    return Fault("RS208", f"unknown choice `{choice.combine}`", choice.span, help=help)
