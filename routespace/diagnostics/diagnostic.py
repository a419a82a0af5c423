"""Findings are data: made where something is found, collected, sorted and rendered once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal

from routespace.diagnostics.source import Source, Span

MOST_KNOWN = 2000
MOST_COMPARED = 200
MOST_LISTED = 12
MOST_PLACED = 200
MOST_KEPT = 2_000
_WORD = re.compile(r"\w*")


@dataclass(frozen=True, slots=True)
class Label:
    """What to say under the carets of one place."""

    span: Span | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """What to write in place of the text at `span`; an empty span is where to insert it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """What to do about a finding: in words, and as the edits that do all of it, none where it takes more than edits.

    `instead` is a word and the one to write in its place where the finding is reported.
    """

    text: str
    edits: tuple[Edit, ...] = ()
    instead: tuple[str, str] | None = None

    @classmethod
    def of(cls, help: str | Fix | None) -> Fix:
        """`help` itself, or words alone."""
        return help if isinstance(help, Fix) else cls(help or "")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. The first label is the place it is reported at; further ones are places that conflict with it.

    `edits` of the texts, all of them together, do what `help` says.
    """

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    severity: Literal["error", "warning"] = "error"
    edits: tuple[Edit, ...] = ()

    @property
    def span(self) -> Span | None:
        return self.labels[0].span if self.labels else None


@dataclass
class Findings:
    """Collects diagnostics; the same code at the same places is kept once and counted.

    Of a text in which nearly everything is wrong, what follows `MOST_KEPT` findings is only counted.
    """

    sources: dict[str, Source] = field(default_factory=dict)
    limit: int = 50
    has_errors: bool = False
    _found: dict[object, list[object]] = field(default_factory=dict)
    _left_out: int = 0

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        label: str = "",
        *,
        others: Iterable[tuple[Span | None, str]] = (),
        notes: Iterable[str] = (),
        help: str | Fix | None = None,
        severity: Literal["error", "warning"] = "error",
        key: object = None,
    ) -> None:
        """Add a finding; `key` is what makes it the same as another one, if that is not its places."""
        labels = (Label(span, label), *(Label(place, text) for place, text in others))
        key = (code, key if key is not None else tuple(one.span for one in labels) if span else message)
        entry = self._found.get(key)
        if entry is not None:
            entry[1] += 1  # type: ignore[operator]
            return
        if self.has_errors and len(self._found) >= MOST_KEPT:
            self._left_out += 1
            return
        self.has_errors = self.has_errors or severity == "error"
        fix = self._placed(Fix.of(help), span)
        self._found[key] = [
            Diagnostic(code, message, labels, tuple(notes), fix.text or None, severity, fix.edits),
            1,
        ]

    def _placed(self, fix: Fix, span: Span | None) -> Fix:
        """`fix` with the edit of the word that it replaces at `span`, if a text says it there."""
        if fix.instead is None or span is None:
            return fix
        word, by = fix.instead
        place = self.at_name(span, word)
        return fix if place is None else replace(fix, edits=(*fix.edits, Edit(place, by)))

    def at_name(self, span: Span, name: str, skip: int = 0) -> Span | None:
        """Where the word `name` stands in the text at `span`, behind `skip` others of it; None where it does not, or
        where so much is reported that nobody will see it."""
        source = self.sources.get(span.path)
        if source is None or self.count > MOST_PLACED:
            return None
        text, at = source.text, span.start
        while (at := text.find(name, at, span.end)) >= 0:
            end = at + len(name)
            if not _is_word(text[at - 1 : at]) and not _is_word(text[end : end + 1]):
                if skip == 0:
                    return Span(span.path, at, end)
                skip -= 1
            at = _WORD.match(text, end).end()  # type: ignore[union-attr]
        return None

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for one in diagnostics:
            self._found.setdefault((one, None), [one, 1])
            self.has_errors = self.has_errors or one.severity == "error"

    def absorb(self, other: Findings) -> None:
        """Add all that `other` has found, counted as it was there."""
        for key, entry in other._found.items():
            self._found.setdefault(key, entry)
        self.has_errors = self.has_errors or other.has_errors
        self._left_out += other._left_out

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The errors in order of place, then the warnings; at most `limit` findings."""
        found = sorted((_counted(one, times) for one, times in self._found.values()), key=_place)  # type: ignore[arg-type]
        if len(found) > self.limit:
            del found[self.limit :]
            found[-1] = _with_note(found[-1], f"and {self.count - self.limit} more findings, which are not shown")
        return tuple(found)

    @property
    def count(self) -> int:
        """How many findings there are, those beyond `limit` too."""
        return len(self._found) + self._left_out

    def raise_errors(self) -> None:
        """Raise `RouteError` with everything found, if any of it is an error."""
        if self.has_errors:
            raise RouteError(self.diagnostics, self.sources)


