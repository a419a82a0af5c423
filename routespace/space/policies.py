"""Words of the policies a space declares once."""

from __future__ import annotations

from typing import NamedTuple

from routespace.diagnostics import Fix, Span, rename
from routespace.space.conventions import CONVENTIONS
from routespace.space.expr import Clause, Name, Number

POLICIES = ("live", "init", "budget", "cost", "require")
LIVE = ("by_route", "by_node", "always")
REQUIREMENTS = ("single_path", "symmetric")
INITS = ("kaiming", "normal")


class WrongWord(NamedTuple):
    """A policy whose value is none of its words, to be reported as RS603."""

    message: str
    span: Span | None
    help: Fix | None


def words_of(policy: str) -> tuple[str, ...]:
    """The values of a policy that is one of several words; nothing for the others."""
    return LIVE if policy == "live" else tuple(CONVENTIONS) if policy == "cost" else ()


def wrong_word(clause: Clause) -> WrongWord | None:
    """What is wrong with a policy whose value should be one of its words."""
    words, value = words_of(clause.name), clause.value
    if not words or (isinstance(value, Name) and value.id in words):
        return None
    shown = value.id if isinstance(value, Name) else str(value.value) if isinstance(value, Number) else ""
    message = f"`{clause.name}` is {listed(words)}" + (f", not `{shown}`" if shown else "")
    return WrongWord(message, value.span or clause.span, rename(shown, words))


def listed(words: tuple[str, ...]) -> str:
    """`a, b or c`."""
    return f"{', '.join(words[:-1])} or {words[-1]}"
