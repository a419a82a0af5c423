"""Findings are data: made where something is found, collected, sorted and rendered once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from routespace.diagnostics.source import Source, Span


@dataclass(frozen=True, slots=True)
class Label:
    """What to say under the carets of one place."""

    span: Span | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. The first label is the place it is reported at; further ones are places that conflict with it."""

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    severity: Literal["error", "warning"] = "error"

    @property
    def span(self) -> Span | None:
        return self.labels[0].span if self.labels else None


@dataclass
class Findings:
    """Collects diagnostics; the same code at the same places is kept once and counted."""

    sources: dict[str, Source] = field(default_factory=dict)
    limit: int = 50
    _found: dict[object, list[object]] = field(default_factory=dict)

    def add(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        label: str = "",
        *,
        others: Iterable[tuple[Span | None, str]] = (),
        notes: Iterable[str] = (),
        help: str | None = None,
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
        self._found[key] = [Diagnostic(code, message, labels, tuple(notes), help, severity), 1]

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for one in diagnostics:
            self._found.setdefault((one, None), [one, 1])

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The findings in order of place, at most `limit` of them: errors come before warnings where not all fit."""
        found = [_counted(one, times) for one, times in self._found.values()]  # type: ignore[arg-type]
        found.sort(key=_place)
        if len(found) > self.limit:
            shown = sorted(found, key=lambda one: one.severity)[: self.limit]
            found = [one for one in found if any(one is other for other in shown)]
            found[-1] = _with_note(found[-1], f"and {len(self._found) - self.limit} more findings, which are not shown")
        return tuple(found)

    @property
    def has_errors(self) -> bool:
        return any(entry[0].severity == "error" for entry in self._found.values())  # type: ignore[attr-defined]

    def raise_errors(self) -> None:
        """Raise `RouteError` with everything found, if any of it is an error."""
        if self.has_errors:
            raise RouteError(self.diagnostics, self.sources)


class RouteError(Exception):
    """What is wrong with a `.route` text or with what was asked of it; `str()` is the rendered report."""

    def __init__(self, diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source] | None = None) -> None:
        self.diagnostics = tuple(diagnostics)
        self.sources = dict(sources or {})
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from routespace.diagnostics.render import render

        return render(self.diagnostics, self.sources)

    def __reduce__(self) -> tuple[object, ...]:
        return RouteError, (self.diagnostics, self.sources)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be.

    >>> closest("sep_covn", ["sep_conv", "identity"])
    'sep_conv'
    """
    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A help line for an unknown name, or None when nothing is near."""
    near = closest(name, known)
    return f"did you mean `{near}`?" if near else None


def _counted(one: Diagnostic, times: int) -> Diagnostic:
    if times == 1:
        return one
    return _with_note(one, f"the same holds at {times - 1} more place{'s' if times > 2 else ''} made from this line")


def _with_note(one: Diagnostic, note: str) -> Diagnostic:
    return Diagnostic(one.code, one.message, one.labels, (*one.notes, note), one.help, one.severity)


def _place(one: Diagnostic) -> tuple[str, int, int, str]:
    span = one.span
    return (span.path if span else "", span.start if span else -1, one.severity != "error", one.code)
