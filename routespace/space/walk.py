"""Walking through syntax: what stands inside an expression, and the names it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from routespace.space.expr import Call, Index, Name


def children(value: Any) -> Iterator[object]:
    """The nodes of syntax directly inside `value`."""
    for name in _field_names(value.__class__) or ():
        part = getattr(value, name)
        for one in part if part.__class__ is tuple else (part,):
            if _field_names(one.__class__) is not None:
                yield one


def name_of(value: object) -> str:
    """The name that a node of syntax says: that of what it reads or calls, or "" for none."""
    return value.id if isinstance(value, Name) else value.name if isinstance(value, (Call, Index)) else ""


def names_in(values: Iterable[object]) -> set[str]:
    """The names said anywhere in `values`."""
    found: set[str] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if name := name_of(value):
            found.add(name)
        waiting += children(value)
    return found


@cache
def _field_names(owner: type[Any]) -> tuple[str, ...] | None:
    """The fields of a node of syntax that say something; None for what is no such node."""
    if not is_dataclass(owner):
        return None
    return tuple(one.name for one in fields(owner) if one.name not in ("span", "kind"))
