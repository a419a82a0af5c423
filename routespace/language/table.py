"""The parse table that Lark makes of `grammars/route.lark`, arranged for a tight loop. Made once per process."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark
from lark.lexer import Lexer as LarkLexer
from lark.lexer import PatternStr, Token
from lark.parsers.lalr_analysis import Shift

from routespace.language import build_tree
from routespace.language.tokens import END, Lexer

START = "file"


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


class _NoLexer(LarkLexer):
    def __init__(self, _conf: Any) -> None:
        pass

    def lex(self, *_: Any) -> Iterator[Token]:
        return iter(())


def grammar_text() -> str:
    return (Path(__file__).parent.parent / "grammars" / "route.lark").read_text(encoding="utf-8")


@contextmanager
def paused_gc() -> Iterator[None]:
    """Many small values that all live on: looking for garbage among them costs more than making them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cache
def load() -> Table:
    with paused_gc():
        lark = Lark(grammar_text(), parser="lalr", lexer=_NoLexer, start=START, maybe_placeholders=False)
        source = lark.parser.parser._parse_table
        rows = {state: Row() for state in source.states}
        reduces: dict[int, Reduce] = {}  # by identity: rules are slow to hash
        for state, actions in source.states.items():
            row = rows[state]
            for symbol, (action, target) in actions.items():
                if action is Shift:
                    row[symbol] = rows[target]
                else:
                    if id(target) not in reduces:
                        reduces[id(target)] = _reduce(target)
                    row[symbol] = reduces[id(target)]
        last = rows[source.end_states[START]]
        last[END] = last
        words, patterns = {}, []
        for terminal in lark.terminals:
            if isinstance(terminal.pattern, PatternStr):
                words[terminal.pattern.value] = terminal.name
            else:
                patterns.append((terminal.name, terminal.pattern.to_regexp()))
        lexer = Lexer(words, patterns, lark.ignore_tokens)
        return Table(rows[source.start_states[START]], lexer, {name: word for word, name in words.items()})


def _reduce(rule: Any) -> Reduce:
    size = len(rule.expansion)
    if rule.options.expand1 and size == 1 and not rule.alias:
        return Reduce((1, rule.origin.name, None, "parts"))
    builder, given = build_tree.BUILDERS[rule.alias or rule.origin.name]
    return Reduce((size, rule.origin.name, builder, given))
