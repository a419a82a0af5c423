"""Lark's analysis of the grammar, as plain numbers and names. The only file that imports Lark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lark import Lark
from lark.lexer import Lexer as LarkLexer
from lark.lexer import PatternStr, Token
from lark.parsers.lalr_analysis import Shift


class _NoLexer(LarkLexer):
    def __init__(self, _conf: Any) -> None:
        pass

    def lex(self, *_: Any) -> Iterator[Token]:
        return iter(())


def analyse(grammar: str, start: str) -> dict[str, Any]:
    """The LALR table of `grammar`.

    `states`: per state symbol to the state gone to, or -1 - rule for a reduction. `rules`: size, origin, and the name
    its builder is found under (None where the only child is handed on). `words` and `patterns` spell the terminals.
    """
    lark = Lark(grammar, parser="lalr", lexer=_NoLexer, start=start, maybe_placeholders=False)
    source = lark.parser.parser._parse_table
    number = _numbered(source.states, source.start_states[start])
    rules: list[tuple[int, str, str | None]] = []
    places: dict[int, int] = {}  # by identity: rules are slow to hash
    states: list[dict[str, int]] = []
    for state in number:
        row: dict[str, int] = {}
        for symbol, (action, target) in sorted(source.states[state].items(), key=lambda one: one[0]):
            if action is Shift:
                row[symbol] = number[target]
                continue
            if id(target) not in places:
                places[id(target)] = len(rules)
                rules.append(_rule(target))
            row[symbol] = -1 - places[id(target)]
        states.append(row)
    words = {t.pattern.value: t.name for t in lark.terminals if isinstance(t.pattern, PatternStr)}
    patterns = [(t.name, t.pattern.to_regexp()) for t in lark.terminals if not isinstance(t.pattern, PatternStr)]
    return {
        "states": states,
        "rules": rules,
        "start": number[source.start_states[start]],
        "end": number[source.end_states[start]],
        "words": words,
        "patterns": patterns,
        "ignored": list(lark.ignore_tokens),
    }


def _numbered(states: dict[Any, dict[str, tuple[Any, Any]]], start: Any) -> dict[Any, int]:
    """The states in the order in which they are reached: Lark's own differs from process to process."""
    found = {start: 0}
    reached = [start]
    for state in reached:
        for _, (action, target) in sorted(states[state].items(), key=lambda one: one[0]):
            if action is Shift and target not in found:
                found[target] = len(reached)
                reached.append(target)
    return found


def _rule(rule: Any) -> tuple[int, str, str | None]:
    size = len(rule.expansion)
    if rule.options.expand1 and size == 1 and not rule.alias:
        return 1, rule.origin.name, None
    return size, rule.origin.name, str(rule.alias or rule.origin.name)
