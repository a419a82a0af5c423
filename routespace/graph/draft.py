"""Drafts: the values of a space before their ops and shapes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from routespace.diagnostics import Span
from routespace.graph.binding import Binding
from routespace.graph.places import Place
from routespace.space.expr import Branch, Call, Choice, Equation, Expr, GateDecl, Index, NodeDecl
from routespace.space.fault import Fault
from routespace.space.numbers import Numbers
from routespace.space.scope import Scope

Ref: TypeAlias = "str | None"
"""Name of a value, or None for nothing."""

Part: TypeAlias = "Equation | Choice"
"""A statement of a node."""

MOST_READ = 120_000
KINDS = ("input", "apply", "gather", "merge", "gate", "route", "output")


@dataclass(slots=True)
class Draft:
    """A value before its op and shape are known. `head` is the value whose channels its op counts by, if not its own
    source's; `part` is the statement that makes it."""

    kind: Literal["input", "apply", "gather", "merge", "gate", "route", "output"]
    name: str
    node: str
    args: list[str]
    env: dict[str, Any]
    span: Span | None
    expr: Expr | None = None
    merge: str = "sum"
    arrives: bool = False
    spans: Sequence[Span | None] = ()
    gate: str = ""
    slot: int = 0
    key: str = ""
    closed: str | None = None
    sends: bool = True
    template: GateDecl | None = None
    slots: Sequence[str] = ()
    below: float = 0.0
    call: Call | None = None
    head: str = ""
    part: Part | None = None

    @property
    def reads(self) -> list[str]:
        if not self.gate:
            return self.args
        return [*self.args, self.gate, self.closed] if self.closed else [*self.args, self.gate]


def of_nothing(output: str, span: Span | None) -> Fault:
    """RS507: no stream arrives at `output`, declared at `span`."""
    message = f"output `{output}` is nothing: no stream arrives at what it reads"
    help = "read a stream that an input leads to at this index, or restrict where outputs and nodes stand"
    return Fault("RS507", message, span, help=help)


@dataclass(slots=True)
class Condition:
    """The condition of a branch: whether it holds somewhere, and the nodes where it does not."""

    branch: Branch
    holds: bool = False
    fails: list[str] = field(default_factory=list)


class Made(NamedTuple):
    """Names of the streams of a node rule: those its choices send, and all of them."""

    sent: frozenset[str]
    all: frozenset[str]


@dataclass
class Streams:
    """Drafts of all values of a space, by name, made place by place.

    `aliases` are the streams that are another one under a second name, `renames` the equations that say so;
    `conditions` are those of branches, `most` is what the weights of a gate template for so many routes sum to.
    """

    scope: Scope
    numbers: Numbers
    places: Sequence[Place]
    drafts: dict[str, Draft] = field(default_factory=dict)
    aliases: dict[str, Ref] = field(default_factory=dict)
    renames: dict[str, Equation] = field(default_factory=dict)
    conditions: dict[int, Condition] = field(default_factory=dict)
    reads: dict[int, Index] = field(default_factory=dict)
    falls: dict[int, Literal["off", "between", "node"]] = field(default_factory=dict)
    gated: dict[int, tuple[Expr, bool]] = field(default_factory=dict)
    most: dict[tuple[int, int], float] = field(default_factory=dict)
    work: int = 0

    def __post_init__(self) -> None:
        self.binding = Binding(self.scope, self.numbers)
        self._made: dict[int, Made] = {}
        self._behind: dict[str, Ref] = {}
        self.by_stream: dict[str, dict[tuple[int, ...], Place]] = {}
        self.origins: dict[str, Place] = {}
        for place in self.places:
            names = self.made(place.declaration).all
            self.spend(len(names), place.declaration.span)
            for name in names:
                self.by_stream.setdefault(name, {})[place.index] = place
                self.origins[f"{place.name}.{name}"] = place

    def made(self, rule: NodeDecl) -> Made:
        """The streams that the nodes of `rule` make."""
        known = self._made.get(id(rule))
        if known is None:
            sent = frozenset(branch.name for part in rule.body if isinstance(part, Choice) for branch in part.branches)
            equations = (part.name for part in rule.body if isinstance(part, Equation))
            known = self._made[id(rule)] = Made(sent, sent.union(equations))
        return known

    def spend(self, work: int, span: Span | None) -> None:
        """Count the expressions that were read, up to what a space may have."""
        self.work += work
        if self.work > MOST_READ:
            raise Fault("RS801", f"the nodes of this space have more than {MOST_READ} expressions in all", span)

    def resolve(self, ref: Ref) -> Ref:
        """The value behind a chain of plain renamings, once all are known."""
        way: list[str] = []
        while ref is not None and ref in self.aliases:
            if ref in self._behind:
                ref = self._behind[ref]
                break
            way.append(ref)
            ref = self.aliases[ref]
            if len(way) > len(self.aliases):
                raise Fault("RS505", f"`{ref}` is only a name for itself", self.renames[ref or ""].span)
        self._behind.update(dict.fromkeys(way, ref))
        return ref

    def holds(self, branch: Branch, env: dict[str, Any], node: str) -> bool:
        """Whether the condition of `branch` holds where `env` does, at `node`."""
        if branch.where is None:
            return True
        known = self.conditions.setdefault(id(branch), Condition(branch))
        if self.numbers.truth(branch.where, env):
            known.holds = True
            return True
        known.fails.append(node)
        return False
