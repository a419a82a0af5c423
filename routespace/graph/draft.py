"""Drafts: the values of a space before their ops and shapes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from routespace.diagnostics import Span
from routespace.graph.binding import Binding
from routespace.graph.fault import Fault
from routespace.graph.numbers import Numbers
from routespace.graph.places import Place
from routespace.graph.scope import Scope
from routespace.space.expr import Call, Equation, Expr, GateDecl, Index

Ref: TypeAlias = "str | None"
"""Name of a value, or None for nothing."""

MOST_READ = 120_000
KINDS = ("input", "apply", "gather", "merge", "gate", "route", "output")


@dataclass(slots=True)
class Draft:
    """A value before its op and shape are known. `head` is the value whose channels its op counts by, if not its own
    source's."""

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
    slot: int = 0
    key: str = ""
    closed: str | None = None
    sends: bool = True
    template: GateDecl | None = None
    slots: list[str] = field(default_factory=list)
    below: float = 0.0
    call: Call | None = None
    head: str = ""

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
    alias_spans: dict[str, Span | None] = field(default_factory=dict)
    reads: dict[int, Index] = field(default_factory=dict)
    falls: dict[int, Literal["off", "between", "node"]] = field(default_factory=dict)
    gated: dict[int, tuple[Expr, bool]] = field(default_factory=dict)
    work: int = 0

    def __post_init__(self) -> None:
        self.binding = Binding(self.scope, self.numbers)
        self.by_stream: dict[str, dict[tuple[int, ...], Place]] = {}
        for place in self.places:
            for part in place.declaration.body:
                names = [part.name] if isinstance(part, Equation) else [branch.name for branch in part.branches]
                self.spend(len(names), place.declaration.span)
                for name in names:
                    self.by_stream.setdefault(name, {})[place.index] = place

    def spend(self, work: int, span: Span | None) -> None:
        """Count the expressions that were read, up to what a space may have."""
        self.work += work
        if self.work > MOST_READ:
            raise Fault("RS801", f"the nodes of this space have more than {MOST_READ} expressions in all", span)

    def resolve(self, ref: Ref) -> Ref:
        """The value behind a chain of plain renamings."""
        seen = 0
        while ref is not None and ref in self.aliases:
            ref = self.aliases[ref]
            seen += 1
            if seen > len(self.aliases):
                raise Fault("RS505", f"`{ref}` is only a name for itself", self.alias_spans.get(ref or ""))
        return ref
