"""What every name of a space stands for, with what is declared twice and what may not be declared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from routespace.diagnostics import Findings, Span
from routespace.space.expr import (
    AxisDecl,
    Equation,
    GateDecl,
    InputDecl,
    LetDecl,
    NodeDecl,
    OpDecl,
    OutputDecl,
    Param,
    Range,
)
from routespace.space.model import Space
from routespace.space.registry import MERGES

COMBINES = ("sum", "one", "mix")
FOLDS = ("any", "all", "sum", "min", "max")
CONSTANTS = {
    "channels": "the channels of the stream that an op reads",
    "routes": "the number of routes that a gate decides over",
    "yes": "a truth value",
    "no": "a truth value",
    "nothing": "what a closed branch delivers",
}
OUTPUTS = ("outputs", "output")


@dataclass(slots=True)
class Named:
    """One meaning of a name. `is_own`: declared in the space itself, not beside it."""

    name: str
    kind: str
    span: Span | None
    declaration: object = None
    is_own: bool = True
    is_used: bool = False


@dataclass
class Table:
    """Names of one space. A name means one thing; ops and gates declared beside the space give way to its own."""

    space: Space
    findings: Findings
    named: dict[str, Named] = field(default_factory=dict)
    stream_axes: dict[str, dict[tuple[str, ...], Span | None]] = field(default_factory=dict)
    routes: set[str] = field(default_factory=set)
    equations: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, space: Space, findings: Findings) -> Table:
        table = cls(space, findings)
        for beside in space.library:
            kind = "an op" if isinstance(beside, OpDecl) else "a gate"
            table.named[beside.name] = Named(beside.name, kind, beside.span, beside, is_own=False)
        declared = space.declaration
        for parameter in declared.params:
            table.declare(Named(parameter.name, "a parameter", parameter.span, parameter))
        outputs: dict[str, Span | None] = {}
        for item in declared.body:
            match item:
                case InputDecl():
                    table.declare(Named(item.name, "an input", item.span, item))
                case AxisDecl():
                    table._axis(item)
                case LetDecl():
                    table.declare(Named(item.name, "a `let`", item.span, item))
                    table.once([(name, item.span) for name in item.index], "index `{}`")
                case OpDecl():
                    table.declare(Named(item.name, "an op", item.span, item))
                case GateDecl():
                    table.declare(Named(item.name, "a gate", item.span, item))
                case OutputDecl():
                    if item.name in outputs:
                        table.twice(item.name, item.span, outputs[item.name], "output `{}`")
                    outputs.setdefault(item.name, item.span)
        for item in declared.body:
            if isinstance(item, NodeDecl):
                table._node(item)
        return table

    def of_kind(self, *kinds: str) -> list[str]:
        return [name for name, one in self.named.items() if one.kind in kinds]

    def declare(self, one: Named) -> None:
        """Add a meaning; another of the same name in the space, or a reserved name, is reported."""
        self.allowed(one.name, one.span)
        other = self.named.get(one.name)
        if other is None or not other.is_own:
            self.named[one.name] = one
        elif other.kind == one.kind:
            self.twice(one.name, one.span, other.span)
        else:
            self.twice(one.name, one.span, other.span, kinds=(f", as {other.kind}", f", as {one.kind}"))

    def allowed(self, name: str, span: Span | None) -> None:
        """Report a name that the language gives a meaning of its own."""
        meaning = CONSTANTS.get(name)
        if name in OUTPUTS:
            meaning = "where the outputs are"
        if meaning is None and (name in COMBINES or name in FOLDS or name in MERGES):
            meaning = "a way to merge, to choose or to count"
        if meaning is not None:
            place = at_name(self.findings, span, name)
            self.findings.add("RS213", f"`{name}` cannot be declared", place, f"it is always {meaning}")

    def parameters(self, params: Iterable[Param]) -> None:
        """Report parameters of one signature that are there twice, or reserved."""
        listed = list(params)
        self.once([(one.name, one.span) for one in listed], "parameter `{}`")
        for one in listed:
            self.allowed(one.name, one.span)

    def once(self, names: Iterable[tuple[str, Span | None]], what: str) -> None:
        """Report names that stand twice in one list; `what` says what they are."""
        first: dict[str, Span | None] = {}
        for name, span in names:
            if name in first:
                self.twice(name, span, first[name], what)
            first.setdefault(name, span)

    def twice(
        self,
        name: str,
        span: Span | None,
        first: Span | None,
        what: str = "`{}`",
        kinds: tuple[str, str] = ("", ""),
    ) -> None:
        """Report a second declaration, of one statement or of two."""
        again = at_name(self.findings, span, name, 1 if span == first else 0)
        others = [(at_name(self.findings, first, name), f"first here{kinds[0]}")]
        message = f"{what.format(name)} is declared twice"
        self.findings.add("RS204", message, again, f"again here{kinds[1]}", others=others)

    def _axis(self, axis: AxisDecl) -> None:
        self.declare(Named(axis.name, "an axis", axis.span, axis))
        if not isinstance(axis.values, Range):
            self.once([(value, axis.span) for value in axis.values], f"index `{{}}` of axis `{axis.name}`")
            for value in dict.fromkeys(axis.values):
                self.declare(Named(value, "an index of an axis", axis.span, axis))
        for attribute in axis.attributes:
            self.declare(Named(attribute.name, "an attribute", attribute.span, attribute))

    def _node(self, node: NodeDecl) -> None:
        first: dict[str, Span | None] = {}
        for part in node.body:
            parts = [part] if isinstance(part, Equation) else part.branches
            for one in parts:
                if one.name in first:
                    self.twice(one.name, one.span, first[one.name], "`{}` of this node")
                    continue
                first[one.name] = one.span
                self._stream(one.name, one.span, node.axes)
                (self.equations if isinstance(part, Equation) else self.routes).add(one.name)
        if node.name in OUTPUTS:
            self.allowed(node.name, node.span)
        if node.name is not None and self.is_(node.name, "an input"):
            kinds = (", as an input", ", as a node")
            self.twice(node.name, node.span, self.named[node.name].span, kinds=kinds)

    def _stream(self, name: str, span: Span | None, axes: tuple[str, ...]) -> None:
        if name not in self.stream_axes:
            self.declare(Named(name, "a stream", span))
        self.stream_axes.setdefault(name, {}).setdefault(axes, span)

    def is_(self, name: str, kind: str) -> bool:
        one = self.named.get(name)
        return one is not None and one.kind == kind


def at_name(findings: Findings, span: Span | None, name: str, skip: int = 0) -> Span | None:
    """Where `name` stands in the statement at `span`, behind `skip` others of that name; `span` if that is unknown."""
    return span and (findings.at_name(span, name, skip) or span)