class RouteError(Exception):
    """What is wrong with a `.route` text or with what was asked of it; `str()` is the rendered report."""

    def __init__(self, diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source] | None = None) -> None:
        self.diagnostics = tuple(diagnostics)
        if not all(isinstance(one, Diagnostic) for one in self.diagnostics):
            # Loaders of data make errors of their processes anew from a text, and show it where that fails.
            raise TypeError("a RouteError is made of diagnostics")
        self.sources = dict(sources or {})
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from routespace.diagnostics.render import render

        return render(self.diagnostics, self.sources)

    def __reduce__(self) -> tuple[object, ...]:
        return RouteError, (self.diagnostics, self.sources)


def closest(name: object, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be; none for what is no text, and among very many, which would
    take long.

    >>> closest("sep_covn", ["sep_conv", "identity"]), closest("ReLU", ["relu", "tanh"])
    ('sep_conv', 'relu')
    """
    names = sorted(known)
    if not isinstance(name, str) or len(names) > MOST_KNOWN:
        return None
    near = get_close_matches(name[:MOST_COMPARED], names, n=1, cutoff=0.6)
    if near:
        return near[0]
    lowered = {one.lower(): one for one in names}
    return next((lowered[one] for one in get_close_matches(name[:MOST_COMPARED].lower(), lowered, n=1)), None)


def listed(names: Iterable[str]) -> str:
    """Names in a message, the first of very many.

    >>> listed(f"a{number}" for number in range(100))
    'a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11 and 88 more'
    """
    known = list(names)
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return ", ".join(known[:MOST_LISTED]) + more


def did_you_mean(name: object, known: Iterable[str]) -> str | None:
    """A help line for an unknown name, or None when nothing is near."""
    near = closest(name, known)
    return f"did you mean `{near}`?" if near else None


def rename(name: str, known: Iterable[str]) -> Fix | None:
    """The fix for an unknown name: the known one that is near, or None when nothing is.

    >>> rename("sep_covn", ["sep_conv"])
    Fix(text='did you mean `sep_conv`?', edits=(), instead=('sep_covn', 'sep_conv'))
    """
    near = closest(name, known)
    return Fix(f"did you mean `{near}`?", instead=(name, near)) if near else None


def write(text: str, span: Span | None) -> Fix:
    """The fix that writes `text` in place of all that stands at `span`.

    >>> write("x", Span("a.route", 4, 8))
    Fix(text='write `x`', edits=(Edit(span=Span(path='a.route', start=4, end=8), text='x'),), instead=None)
    """
    return Fix(f"write `{text}`", (Edit(span, text),) if span else ())


def insert(text: str, span: Span | None, at: int, help: str) -> Fix:
    """The fix that writes `text` at offset `at` of the text that `span` points into, and says `help`."""
    return Fix(help, (Edit(Span(span.path, at, at), text),) if span else ())


def _counted(one: Diagnostic, times: int) -> Diagnostic:
    if times == 1:
        return one
    return _with_note(one, f"the same holds at {times - 1} more place{'s' if times > 2 else ''} made from this line")


def _with_note(one: Diagnostic, note: str) -> Diagnostic:
    return replace(one, notes=(*one.notes, note))


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _place(one: Diagnostic) -> tuple[bool, str, int, str]:
    span = one.span
    return (one.severity != "error", span.path if span else "", span.start if span else -1, one.code)
