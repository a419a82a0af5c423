"""A token that does not fit, and how it and what would fit are put in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from routespace.diagnostics.source import Span
from routespace.language.tokens import BAD, CLOSER_TO_OPENER, END, STOP, Tokens

COMPARATORS = frozenset({"EQUALS", "DIFFERS", "LESSTHAN", "MORETHAN", "AT_MOST", "AT_LEAST"})
_SIGNS = frozenset({"VBAR", "PLUS", "MINUS", "STAR", "SLASH", "CIRCUMFLEX", "AND", "OR", "IF"})
_OPERATORS = _SIGNS | COMPARATORS
_WORDING = {"NAME": "a name", "NUMBER": "a number", "STRING": "a path in quotes", STOP: "the end of the line"}


@dataclass(frozen=True)
class Misnamed:
    """A place where a word of the language was meant as a name; `is_declared` where that is declared."""

    span: Span
    label: str
    is_declared: bool


@dataclass(frozen=True)
class Trouble:
    """Token `index`, which does not fit; the tokens that would, and where the statement it is in begins."""

    tokens: Tokens
    text: str
    path: str
    index: int
    begin: int
    expected: frozenset[str]
    keywords: dict[str, str]
    told: set[int]  # offsets of the unclosed brackets that were reported
    misnamed: dict[str, list[Misnamed]]  # words of the language that were meant as names, and where

    @property
    def kind(self) -> str:
        return self.tokens.kinds[self.index]

    @property
    def word(self) -> str:
        return short(self.tokens.texts[self.index])

    @property
    def wants_value(self) -> bool:
        """Whether an expression would fit: then all its first tokens would."""
        return "LPAR" in self.expected and "NUMBER" in self.expected

    def span(self, index: int | None = None) -> Span:
        return span_of(self.tokens, self.path, self.index if index is None else index)

    def is_word(self, kind: str) -> bool:
        return self.keywords.get(kind, "").isidentifier()

    def found(self) -> str:
        """The token, in words."""
        if self.kind == END:
            return "the end of the file"
        if self.kind == STOP:
            return "`;`" if self.word == ";" else "the end of the line"
        return f"`{self.word}`" if self.word else "the end of the statement"

    def wanted(self) -> str:
        """The tokens that would fit, in words."""
        return _wording(self.expected, self.keywords)


def short(text: str) -> str:
    """`text`, cut where it is too long for a message."""
    return text if len(text) <= 40 else text[:36] + "…"


def span_of(tokens: Tokens, path: str, index: int) -> Span:
    """Where token `index` stands; one without text stands right behind the token before it."""
    if tokens.texts[index].strip():
        return Span(path, tokens.begins[index], tokens.ends[index])
    at = tokens.ends[index - 1] if index else 0
    return Span(path, at, at + 1)


def nearest(text: str, words: dict[str, str]) -> str | None:
    """The value of the word that `text` misspells."""
    found = get_close_matches(text.lower(), list(words), n=1, cutoff=0.75) if 2 <= len(text) <= 16 else []
    return words[found[0]] if found else None


def _wording(expected: Iterable[str], keywords: dict[str, str]) -> str:
    kinds = set(expected) - {"ERROR", "COMBINE", BAD}
    words: list[str] = []
    if {"NUMBER", "LPAR"} <= kinds:
        words.append("an expression")
        kinds = {kind for kind in kinds if kind in CLOSER_TO_OPENER or kind in ("CLOSED", "BELOW")} - {"BELOW"}
    elif "AXIS" in kinds:
        words.append("a statement")
        kinds &= {"RBRACE"}
    if len(kinds & _OPERATORS) > 1:
        kinds -= _OPERATORS
        words.append("an operator")
    if STOP in kinds:
        kinds -= {END}
    words += [_WORDING[kind] for kind in ("NAME", "STRING", "NUMBER") if kind in kinds]
    words += sorted(f"`{keywords[kind]}`" for kind in kinds if kind in keywords)
    words += [text for kind, text in ((STOP, _WORDING[STOP]), (END, "the end of the file")) if kind in kinds]
    if not words:
        return "nothing more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
