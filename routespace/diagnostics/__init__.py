"""Findings about a text: their places, codes and rendering. The lowest room: it imports nothing of the others."""

from routespace.diagnostics.diagnostic import (
    Diagnostic,
    Edit,
    Findings,
    Fix,
    Label,
    RouteError,
    closest,
    did_you_mean,
    insert,
    listed,
    rename,
    write,
)
from routespace.diagnostics.escape import escaped, escaped_lines, quoted
from routespace.diagnostics.source import Source, Span

__all__ = [
    "Diagnostic",
    "Edit",
    "Findings",
    "Fix",
    "Label",
    "RouteError",
    "Source",
    "Span",
    "closest",
    "did_you_mean",
    "escaped",
    "escaped_lines",
    "insert",
    "listed",
    "quoted",
    "rename",
    "write",
]
