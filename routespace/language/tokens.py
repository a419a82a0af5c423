"""Text to tokens: spelling comes from the terminals of the grammar, layout from the rules written at its head."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, compress, islice
from math import isinf

from routespace.diagnostics.source import LINE_END, Span
from routespace.space.expr import Comment
from routespace.space.names.legal import MAX_NAME

END = "$END"
BAD = "BAD"
BAD_NUMBER = "BAD_NUMBER"
BAD_NAME = "BAD_NAME"
MAX_NESTING = 64
MAX_DIGITS = 1000

STOP = "STOP"
CLOSER_TO_OPENER = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}
OPENERS = frozenset(CLOSER_TO_OPENER.values())
_STRUCTURE = OPENERS | frozenset(CLOSER_TO_OPENER) | {STOP, "SEND", "BY"}
_OPERATORS = frozenset({"VBAR", "PLUS", "MINUS", "STAR", "SLASH", "CIRCUMFLEX", "AND", "OR", "NOT", "IF", "ELSE"})
_COMPARATORS = frozenset({"EQUALS", "DIFFERS", "LESSTHAN", "MORETHAN", "AT_MOST", "AT_LEAST"})
_CONTINUES_AFTER = _OPERATORS | _COMPARATORS | {"COMMA", "EQUAL", "COLON", "RANGE", "ARROW", "WITH"}
_CONTINUES_BEFORE = frozenset({"VBAR", "PLUS", "ELSE"})


@dataclass
class Tokens:
    """The tokens the grammar sees, as parallel lists that end with `$END`, and what was noticed on the way.

    `unclosed` and `unopened` hold the offsets of brackets without a partner; `too_deep` that of the first bracket
    beyond `MAX_NESTING`, after which nothing was looked at.
    """

    kinds: list[str]
    texts: list[str]
    begins: list[int]
    ends: list[int]
    comments: tuple[Comment, ...] = ()
    unclosed: set[int] = field(default_factory=set)
    unopened: set[int] = field(default_factory=set)
    too_deep: int | None = None

    def splice(self, start: int, stop: int, kinds: list[str]) -> None:
        """Put tokens without text in the place of those from `start` to `stop`."""
        at = self.ends[start - 1] if start else 0
        self.kinds[start:stop] = kinds
        self.texts[start:stop] = [""] * len(kinds)
        self.begins[start:stop] = [at] * len(kinds)
        self.ends[start:stop] = [at] * len(kinds)

    def is_loose(self, index: int) -> bool:
        """Whether token `index` is a bracket without a partner."""
        return self.texts[index] != "" and (self.begins[index] in self.unclosed or self.begins[index] in self.unopened)

    def starts_line(self, index: int, text: str) -> bool:
        """Whether a line break stands between token `index` and the one before it."""
        if index == 0 or self.kinds[index - 1] == STOP:
            return True
        return LINE_END.search(text, self.ends[index - 1], self.begins[index]) is not None


class _Kinds(dict[str, str]):
    """Spelling to terminal; one that is met for the first time is matched against the patterns."""

    def __init__(self, words: dict[str, str], patterns: list[tuple[str, re.Pattern[str]]]) -> None:
        super().__init__(words)
        self.patterns = patterns

    def __missing__(self, text: str) -> str:
        kind = next((name for name, pattern in self.patterns if pattern.fullmatch(text)), BAD)
        if kind == "NUMBER" and (len(text) > MAX_DIGITS or (not text.isdecimal() and isinf(float(text)))):
            kind = BAD_NUMBER
        elif kind == "NAME" and len(text) > MAX_NAME:
            kind = BAD_NAME
        self[text] = kind
        return kind


class Lexer:
    """Cuts texts into tokens by `words` (spelling to terminal) and `patterns` (terminal and regular expression)."""

    def __init__(self, words: dict[str, str], patterns: list[tuple[str, str]], ignored: Iterable[str]) -> None:
        self.words = words
        self.patterns = [(name, re.compile(pattern)) for name, pattern in patterns]
        self.ignored = frozenset(ignored)
        signs = sorted((word for word in words if not word.isidentifier()), key=len, reverse=True)
        alternatives = [*(pattern for _, pattern in patterns), *map(re.escape, signs), r"[\s\S]"]
        piece = re.compile("|".join(alternatives))
        self._split: Callable[[str], list[str]] = piece.findall
        self._pieces: Callable[[str], Iterator[object]] = piece.finditer

    def has_more_than(self, most: int, text: str) -> bool:
        """Whether `text` has more than `most` pieces, blanks included; reads no further than that."""
        return len(text) > most and next(islice(self._pieces(text), most, None), None) is not None

    def lex(self, text: str, path: str) -> Tokens:
        """All tokens of `text`, after the rules of layout. Never fails; time is linear in the text."""
        texts = self._split(text)
        to_kind = _Kinds(self.words, self.patterns)
        kinds = [to_kind[one] for one in texts]
        ends = list(accumulate(map(len, texts)))
        begins = [0, *ends[:-1]] if ends else []
        comments = _comments(path, kinds, texts, begins)
        told = {kind: kind not in self.ignored for kind in set(kinds)}
        keep = [told[kind] for kind in kinds]
        size = len(text)
        tokens = Tokens(
            [*compress(kinds, keep), END],
            [*compress(texts, keep), ""],
            [*compress(begins, keep), size],
            [*compress(ends, keep), size],
            comments,
        )
        return _lay_out(tokens)


def _comments(path: str, kinds: list[str], texts: list[str], begins: list[int]) -> tuple[Comment, ...]:
    found = []
    for index in (i for i, kind in enumerate(kinds) if kind == "COMMENT"):
        before = index - 1
        while before >= 0 and kinds[before] == "BLANK":
            before -= 1
        text = texts[index].rstrip()
        span = Span(path, begins[index], begins[index] + len(text))
        found.append(Comment(text, span, before < 0 or texts[before].isspace()))
    return tuple(found)


def _lay_out(tokens: Tokens) -> Tokens:
    """Drop the newlines that end no statement and mark the words of choices."""
    kinds = tokens.kinds
    layout = _Layout(tokens, frozenset())
    layout.run()
    if layout.unclosed_indices:
        # A bracket that is never closed must not swallow the line ends behind it.
        unclosed, unopened = layout.unclosed_indices, layout.unopened
        layout = _Layout(tokens, frozenset(unclosed))
        layout.run()
        layout.unclosed_indices.update(unclosed)
        layout.unopened |= unopened
    for index in layout.combines:
        kinds[index] = "COMBINE"
    keep = layout.keep
    return Tokens(
        list(compress(kinds, keep)),
        list(compress(tokens.texts, keep)),
        list(compress(tokens.begins, keep)),
        list(compress(tokens.ends, keep)),
        tokens.comments,
        {tokens.begins[index] for index in layout.unclosed_indices},
        {tokens.begins[index] for index in layout.unopened},
        layout.too_deep,
    )


class _Layout:
    """One walk over brackets, statement ends, `send` and `by`; brackets in `loose` count as not there."""

    def __init__(self, tokens: Tokens, loose: frozenset[int]) -> None:
        self.kinds = kinds = tokens.kinds
        self.texts = tokens.texts
        self.begins = tokens.begins
        self.loose = loose
        self.keep = bytearray(b"\1") * len(kinds)
        self.combines: list[int] = []
        self.open: list[int] = []
        self.waiting: list[int] = []  # for each `send` whose `by` has not come: how many brackets were open
        self.unclosed_indices: set[int] = set()
        self.unopened: set[int] = set()
        self.too_deep: int | None = None

    def run(self) -> None:
        kinds = self.kinds
        done = 0
        for index in [i for i, kind in enumerate(kinds) if kind in _STRUCTURE]:
            if index < done:
                continue
            kind = kinds[index]
            if kind == STOP:
                done = self._stop(index)
            elif kind in OPENERS:
                if index not in self.loose:
                    self.open.append(index)
                    if len(self.open) > MAX_NESTING:
                        self.too_deep = self.begins[index]
                        return
            elif kind == "SEND":
                if not self._inside_round():
                    self.waiting.append(len(self.open))
            elif kind == "BY":
                if self.waiting and self.waiting[-1] == len(self.open):
                    self.waiting.pop()
                elif index and kinds[index - 1] == "NAME":
                    self.combines.append(index - 1)
            else:
                self._close(index, CLOSER_TO_OPENER[kind])
        self.unclosed_indices.update(self.open)

    def _inside_round(self) -> bool:
        return bool(self.open) and self.kinds[self.open[-1]] != "LBRACE"

    def _stop(self, index: int) -> int:
        """Handle a run of newlines and semicolons as one; the index behind it."""
        kinds, stop = self.kinds, index + 1
        while kinds[stop] == STOP:
            stop += 1
        before = kinds[index - 1] if index else "LBRACE"
        after = kinds[stop]
        inside = self._inside_round()
        useless = before == "LBRACE" or after in ("RBRACE", END)
        is_open = before in _CONTINUES_AFTER or after in _CONTINUES_BEFORE
        if not useless and not inside and not (is_open and self._is_blank(index, stop)):
            index += 1
            if self.waiting and self.waiting[-1] == len(self.open):
                self.waiting.pop()
        for one in range(index, stop):
            if not inside or self.texts[one].isspace():
                self.keep[one] = 0
        return stop

    def _is_blank(self, start: int, stop: int) -> bool:
        return all(text.isspace() for text in self.texts[start:stop])

    def _close(self, index: int, opener: str) -> None:
        depth = len(self.open) - 1
        while depth >= 0 and (found := self.kinds[self.open[depth]]) != opener:
            if found == "LBRACE":
                depth = -1
            depth -= 1
        if depth < 0:
            self.unopened.add(index)
            if not self._inside_round():
                return
            depth = len(self.open) - 1  # the wrong sign for the bracket that is open
            self.unclosed_indices.add(self.open[depth])
        self.unclosed_indices.update(self.open[depth + 1 :])
        del self.open[depth:]
        while self.waiting and self.waiting[-1] > depth:
            self.waiting.pop()
