"""Files with one part less: every place of a tree where something can be left out, taken apart or made smaller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from routespace.space.expr import EXPRESSIONS, Branch, Choice, Clause, File, Index, Number

_AT_LEAST = {"stages": 2, "terms": 2, "branches": 1, "nodes": 2}
"""How many parts must be left of these."""


def smaller_files(file: File) -> Iterator[File]:
    """Copies of `file` (without comments) with one change each, those that leave out most first."""
    plain = replace(file, comments=())
    for items in _smaller_tuple(plain.items, 1):
        yield replace(plain, items=items)


def _smaller(part: Any) -> Iterator[Any]:
    """Simpler things to stand where `part` stands: what it is made of, itself with less, and with smaller parts."""
    if isinstance(part, Number):
        yield from (replace(part, value=value) for value in _less(part.value))
        return
    if not is_dataclass(part) or isinstance(part, type):
        return
    if isinstance(part, EXPRESSIONS):
        yield from _inside(part)
    for one in fields(part):
        if one.name in ("span", "kind"):
            continue
        value = getattr(part, one.name)
        if isinstance(value, tuple):
            if isinstance(part, Index) and one.name == "at":
                continue
            for less in _smaller_tuple(value, _AT_LEAST.get(one.name, 0)):
                yield replace(part, **{one.name: less})
        elif is_dataclass(value):
            if one.name in ("where", "below") and not isinstance(part, Clause):
                yield replace(part, **{one.name: None})
            yield from (replace(part, **{one.name: less}) for less in _smaller(value))


def _smaller_tuple(parts: tuple[Any, ...], least: int) -> Iterator[tuple[Any, ...]]:
    """All but one of the parts where at least so many are left; then each part made smaller in its place."""
    if len(parts) > least:
        for place in reversed(range(len(parts))):
            yield parts[:place] + parts[place + 1 :]
    for place, part in enumerate(parts):
        for less in _smaller(part):
            yield (*parts[:place], less, *parts[place + 1 :])


def _inside(part: Any) -> Iterator[Any]:
    """Expressions that an expression holds, to stand in its place; of long sums and pipes all but one part too."""
    if isinstance(part, Choice) and part.source is not None:
        return
    if isinstance(part, Choice):
        yield from (branch.value for branch in part.branches)
        return
    for one in fields(part):
        value = getattr(part, one.name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, EXPRESSIONS) and not isinstance(part, (Index,)):
                yield inner
            elif isinstance(inner, Branch):
                yield inner.value


def _less(value: int | float) -> Iterator[int | float]:
    if isinstance(value, int):
        yield from sorted({low for low in (0, 1, 2, value // 2, value - 1) if 0 <= low < value})
    elif value != int(value):
        yield float(int(value))
