"""Errors of the outer ring, in the same dress as those of the language.

| code  | says |
|-------|------|
| RS951 | an optional extra is not installed or cannot be imported |
| RS952 | a saved file is missing, truncated, changed or of another kind |
| RS953 | what was saved is asked for in a form it cannot have |
| RS954 | a run is resumed with other settings than it was started with |
| RS955 | a space is put into a detector that it does not fit |
| RS956 | a set of images with boxes is missing or of another kind |
| RS957 | what is to be saved would not be what can be loaded |
"""

from __future__ import annotations

from collections.abc import Iterable

from routespace.diagnostics import Diagnostic, RouteError


class RunError(RuntimeError):
    """A training run cannot start, or not go on: `message` says why and `help` what to do."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(f"{message}\n  help: {help}")
        self.message, self.help = message, help

    def __reduce__(self) -> tuple[type[RunError], tuple[str, str]]:
        return type(self), (self.message, self.help)


def fault(code: str, message: str, *, notes: Iterable[str] = (), help: str | None = None) -> RouteError:
    """A `RouteError` with one finding that stands at no place of a text.

    >>> fault("RS952", "`out/space.json` is missing").diagnostics[0].code
    'RS952'
    """
    return RouteError([Diagnostic(code, message, (), tuple(notes), help)])


def missing_extra(extra: str, cause: ImportError | RuntimeError) -> RouteError:
    """The error to raise where importing what `routespace[extra]` brings failed with `cause`."""
    if isinstance(cause, ModuleNotFoundError):
        what, notes = f"{cause.name} is not installed", []
    else:
        what, notes = "a package it needs is installed but cannot be imported", [f"importing it says: {cause}"]
    return fault(
        "RS951", f"the extra `{extra}` is not usable: {what}", notes=notes, help=f"pip install 'routespace[{extra}]'"
    )
