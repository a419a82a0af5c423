"""How deep an expression is nested. Whoever walks syntax may recurse, because the parser holds this limit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from routespace.space.expr import EXPRESSIONS, Arg, Attribute, Branch, ClosedRule

MAX_DEPTH = 100


def is_too_deep(statement: object) -> bool:
    """Whether an expression in `statement` is more than `MAX_DEPTH` deep. Goes level by level, in linear time.

    >>> from routespace.space.expr import Clause, Number, Unary
    >>> value = Number(1)
    >>> for _ in range(MAX_DEPTH):
    ...     value = Unary("-", value)
    >>> is_too_deep(Clause("cost", value)), is_too_deep(Clause("cost", value.operand))
    (True, False)
    """
    level: list[object] = [statement] if isinstance(statement, EXPRESSIONS) else _children(statement)
    for _ in range(MAX_DEPTH):
        level = [child for one in level for child in _children(one)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[object]:
    found: list[object] = []
    for name in _field_names(value.__class__):
        part = getattr(value, name)
        for one in part if part.__class__ is tuple else (part,):
            if isinstance(one, (Arg, Attribute, Branch, ClosedRule)):
                found.extend(_children(one))
            elif is_dataclass(one):
                found.append(one)
    return found


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind) if one.name not in ("span", "kind"))
