"""The parse table that Lark makes of `grammars/route.lark`, arranged for a tight loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from routespace.diagnostics.collector import collector_paused
from routespace.language import build_tree
from routespace.language.table_file import START, grammar_text, shipped
from routespace.language.tokens import END, Lexer


class Reduce(tuple[int, str, Callable[..., Any] | None, str]):
    """Size, origin, builder and what the builder is given: `parts`, `span`, or `statement` (a span, and its depth
    is checked). Without a builder the only child is handed on."""

    __slots__ = ()


class Row(dict[Any, Any]):
    """One state: terminal to `Row` (shift) or `Reduce`, nonterminal to `Row`.

    Under `(nonterminal, terminal)` it remembers the state reached when, with that terminal ahead, all productions
    that only hand their child on are taken at once; an expression is a dozen of them deep. Unknown keys give None.
    """

    __slots__ = ()

    def __missing__(self, key: Any) -> Any:
        if key.__class__ is not tuple:
            return None
        origin, ahead = key
        row = self[origin]
        while (action := row[ahead]).__class__ is Reduce and action[2] is None:
            row = self[action[1]]
        self[key] = row
        return row


@dataclass(frozen=True)
class Table:
    start: Row
    lexer: Lexer
    keywords: dict[str, str]  # terminal to spelling, of everything that is spelled in one way


@cache
def load() -> Table:
    """The table that is shipped; where that is not of this grammar, or not whole, the grammar is analysed again."""
    with collector_paused():
        grammar = grammar_text()
        plain = shipped(grammar)
        if plain is None:
            from routespace.language.lalr import analyse

            plain = analyse(grammar, START)
        return arranged(plain)


def arranged(plain: dict[str, Any]) -> Table:
    """The table with its states linked to each other and its rules to their builders."""
    rows = [Row() for _ in plain["states"]]
    reduces = [_reduce(*rule) for rule in plain["rules"]]
    for row, actions in zip(rows, plain["states"], strict=True):
        for symbol, target in actions.items():
            row[symbol] = rows[target] if target >= 0 else reduces[-1 - target]
    last = rows[plain["end"]]
    last[END] = last
    words: dict[str, str] = plain["words"]
    lexer = Lexer(words, [(name, pattern) for name, pattern in plain["patterns"]], plain["ignored"])
    return Table(rows[plain["start"]], lexer, {name: word for word, name in words.items()})


def _reduce(size: int, origin: str, builder: str | None) -> Reduce:
    if builder is None:
        return Reduce((size, origin, None, "parts"))
    return Reduce((size, origin, *build_tree.BUILDERS[builder]))
