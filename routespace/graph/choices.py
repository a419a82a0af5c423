"""Gates and choices of one node: `send`, `sum by` and `gate * stream`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routespace.diagnostics import Span, did_you_mean
from routespace.graph.draft import Draft, Ref
from routespace.graph.fault import Fault, Faults, Skipped, head_of
from routespace.graph.walk import name_of
from routespace.space.expr import Arg, Binary, Branch, Call, Choice, ClosedRule, Expr, GateDecl, Name, Number, Pipe
from routespace.space.registry import ACTIVATIONS

if TYPE_CHECKING:
    from routespace.graph.expand import PlaceBuilder

COMBINES = ("sum", "one", "mix")


class Choices:
    """Builds the gates and routes of the node that `builder` builds."""

    def __init__(self, builder: PlaceBuilder) -> None:
        self.builder = builder
        self.scope, self.numbers = builder.scope, builder.numbers

    def gate(self, expr: Expr, name: str) -> str:
        """An instance of a gate template reading a stream; a name stands for an instance made before."""
        if isinstance(expr, Name):
            if expr.id in self.builder.gates:
                known = self.builder.gates[expr.id]
                if known is None:
                    raise Skipped
                return known
            if expr.id in self.builder.failed:
                raise Skipped
            if expr.id in self.builder.local or expr.id in self.scope.stream_axes or expr.id in self.scope.inputs:
                help = f"write `GATE({expr.id})`"
                raise Fault("RS315", f"a gate is needed here, `{expr.id}` is a stream", expr.span, help=help)
            if expr.id in self.scope.gates:
                raise Fault("RS315", f"gate `{expr.id}` reads a stream", expr.span, help=f"write `{expr.id}(x)`")
            raise Fault(
                "RS206",
                f"unknown gate `{expr.id}`",
                expr.span,
                help=did_you_mean(expr.id, [*self.builder.gates, *self.scope.gates]),
            )
        if not isinstance(expr, Call):
            help = "write `x | scale(…)` to scale a stream" if isinstance(expr, Number) else "write `GATE(stream)`"
            raise Fault("RS315", "a gate is needed here", expr.span, help=help)
        template = self.scope.gates.get(expr.name)
        if template is None:
            raise Fault(
                "RS206", f"unknown gate `{expr.name}`", expr.span, help=did_you_mean(expr.name, self.scope.gates)
            )
        if not expr.args or expr.args[0].name is not None:
            raise Fault("RS315", f"gate `{expr.name}` reads a stream", expr.span, help=f"write `{expr.name}(x)`")
        source = self.builder.entering(
            self.builder.stream(expr.args[0].value, self.builder.fresh(name), self.builder.place.env),
            self.builder.fresh(name),
            expr.span,
        )
        if source is None:
            raise Fault(
                "RS506",
                f"the gate of `{self.builder.node}` reads nothing: no stream ever arrives there",
                expr.span,
                others=[(self.builder.place.declaration.span, "at this node")],
            )
        return self._made(template, expr.args[1:], source, name, self.builder.place.env, expr.span)

    def instance(self, expr: Expr, source: str, name: str, env: dict[str, Any]) -> str:
        """An instance of the gate that stands inside an op: its template, named or called, reading `source`."""
        called = expr.id if isinstance(expr, Name) else expr.name if isinstance(expr, Call) else ""
        template = self.scope.gates.get(called)
        if template is None:
            help = did_you_mean(called, self.scope.gates)
            raise Fault("RS206", f"unknown gate `{called}`", expr.span, help=help)
        return self._made(template, expr.args if isinstance(expr, Call) else (), source, name, env, expr.span)

    def _made(
        self,
        template: GateDecl,
        args: tuple[Arg, ...],
        source: str,
        name: str,
        env: dict[str, Any],
        span: Span | None,
    ) -> str:
        if template.granularity not in ("image", "position"):
            message = f"gates per {template.granularity} are not supported yet"
            raise Fault("RS602", message, template.span, help="write `per image` or `per position`")
        binding = self.builder.streams.binding
        bound = binding.bind(template.name, template.params, args, env, span, head_of(template))
        inner = {**self.builder.place.env, **bound}
        return self.builder.add(Draft("gate", name, self.builder.node, [source], inner, span, template=template))

    def gate_name(self, owner: str) -> str:
        """Name of a gate without one: that of the choice it decides, which no other equation changes."""
        name = f"{owner}.gate"
        return self.builder.fresh(name) if name in self.builder.streams.drafts else name

    def short(self, name: str) -> str:
        """A value's name within its node."""
        return name.removeprefix(f"{self.builder.node}.").rpartition("outputs.")[2]

    def slots(self, gate: str, choice: Choice, names: list[str]) -> Draft:
        draft = self.builder.streams.drafts[gate]
        if not draft.slots or (len(draft.slots) == len(names) and names < list(draft.slots)):
            draft.slots = names
        elif len(draft.slots) != len(names):
            known, here = _count(len(draft.slots), "branch"), _count(len(names), "branch")
            message = f"this gate decides over {known} elsewhere and {here} here"
            raise Fault("RS316", message, choice.span, others=[(draft.span, "the gate they share")])
        if choice.below is not None:
            draft.below = max(draft.below, self._below(choice.below, draft.template, len(names)))
        return draft

    def _below(self, expr: Expr, template: GateDecl | None, routes: int) -> float:
        """The sum of weights under which a choice of `routes` is closed: one that a gate can give."""
        found = float(self.numbers.number(expr, self.builder.place.env))
        clauses = template.clauses if template is not None else ()
        names = (name_of(clause.value) for clause in clauses if clause.name == "activation")
        most = routes * max((ACTIVATIONS[name].range[1] for name in names if name in ACTIVATIONS), default=1.0)
        if not 0 <= found <= most:
            message = f"weights of {_count(routes, 'route')} sum to something from 0 to {most:g}, this is {found:g}"
            raise Fault("RS311", message, expr.span, "always open" if found < 0 else "always closed")
        return found

    def send(self, choice: Choice) -> None:
        sends = [part for part in self.builder.place.declaration.body if isinstance(part, Choice)]
        owner = self.builder.node if len(sends) == 1 else f"{self.builder.node}.{choice.branches[0].name}"
        branches = [one for one in choice.branches if self.builder.streams.holds(one, self.builder.place.env)]
        if not branches:
            return
        gate = self.gate(choice.gate, self.gate_name(owner))
        source_expr = choice.source
        assert source_expr is not None
        source = self.builder.entering(
            self.builder.stream(source_expr, self.builder.fresh(f"{self.builder.node}.source"), self.builder.place.env),
            self.builder.fresh(f"{self.builder.node}.source"),
            source_expr.span,
        )
        if source is None:
            raise Fault("RS506", f"nothing is ever sent by `{self.builder.node}`", choice.span)
        self.slots(gate, choice, [branch.name for branch in branches])
        for slot, branch in enumerate(branches):
            self.builder.add(
                Draft(
                    "route",
                    f"{self.builder.node}.{branch.name}",
                    self.builder.node,
                    [source],
                    self.builder.place.env,
                    branch.span,
                    branch.value,
                    gate=gate,
                    slot=slot,
                    closed=self.closed(choice, branch.name),
                )
            )

    def closed(self, choice: Choice, branch: str) -> Ref:
        """What `branch` delivers where it is closed: as its own rule says, else as the rule for all branches does."""
        found: ClosedRule | None = None
        for rule in choice.closed:
            if rule.branch not in (None, branch) and all(one.name != rule.branch for one in choice.branches):
                raise Fault(
                    "RS207",
                    f"`closed {rule.branch}` names no branch of this choice",
                    rule.span,
                    help=did_you_mean(rule.branch, [one.name for one in choice.branches]),
                )
            if rule.branch == branch or (rule.branch is None and found is None):
                found = rule
        if found is None or (isinstance(found.value, Name) and found.value.id == "nothing"):
            return None
        name = f"{self.builder.node}.closed"
        return self.builder.entering(
            self.builder.stream(found.value, self.builder.fresh(name), self.builder.place.env),
            self.builder.fresh(name),
            found.span,
        )

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
        gate = self.gate(choice.gate, self.gate_name(name))
        branches = [one for one in choice.branches if self.builder.streams.holds(one, env)]
        self.slots(gate, choice, [f"{self.short(name)}_{branch.name}" for branch in branches])
        refs: list[str] = []
        spans: list[Span | None] = []
        faults = Faults()
        for slot, branch in enumerate(branches):
            try:
                ref = self._branch(choice, branch, gate, slot, f"{name}_{branch.name}", env)
            except Fault as fault:
                faults.add(fault)
                continue
            if ref is not None:
                spans.append(branch.span)
                refs.append(ref)
        faults.settle()
        if not refs:
            return None
        return self.builder.add(Draft("merge", name, self.builder.node, refs, env, choice.span, spans=spans))

    def _branch(self, choice: Choice, branch: Branch, gate: str, slot: int, name: str, env: dict[str, Any]) -> Ref:
        """The stream of a branch of `sum by`, as the route `name` of `gate`."""
        source = self.builder.entering(
            self.builder.stream(branch.value, self.builder.fresh(name), env), self.builder.fresh(name), branch.span
        )
        if source is None:
            return None
        route = Draft("route", name, self.builder.node, [source], env, branch.span, gate=gate, slot=slot, sends=False)
        route.closed = self.closed(choice, branch.name)
        return self.builder.add(route)

    def gated(self, expr: Binary, name: str, env: dict[str, Any]) -> Ref:
        """`g(x) * e` is `sum by g(x) { e }`."""
        if isinstance(expr.right, Number) and self.builder.is_stream(expr.left):
            help = "write `x | scale(…)` to scale a stream"
            raise Fault("RS315", "a gate is needed here, this is a stream", expr.left.span, help=help)
        gate = self.gate(expr.left, self.gate_name(name))
        self.slots(gate, Choice("sum", expr.left, (), span=expr.span), [self.short(name)])
        template = self.builder.streams.drafts[gate].template
        piped, op = expr.right, None
        if template is not None and template.granularity == "position" and isinstance(piped, Pipe):
            stages = piped.stages
            piped, op = stages[0], stages[1] if len(stages) == 2 else Pipe(stages[1:], piped.span)
            if self.builder.gated.has_gate(op):
                raise Fault("RS602", "a gate inside a gated op is not supported yet", op.span)
        source = self.builder.entering(
            self.builder.stream(piped, self.builder.fresh(name), env), self.builder.fresh(name), expr.span
        )
        if source is None:
            return None
        return self.builder.add(
            Draft(
                "route",
                name,
                self.builder.node,
                [source],
                env,
                expr.span,
                op,
                gate=gate,
                slot=0,
                sends=False,
            )
        )


def _count(number: int, what: str) -> str:
    plural = "es" if what.endswith("ch") else "s"
    return f"{number} {what}{plural if number != 1 else ''}"
