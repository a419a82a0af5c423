"""Sizes of images that a space is tried with, so that what is wrong with its streams is found before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from routespace.diagnostics import Diagnostic, Findings, RouteError
from routespace.graph.concrete import Concrete
from routespace.graph.draft import Draft
from routespace.graph.ir import Value
from routespace.graph.places import Place
from routespace.graph.shapes import BY_SIZE
from routespace.space.numbers import Numbers
from routespace.space.scope import Scope

Size = tuple[int, int]

PROBES: tuple[Size, ...] = ((192, 256), (224, 224), (6720, 13440), (193, 257), (32, 32), (28, 28))
"""Height and width are told apart by the first. The others are for spaces that take few sizes: those of images that
networks are often made for, one that many numbers divide and no window exceeds, and odd ones."""


def at_some_size(
    scope: Scope, numbers: Numbers, places: Sequence[Place], drafts: list[Draft], findings: Findings
) -> tuple[list[Value], Size]:
    """The values of `drafts`, and the first of `PROBES` that they fit.

    What is wrong at the first is added to `findings`: as warnings where another one fits, and else raised as
    `RouteError`.
    """

    def tried(probe: Size, patient: bool) -> tuple[list[Value], Findings]:
        found = Findings(findings.sources)
        with suppress(RouteError):  # of a limit, which is among the findings
            return Concrete(scope, numbers, places, probe, found).all(drafts, patient), found
        return [], found

    first = Findings()
    for probe in PROBES:
        values, found = tried(probe, patient=not first.has_errors)
        if not found.has_errors:
            findings.absorb(found)
            findings.extend(_of_some_sizes(one, probe) for one in first.diagnostics if one.severity == "error")
            return values, probe
        first = first if first.has_errors else found
        if any(one.severity == "error" and one.code not in BY_SIZE for one in first.diagnostics):
            break
    findings.absorb(first)
    raise RouteError(findings.diagnostics, findings.sources)


def _of_some_sizes(finding: Diagnostic, probe: Size) -> Diagnostic:
    """What is wrong at the first size of images, where those of `probe` fit: a warning."""
    (height, width), (high, wide) = PROBES[0], probe
    message = f"images of {height}x{width} do not fit, those of {high}x{wide} do: {finding.message}"
    return replace(finding, code="RS914", message=message, severity="warning")
