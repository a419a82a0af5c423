"""Gates of one node: instances of gate templates, and the choices that each decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routespace.diagnostics import Span, rename
from routespace.graph.draft import Draft
from routespace.space.expr import Arg, Call, Choice, Equation, Expr, GateDecl, Name
from routespace.space.fault import Fault, Skipped
from routespace.space.registry import ACTIVATIONS
from routespace.space.walk import name_of

if TYPE_CHECKING:
    from routespace.graph.expand import PlaceBuilder


class Gates:
    """Builds the gates of the node that `builder` builds."""

    def __init__(self, builder: PlaceBuilder) -> None:
        self.builder = builder
        self.scope, self.numbers = builder.scope, builder.numbers

    def gate(self, expr: Expr, name: str, env: dict[str, Any]) -> str:
        """An instance of a gate template reading a stream; a name stands for an instance made before."""
        if isinstance(expr, Name):
            return self._known(expr)
        if not isinstance(expr, Call):
            raise Fault("RS315", "a gate is needed here", expr.span, help="write `GATE(stream)`")
        template = self._template(expr.name, expr.span)
        if not expr.args or expr.args[0].name is not None:
            raise _streamless(expr.name, expr.span)
        source = self.builder.source(expr.args[0].value, name, env, expr.span)
        if source is None:
            raise Fault(
                "RS506",
                f"the gate of `{self.builder.node}` reads nothing: no stream ever arrives there",
                expr.span,
                others=[(self.builder.place.declaration.span, "at this node")],
            )
        return self._made(template, expr.args[1:], source, name, env, expr.span)

    def instance(self, expr: Expr, source: str, name: str, env: dict[str, Any]) -> str:
        """An instance of the gate that stands inside an op: its template, named or called, reading `source`."""
        called = name_of(expr) if isinstance(expr, (Name, Call)) else ""
        args = expr.args if isinstance(expr, Call) else ()
        return self._made(self._template(called, expr.span), args, source, name, env, expr.span)

    def named(self, owner: str) -> str:
        """Name of a gate without one: that of the choice it decides, which no other equation changes."""
        name = f"{owner}.gate"
        return self.builder.fresh(name) if name in self.builder.streams.drafts else name

    def decide(self, gate: str, choice: Choice, names: list[str], env: dict[str, Any]) -> None:
        """Let `gate` decide over the branches of `choice`, which are called `names` where it is the only one."""
        draft = self.builder.streams.drafts[gate]
        if not draft.slots or (len(draft.slots) == len(names) and names < list(draft.slots)):
            draft.slots = names
        elif len(draft.slots) != len(names):
            known, here = _count(len(draft.slots), "branch"), _count(len(names), "branch")
            message = f"this gate decides over {known} elsewhere and {here} here"
            raise Fault("RS316", message, choice.span, others=[(draft.span, "the gate they share")])
        if choice.below is not None:
            draft.below = max(draft.below, self._below(choice.below, draft.template, len(names), env))

    def _known(self, expr: Name) -> str:
        name = expr.id
        if name in self.builder.gates:
            known = self.builder.gates[name]
            if known is None:
                raise Skipped
            return known
        if name in self.builder.failed:
            raise Skipped
        if name in self.scope.gates:
            raise _streamless(name, expr.span)
        if name in self.builder.local or name in self.scope.inputs:
            raise Fault(
                "RS315", f"a gate is needed here, `{name}` is a stream", expr.span, help=f"write `GATE({name})`"
            )
        for elsewhere in (part for node in self.scope.nodes for part in node.body):
            if isinstance(elsewhere, Equation) and elsewhere.name == name:
                others = [(elsewhere.span, "made here")]
                help = "a gate decides in the node that makes it"
                raise Fault("RS206", f"no gate of this node is called `{name}`", expr.span, others=others, help=help)
        help_near = rename(name, [*self.builder.gates, *self.scope.gates])
        raise Fault("RS206", f"unknown gate `{name}`", expr.span, help=help_near)

    def _template(self, name: str, span: Span | None) -> GateDecl:
        found = self.scope.gates.get(name)
        if found is None:
            raise Fault("RS206", f"unknown gate `{name}`", span, help=rename(name, self.scope.gates))
        return found

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
        inner = self.builder.streams.binding.inside(template, args, env, span)
        return self.builder.add(Draft("gate", name, self.builder.node, [source], inner, span, template=template))

    def _below(self, expr: Expr, template: GateDecl | None, routes: int, env: dict[str, Any]) -> float:
        """The sum of weights under which a choice of `routes` is closed: one that a gate can give."""
        found = float(self.numbers.number(expr, env))
        most = self._most(template, routes)
        if not 0 <= found <= most:
            message = f"weights of {_count(routes, 'route')} sum to something from 0 to {most:g}, this is {found:g}"
            raise Fault("RS311", message, expr.span, "always open" if found < 0 else "always closed")
        return found

    def _most(self, template: GateDecl | None, routes: int) -> float:
        """What the weights of a gate sum to at the most."""
        known = self.builder.streams.most
        key = (id(template), routes)
        if key not in known:
            names = [name_of(one.value) for one in template.clauses if one.name == "activation"] if template else []
            entry = ACTIVATIONS.get(names[0]) if names else None
            known[key] = entry.range[1] * (entry.opens(routes) or routes) if entry is not None else float(routes)
        return known[key]


def _streamless(gate: str, span: Span | None) -> Fault:
    help = f"write `{gate}(x)` for a stream `x`"
    return Fault("RS315", f"gate `{gate}` is not told which stream it decides by", span, help=help)


def _count(number: int, what: str) -> str:
    plural = "es" if what.endswith("ch") else "s"
    return f"{number} {what}{plural if number != 1 else ''}"
