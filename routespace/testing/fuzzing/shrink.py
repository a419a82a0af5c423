"""Shrinking: a smaller space and simpler numbers that break the same law."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from routespace.diagnostics import RouteError
from routespace.graph.sizes import least_size
from routespace.graph.verify import BrokenGraph, verify
from routespace.language.format import format_file, format_text
from routespace.language.parser import parse
from routespace.space.fault import Fault
from routespace.testing.cases import Case
from routespace.testing.fuzzing.clock import Clock, within
from routespace.testing.fuzzing.smaller import smaller_files
from routespace.testing.fuzzing.templates import bare

Breaks = Callable[[Case], "object | None"]


def shrink(case: Case, breaks: Breaks, seconds: float) -> tuple[Case, int]:
    """The smallest case met within `seconds` for which `breaks` still holds, and how many were tried.

    First the bare texts of one op or one activation of the space; then, as long as one of them helps, every text with
    one part less and every simpler number. `breaks` is only asked of texts that build.
    """
    search = _Shrinking(case)
    clock = Clock(seconds)
    within(clock, lambda: search.run(breaks, clock))
    return search.case, search.tries


class _Shrinking:
    """The smallest case so far, which is there when the time is over."""

    def __init__(self, case: Case) -> None:
        self.case, self.tries = case, 0

    def run(self, breaks: Breaks, clock: Clock) -> None:
        """Go on until nothing helps."""
        seen: set[Case] = {self.case}
        helped = True
        while helped:
            helped = False
            for other in _simpler(self.case):
                clock.check()
                if other in seen or not _builds(other):
                    continue
                seen.add(other)
                self.tries += 1
                if breaks(other) is not None:
                    self.case, helped = other, True
                    break


def _simpler(case: Case) -> Iterator[Case]:
    yield from (replace(case, text=text) for text in bare(case) if len(text) < len(case.text))
    yield from plainer(case)
    for file in smaller_files(parse(case.text)):
        try:
            text = format_text(format_file(file))
        except (RouteError, Fault, RecursionError, TypeError, AttributeError):
            continue
        if weight(text) < weight(case.text):
            yield replace(case, text=text)


def weight(text: str) -> tuple[int, int, int]:
    """What makes one text smaller than another: fewer lines, then words, then characters."""
    return len(text.splitlines()), len(text.split()), len(text)


def _builds(case: Case) -> bool:
    try:
        verify(case.graph)
    except (RouteError, Fault, BrokenGraph, RecursionError):
        return False
    return True


def plainer(case: Case) -> Iterator[Case]:
    """Cases of the same space with simpler numbers, the simplest first."""
    height, width = least_size(case.graph)
    for change in (
        {"batch": 1},
        {"batch": 2},
        {"height": height, "width": width},
        {"height": height},
        {"width": width},
        {"tilt": 0.0},
        {"weight_seed": 0},
        {"image_seed": 0},
    ):
        other = replace(case, **change)
        if other != case and other.batch <= max(case.batch, 1):
            yield other
