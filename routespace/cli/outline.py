"""Syntax as nested brackets: what the parser made of a text, without its spelling and its places."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from routespace.space.expr import Arg, Attribute, Branch, ClosedRule, File, Name, Number, Param, Step

WIDTH = 110
_UNNAMED = {Arg: "arg", Attribute: "attribute", Branch: "branch", ClosedRule: "rule", Param: "param", Step: "step"}


def outline(file: File) -> str:
    """Every declaration of `file`, a bracket for each part.

    >>> from routespace.language.parser import parse
    >>> print(outline(parse("op cell(k = 3) = conv(k, stride = 2) | relu")))
    (op cell (param k 3) (pipe (call conv k (arg stride 2)) relu))
    """
    return "\n".join(_lines(item, "") for item in file.items)


def _lines(part: Any, indent: str) -> str:
    flat = _flat(part)
    head, children = _parts(part)
    if len(indent) + len(flat) <= WIDTH or not children:
        return indent + flat
    return "\n".join([f"{indent}({head}", *(_lines(child, indent + "  ") for child in children)]) + ")"


def _flat(part: Any) -> str:
    if isinstance(part, Number):
        return repr(part.value)
    if isinstance(part, Name):
        return part.id
    if isinstance(part, str):
        return part
    if isinstance(part, Arg) and part.name is None and part.mode is None:
        return _flat(part.value)
    head, children = _parts(part)
    return f"({' '.join([head, *(_flat(child) for child in children)])})"


def _parts(part: Any) -> tuple[str, list[Any]]:
    """The words at the head of a bracket and what follows inside."""
    if isinstance(part, (Number, Name, str)):
        return _flat(part), []
    words = [_UNNAMED.get(type(part)) or str(part.kind)]
    children: list[Any] = []
    for field in fields(part):
        value = getattr(part, field.name)
        if field.name in ("span", "kind") or value is None or value == ():
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, str) and not children:
                words.append(one)
            else:
                children.append(one)
    return " ".join(words), children
