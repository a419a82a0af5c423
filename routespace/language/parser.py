"""`.route` text to syntax. Reads on after errors, so that one run reports all of them."""

from __future__ import annotations

from typing import Any

from routespace.diagnostics.collector import collector_paused
from routespace.diagnostics.diagnostic import Findings
from routespace.diagnostics.source import Source, Span
from routespace.language import complain, recover, table
from routespace.language.depth import MAX_DEPTH, is_too_deep
from routespace.language.table import Reduce, Row
from routespace.language.tokens import Tokens
from routespace.space.expr import File

MAX_LENGTH = 4 * 2**20
MAX_PIECES = 250_000


def parse(text: str, path: str = "<text>", findings: Findings | None = None) -> File:
    """Read the declarations of `text`.

    With `findings`, errors are added there and the result holds everything that could be read; without, they raise
    `RouteError`, all of them at once. `path` is what the text is reported under. Time is linear in the text.

    >>> parse("op shrink = conv(1) | relu").items[0].name
    'shrink'
    """
    found = Findings() if findings is None else findings
    found.sources[path] = Source(path, text)
    file = File(path, ())
    lexer = table.load().lexer
    if len(text) > MAX_LENGTH:
        complain.too_long(found, path, f"has {len(text)} characters", MAX_LENGTH)
    elif lexer.has_more_than(MAX_PIECES, text):
        complain.too_long(found, path, "has more words, signs and blanks than can be read", MAX_PIECES)
    else:
        with collector_paused():
            tokens = lexer.lex(text, path)
            if tokens.too_deep is not None:
                complain.too_nested(found, path, tokens.too_deep)
            else:
                items = _Reading(tokens, text, path, found).run()
                file = File(path, tuple(items), tokens.comments)
    if findings is None:
        found.raise_errors()
    return file


class _Reading:
    """One run over the tokens: the stacks of the LALR automaton and where it stands."""

    def __init__(self, tokens: Tokens, text: str, path: str, findings: Findings) -> None:
        self.tokens = tokens
        self.path = path
        self.findings = findings
        self.rows: list[Row] = [table.load().start]
        self.values: list[Any] = []
        self.firsts: list[int] = []  # for each value, the index of its first token
        self.recovery = recover.Recovery(tokens, text, path, findings)

    def run(self) -> list[Any]:
        """The values of the declarations, in order."""
        index = self._advance(0)
        while index < len(self.tokens.kinds):
            index = self._advance(self.recovery.resume(self.rows, self.values, self.firsts, index))
        self.recovery.finish()
        items: list[Any] = self.values[0]
        return items

    def _advance(self, index: int) -> int:
        """Read from token `index` until one does not fit, and return its index, or the end behind the last."""
        kinds, texts, begins, ends = self.tokens.kinds, self.tokens.texts, self.tokens.begins, self.tokens.ends
        rows, values, firsts, path = self.rows, self.values, self.firsts, self.path
        stop = len(kinds)
        row = rows[-1]
        while index < stop:
            kind = kinds[index]
            while (action := row[kind]).__class__ is Reduce:
                size, origin, build, given = action
                if size == 1:
                    first = firsts[-1]
                    parts = values[-1:]
                    rows.pop()
                elif size:
                    first = firsts[-size]
                    parts = values[-size:]
                    del firsts[1 - size :], values[1 - size :], rows[-size:]
                else:
                    first, parts = index, []
                    firsts.append(index)
                    values.append(None)
                if build is not None:
                    if given == "parts":
                        values[-1] = build(parts)
                    else:
                        span = Span(path, begins[first], ends[index - 1])
                        values[-1] = value = build(parts, span)
                        if given == "statement" and index - first > MAX_DEPTH and is_too_deep(value):
                            complain.too_deep(self.findings, span)
                            values[-1] = None
                row = rows[-1][origin, kind]
                rows.append(row)
            if action is None:
                return index
            values.append(texts[index])
            firsts.append(index)
            rows.append(action)
            row = action
            index += 1
        return index
