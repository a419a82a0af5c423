"""Names looked up in the table of a space: marked as used where they are known, reported where they are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from routespace.diagnostics import Edit, Findings, Fix, Span, closest, listed
from routespace.diagnostics.diagnostic import MOST_LISTED
from routespace.space.bare import bare
from routespace.space.expr import Arg, AxisDecl, Call, Index, Name
from routespace.space.fault import Fault
from routespace.space.names.table import CONSTANTS, Named, Table, at_name
from routespace.space.registry import MERGES, OPS
from routespace.space.torch_names import torch_hint

Local: TypeAlias = frozenset[str]
NONE: Local = frozenset()
NUMBERS = ("a parameter", "an axis", "an index of an axis", "an attribute", "a `let`")
STREAMS = ("a stream", "an input")
MOST_SUGGESTIONS = 60
MOST_PLACES = 4


@dataclass
class _Unknown:
    """A name that was not found, at its first place."""

    name: str
    place: Span | None
    near: str | None
    help: str | None
    others: tuple[tuple[Span | None, str], ...]
    more: list[Span | None] = field(default_factory=list)


@dataclass
class Lookup:
    """What a name means where it stands.

    `local` names have a value only there: parameters of an op or a gate, the index of a `let`, the variable of a `for`.
    `here` and `instances` are the streams and the gate instances of the node that is read. `place` is where to report
    what has no place of its own; `excused` names are known elsewhere.
    """

    table: Table
    findings: Findings
    here: Local = NONE
    instances: Local = NONE
    place: Span | None = None
    excused: Local = NONE
    waiting: list[Named] = field(default_factory=list)
    used_locals: set[str] = field(default_factory=set)
    unknowns: dict[tuple[str, str], _Unknown] = field(default_factory=dict)

    def use(self, name: str) -> None:
        """Mark what `name` stands for as used; a declaration beside the space is read when something uses it."""
        one = self.table.named[name]
        if not one.is_used:
            one.is_used = True
            if not one.is_own:
                self.waiting.append(one)
            elif one.kind in ("an index of an axis", "an attribute") and isinstance(one.declaration, AxisDecl):
                self.use(one.declaration.name)

    def number_name(self, name: str, span: Span | None, local: Local, more: Iterable[str] = ()) -> None:
        """A name where a number stands; `more` could stand there too."""
        if name in local:
            self.used_locals.add(name)
        elif name in self.table.named:
            self.use(name)
        elif name in OPS or name in MERGES:
            self.unknown("RS301", f"a number is needed here, `{name}` is an op", name, span, ())
        elif name not in CONSTANTS:
            self.unknown("RS201", f"unknown name `{name}`", name, span, NUMBERS, (*local, *CONSTANTS, *more))

    def value_name(self, expr: Name, local: Local) -> None:
        """A name where a number or an op stands."""
        if expr.id in self.table.named or expr.id in local:
            self.number_name(expr.id, expr.span, local)
        elif not (expr.id in OPS or expr.id in MERGES):
            ops = (*self.table.of_kind("an op"), *OPS) if self.is_suggesting else ()
            self.number_name(expr.id, expr.span, local, ops)

    def is_op(self, name: str) -> bool:
        """Whether `name` may stand for an op as far as the table can tell."""
        return name in self.table.named or name in OPS or name in MERGES or name in CONSTANTS

    def op_name(self, name: str, span: Span | None, local: Local) -> None:
        if name in local:
            self.used_locals.add(name)
        elif name in self.table.named:
            self.use(name)
        elif not self.is_op(name):
            hint = torch_hint(name)
            kinds = ("an op", "a parameter") if hint is None else ()
            more = (*local, *OPS, *MERGES) if hint is None else ()
            self.unknown("RS203", f"unknown op `{name}`", name, span, kinds, more, help=hint)

    def stream_name(self, expr: Name, local: Local) -> None:
        name = expr.id
        if name in self.here or name in self.instances:
            return
        if name in self.table.named:
            self.use(name)
            self._one_grid(name, expr.span)
        elif name not in local and name not in OPS and name not in MERGES and name not in CONSTANTS:
            self.unknown("RS201", f"unknown stream `{name}`", name, expr.span, STREAMS, self.here)

    def stream_index(self, expr: Index, local: Local) -> None:
        if expr.name in self.table.named:
            self.use(expr.name)
            self._one_grid(expr.name, expr.span)
        elif expr.name not in local:
            self.unknown("RS201", f"unknown stream `{expr.name}`", expr.name, expr.span, STREAMS)

    def gate_name(self, name: str, span: Span | None, local: Local) -> None:
        if self.table.is_(name, "a gate"):
            self.use(name)
        elif name not in self.table.named and name not in local and name not in self.instances:
            self.unknown("RS206", f"unknown gate `{name}`", name, span, ("a gate",), self.instances)

    def bare(self, called: str, args: Iterable[Arg]) -> None:
        """Arguments that stand for themselves; a name or a mode on one of them is reported."""
        for arg in args:
            try:
                bare(called, arg)
            except Fault as fault:
                fault.report(self.findings)

    def arguments(
        self, call: Call, names: list[str], others: Iterable[tuple[Span | None, str]] = ()
    ) -> tuple[Arg, ...]:
        """The arguments that the signature knows; those given by another name are reported."""
        known = [arg for arg in call.args if arg.name is None or arg.name in names]
        for arg in call.args:
            if arg.name is not None and arg.name not in names:
                message = f"`{call.name}` has no argument `{arg.name}`"
                self.unknown("RS309", message, arg.name, arg.span or call.span, (), names, others)
        return tuple(known)

    def unknown(
        self,
        code: str,
        message: str,
        name: str,
        span: Span | None,
        kinds: tuple[str, ...],
        more: Iterable[str] = (),
        others: Iterable[tuple[Span | None, str]] = (),
        help: str | None = None,
    ) -> None:
        """Report `name`, and a name near it among those of `kinds` and `more`, or else `help`."""
        if name in self.excused:
            return
        place = at_name(self.findings, span, name) or self.place
        known = self.unknowns.get((code, message))
        if known is not None:
            known.more.append(place)
            return
        near: str | None = None
        if self.is_suggesting:
            names = [*self.table.of_kind(*kinds), *more] if kinds else list(more)
            near = closest(name, names)
            if near is None and help is None and kinds:
                help = _listed(names)
        self.unknowns[code, message] = _Unknown(name, place, near, help, tuple(others))

    def report(self) -> None:
        """Add what was not found to the findings: each once, with the further places that read it."""
        for (code, message), one in self.unknowns.items():
            others = [*one.others, *((place, "and here") for place in one.more[:MOST_PLACES])]
            rest = len(one.more) - MOST_PLACES
            notes = [f"and at {rest} more place{'s' if rest > 1 else ''}"] if rest > 0 else []
            self.findings.add(code, message, one.place, others=others, notes=notes, help=self._fix(one))
        self.unknowns.clear()

    def _fix(self, one: _Unknown) -> Fix | str | None:
        """The name that was meant, written wherever the unknown one stands."""
        if one.near is None:
            return one.help
        places = (self.findings.at_name(place, one.name) for place in (one.place, *one.more) if place is not None)
        edits = tuple(Edit(place, one.near) for place in dict.fromkeys(places) if place is not None)
        return Fix(f"did you mean `{one.near}`?", edits)

    @property
    def is_suggesting(self) -> bool:
        """Whether names are still compared for likeness, which takes time: not after many errors."""
        return len(self.unknowns) < MOST_SUGGESTIONS

    def _one_grid(self, name: str, span: Span | None) -> None:
        grids = self.table.stream_axes.get(name, {})
        if len(grids) > 1:
            (axes, first), (more, second), *_ = grids.items()
            others = [
                (at_name(self.findings, first, name), f"here on {_axes(axes)}"),
                (at_name(self.findings, second, name), f"here on {_axes(more)}"),
            ]
            message = f"`{name}` cannot be read from another node: it stands on different axes"
            help = "give one of the streams another name"
            self.unknown("RS214", message, name, span, (), (), others, help)


def _listed(names: Sequence[str]) -> str | None:
    """What could stand there instead, where that is little."""
    known = sorted({f"`{name}`" for name in names})
    return f"known here: {listed(known)}" if 0 < len(known) <= MOST_LISTED else None


def _axes(axes: tuple[str, ...]) -> str:
    return ", ".join(axes) if axes else "no axis"
