"""One finding on its way from where it is noticed to the statement that owns it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from routespace.diagnostics import Findings, Fix, Span
from routespace.space.expr import AxisDecl, GateDecl, OpDecl

_MANY = 20


class Fault(Exception):
    """Stops the building of one declaration; whoever builds it reports it and goes on with the next.

    `about` names the parameters of an op that it is about.
    """

    def __init__(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        label: str = "",
        *,
        others: Iterable[tuple[Span | None, str]] = (),
        notes: Iterable[str] = (),
        help: str | Fix | None = None,
        about: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.span, self.label = code, message, span, label
        self.others, self.notes, self.fix = tuple(others), tuple(notes), Fix.of(help)
        self.key = (span, *(place for place, _ in self.others)) if span else None
        self.about = about
        self.beside: tuple[Fault, ...] = ()
        self.values: dict[str, str] = {}

    def again(self) -> Fault:
        """This fault, raised at another place: what is learned on its way from there is not known here."""
        other = Fault(
            self.code, self.message, self.span, self.label, others=self.others, notes=self.notes, help=self.fix
        )
        other.key, other.values = self.key, dict(self.values)
        other.beside = tuple(one.again() for one in self.beside)
        return other

    def stands(self, span: Span | None, label: str) -> None:
        """Where to report what has no place of its own: it is about a value given from outside of any text."""
        if self.span is None:
            self.span, self.label = span, label
        for one in self.beside:
            one.stands(span, label)

    @property
    def cause(self) -> object:
        """What two faults share that are one, found twice."""
        return self.code, self.key or self.message

    def through(self, span: Span | None, text: str) -> None:
        """Show a place that led here; it makes the finding no other one."""
        if span is not None and len(self.others) < 3 and all(place != span for place, _ in self.others):
            self.others = (*self.others, (span, text))
        for one in self.beside:
            one.through(span, text)

    def at(self, node: str) -> None:
        """Name the node that this was first found at."""
        if node and not node.startswith("outputs."):
            self.note(f"at node `{node}`")

    def tell(self, values: Mapping[str, str]) -> None:
        """Show the values of names that this is about; what was told nearer to it stays."""
        for one in (self, *self.beside):
            one.values = {**one.values, **{name: text for name, text in values.items() if name not in one.values}}

    def note(self, text: str, codes: Collection[str] | None = None) -> None:
        """Add a note to this, and to those beside it, that do not have it yet: to all, or to those of `codes`."""
        for one in (self, *self.beside):
            if text not in one.notes and (codes is None or one.code in codes):
                one.notes = (*one.notes, text)

    def report(self, findings: Findings) -> None:
        """Add this to `findings`. A limit that was reached (RS8) ends the building: what follows would reach it too."""
        values = ", ".join(f"`{name}` is {value}" for name, value in self.values.items())
        if self.code:
            findings.add(
                self.code,
                self.message,
                self.span,
                self.label or values,
                others=self.others,
                notes=[*self.notes, values] if values and self.label else self.notes,
                help=self.fix,
                key=self.key,
            )
        if self.code.startswith("RS8"):
            findings.raise_errors()
        for one in self.beside:
            one.report(findings)


class Faults:
    """What is wrong with parts of one statement that do not depend on each other."""

    def __init__(self) -> None:
        self._found: dict[object, Fault] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, fault: Fault) -> None:
        """Keep `fault`, and those beside it, for later, each cause once; raise all when they are many, or when a limit
        was reached."""
        together, fault.beside = (fault, *fault.beside), ()
        for one in together:
            self._found.setdefault(one.cause, one)
        if any(one.code.startswith("RS8") for one in together):
            self.settle()
        if len(self._found) >= _MANY:
            list(self._found.values())[-1].note("what follows in this statement was not looked at")
            self.settle()

    def settle(self) -> None:
        """Raise what was kept, as one."""
        if self._found:
            first, *others = self._found.values()
            first.beside = tuple(others)
            raise first


def head_of(declared: AxisDecl | OpDecl | GateDecl) -> Span | None:
    """Where a declaration stands, up to its name."""
    span = declared.span
    if span is None:
        return None
    return Span(span.path, span.start, min(span.end, span.start + len(f"{declared.kind} {declared.name}")))


class Skipped(Fault):
    """Nothing to report: what is read here was reported where it is made."""

    def __init__(self) -> None:
        super().__init__("", "reads what could not be made")
