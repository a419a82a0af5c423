"""What attacks are made of. An attack makes a text of about `size` characters."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

Attack: TypeAlias = Callable[[Random, int], str]

ATTACKS: dict[str, Attack] = {}
HEAD = "space s {\n  input image: 3\n"
TAIL = "  output y = image | relu\n}\n"
GATE = "  gate g per image { body mean | conv(1, routes, bias); activation relu_tanh }\n"
ODD = (
    "\0",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\u202e",
    "\u200b",
    "\u0301",
    "\ud800",
    "\udfff",
    "é",
    "ａ",
    "١",
    "²",
    "𝟏",
    "\U0001f600",
    "\xa0",
    "\x0b",
    "\f",
    "\r",
    "\r\n",
    "\t",
    "\\",
    "'",
    '"',
    "`",
    "“",
    "…",
    "−",
    "×",
)
WORDS = [
    "space",
    "net",
    "input",
    "output",
    "axis",
    "let",
    "op",
    "gate",
    "node",
    "share",
    "across",
    "except",
    "per",
    "at",
    "with",
    "where",
    "send",
    "by",
    "closed",
    "below",
    "walk",
    "row",
    "edge",
    "everything",
    "without",
    "from",
    "import",
    "for",
    "in",
    "if",
    "else",
    "and",
    "or",
    "not",
    "training",
    "inference",
    "nothing",
]


def attack(make: Attack) -> Attack:
    ATTACKS[make.__name__] = make
    return make


def fill(size: int, unit: Callable[[int], str], joint: str = "") -> str:
    """Units until `size` characters are there, one at least."""
    parts, length = [unit(0)], 0
    while (length := length + len(parts[-1]) + len(joint)) < size:
        parts.append(unit(len(parts)))
    return joint.join(parts)


def space(body: str) -> str:
    return f"{HEAD}{body}\n{TAIL}"


def times(size: int, unit: str) -> str:
    return unit * max(1, size // len(unit))
