"""What holds of every space that was read from a text, and has to be checked of one that was not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from routespace.diagnostics import Findings, Span, listed
from routespace.space.expr import Arg, Attribute, Branch, Choice, ClosedRule, Expr, Name, Number
from routespace.space.model import Space

MAX_DEPTH = 100
MAX_VALUES = 2_000_000
MAX_DIGITS = 1000
MAX_NAME = 200
_TOO_LARGE = 10**MAX_DIGITS

_WORDS = """space net input output axis let op gate node share across except per at with where send by closed below walk
    row edge everything without from import for in if else and or not training inference nothing"""
KEYWORDS = frozenset(_WORDS.split())
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMED = frozenset({"name", "id", "var", "branch", "route", "combine", "granularity", "space"})
_NAMES = frozenset({"index", "axes", "exceptions", "values"})
_LEAST = {"terms": 2, "stages": 2, "branches": 1, "values": 1, "steps": 1, "routes": 1, "nets": 1, "nodes": 2}


class IllegalError(Exception):
    """What no text could say, and where."""

    def __init__(self, problem: str, span: Span | None = None) -> None:
        super().__init__(problem)
        self.problem, self.span = problem, span


def check_legal(space: Space, findings: Findings, given_only: bool = False) -> bool:
    """Report (RS150) what no text could have said; whether there was nothing of it. Takes time linear in the space.

    `given_only` looks at the parameters and policies alone: all else was read from a text.
    """
    try:
        _parameters(space)
        given = (*space.parameters, *space.overrides)
        _walk(given if given_only else (*given, space.declaration, *space.library, *space.nets))
    except IllegalError as illegal:
        findings.add("RS150", f"not a space: {illegal.problem}", illegal.span)
        return False
    return True


def problem_of(value: Expr) -> str | None:
    """What makes the value of a parameter one that no text could say, if anything does."""
    try:
        _walk([value])
    except IllegalError as illegal:
        return illegal.problem
    return None


def _parameters(space: Space) -> None:
    declared = [one.name for one in space.declaration.params]
    bound = [one.name for one in space.parameters]
    if declared != bound:
        shown = [listed(names) or "none" for names in (declared, bound)]
        raise IllegalError(f"its parameters are {shown[0]}, bound are {shown[1]}")


def parts_of(root: Any) -> Iterator[Any]:
    """Every value below `root`."""
    level = [root]
    while level:
        deeper: list[Any] = []
        for value in level:
            for name, _ in _plan(value.__class__):
                part = getattr(value, name)
                deeper += [one for one in (part if part.__class__ is tuple else (part,)) if one.__class__ not in _PLAIN]
        yield from deeper
        level = deeper


def _walk(roots: Iterable[Any]) -> None:
    """Every value below `roots`, level by level."""
    level = list(roots)
    depth = seen = 0
    while level:
        if depth > MAX_DEPTH + 4:  # a statement of a node stands four levels below the space
            raise IllegalError(f"an expression is more than {MAX_DEPTH} operations deep", _span(level[0]))
        seen += len(level)
        if seen > MAX_VALUES:
            raise IllegalError(f"it has more than {MAX_VALUES} parts")
        deeper: list[Any] = []
        for value in level:
            _children(value, deeper)
        level = deeper
        depth += 1


def _children(value: Any, found: list[Any]) -> None:
    for name, check in _plan(value.__class__):
        part = getattr(value, name)
        if check is not None:
            check(part, value)
        if part.__class__ is tuple:
            for one in part:
                if one.__class__ in _TRANSPARENT:
                    _children(one, found)
                elif one.__class__ not in _PLAIN:
                    found.append(one)
        elif part.__class__ not in _PLAIN:
            found.append(part)


def _named(part: Any, owner: Any) -> None:
    if part is None or part.__class__ not in (str, tuple):
        return
    for text in (part,) if part.__class__ is str else part:
        is_meant = text == "nothing" if isinstance(owner, Name) else text == "send" and isinstance(owner, Choice)
        if not _NAME.fullmatch(text) or (text in KEYWORDS and not is_meant and not isinstance(owner, Arg)):
            raise IllegalError(f"`{text[:40]}` is not a name", _span(owner))
        if len(text) > MAX_NAME:
            raise IllegalError(f"`{text[:40]}…` has more than {MAX_NAME} characters", _span(owner))


def _number(part: Any, owner: Any) -> None:
    if isinstance(part, bool) or (isinstance(part, float) and not math.isfinite(part)):
        raise IllegalError(f"`{part}` is not a number", _span(owner))
    if isinstance(part, int) and not -_TOO_LARGE < part < _TOO_LARGE:
        raise IllegalError(f"a number has more than {MAX_DIGITS} digits", _span(owner))


def _long_enough(part: Any, owner: Any) -> None:
    name = next(name for name in _LEAST if getattr(owner, name, None) is part)
    if part.__class__ is tuple and len(part) < _LEAST[name]:
        raise IllegalError(f"a {owner.__class__.__name__.lower()} has at least {_LEAST[name]} {name}", _span(owner))
    if name in ("values", "nets"):
        _named(part, owner)


def _span(owner: Any) -> Span | None:
    return getattr(owner, "span", None)


def _send(part: Any, owner: Choice) -> None:
    if (owner.combine == "send") != (part is not None):
        raise IllegalError("`send` names what it sends, no other choice does", _span(owner))


_Check = Callable[[Any, Any], None]
_TRANSPARENT = frozenset({Arg, Attribute, Branch, ClosedRule})
_PLAIN = frozenset({str, int, float, bool, type(None), tuple})


@cache
def _plan(kind: type[Any]) -> tuple[tuple[str, _Check | None], ...]:
    """Fields of a kind of value and how each is checked."""
    return tuple((one.name, _check(kind, one.name)) for one in fields(kind) if one.name not in ("span", "kind"))


def _check(kind: type[Any], name: str) -> _Check | None:
    if kind is Number:
        return _number
    if kind is Choice and name == "source":
        return _send
    if name in _LEAST:
        return _long_enough
    return _named if name in _NAMED or name in _NAMES else None
