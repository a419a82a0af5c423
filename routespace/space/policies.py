"""Words of the policies a space declares once, and of the clauses of a gate."""

from __future__ import annotations

from typing import NamedTuple

from routespace.diagnostics import Fix, Span, rename
from routespace.space.conventions import CONVENTIONS
from routespace.space.expr import Clause, Name, Number

POLICIES = ("live", "init", "budget", "cost", "require")
LIVE = ("by_route", "by_node", "always")
REQUIREMENTS = ("single_path", "symmetric")
INITS = ("kaiming", "normal")
GATE_CLAUSES = ("body", "activation", "start", "gradient")
GRADIENTS = ("all", "open")


class WrongWord(NamedTuple):
    """A policy, or a clause of a gate, whose value is none of its words."""

    message: str
    span: Span | None
    help: Fix | None


def words_of(policy: str) -> tuple[str, ...]:
    """The values of a policy, or a clause of a gate, that is one of several words; nothing for the others."""
    known = {"live": LIVE, "cost": tuple(CONVENTIONS), "gradient": GRADIENTS}
    return known.get(policy, ())


def wrong_word(clause: Clause) -> WrongWord | None:
    """What is wrong with a clause whose value should be one of its words."""
    words, value = words_of(clause.name), clause.value
    if not words or (isinstance(value, Name) and value.id in words):
        return None
    shown = value.id if isinstance(value, Name) else str(value.value) if isinstance(value, Number) else ""
    message = f"`{clause.name}` is {listed(words)}" + (f", not `{shown}`" if shown else "")
    return WrongWord(message, value.span or clause.span, rename(shown, words))


def listed(words: tuple[str, ...], joint: str = "or") -> str:
    """`a, b or c`."""
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"
