"""Reading on after a syntax error: report it, drop the statement it is in, continue behind it.

The grammar marks its footholds: wherever it allows ERROR, a statement, a branch or the head of a block may stand for
what could not be read. The innermost foothold is taken from which the text becomes readable again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from routespace.diagnostics.diagnostic import Findings
from routespace.language import complain, table
from routespace.language.table import Reduce, Row
from routespace.language.tokens import CLOSER_TO_OPENER, END, OPENERS, STOP, Tokens
from routespace.language.trouble import Misnamed, Trouble, nearest, span_of

MAX_ERRORS = 40
# More open symbols than brackets and expressions within their limits can need.
_MAX_STACK = 2000


class Recovery:
    """Handles the syntax errors of one text. Every call of `resume` reports at most one of them."""

    def __init__(self, tokens: Tokens, text: str, path: str, findings: Findings) -> None:
        self.tokens = tokens
        self.text = text
        self.path = path
        self.findings = findings
        self.errors = 0
        self.last = -1  # offset of the last error
        self.corrected: set[int] = set()
        self.told: set[int] = set()
        self.misnamed: dict[str, list[Misnamed]] = {}
        self.keywords = table.load().keywords

    def resume(self, rows: list[Row], values: list[Any], firsts: list[int], index: int) -> int:
        """Handle token `index`, which does not fit on the stacks: shorten them and change the tokens so that reading
        can go on at the index returned."""
        tokens = self.tokens
        again = tokens.begins[index] == self.last
        self.last = tokens.begins[index]
        self.errors += 1
        span = span_of(tokens, self.path, index)
        if self.errors > MAX_ERRORS:
            complain.too_many(self.findings, span, MAX_ERRORS)
            return self._drop(rows, values, firsts, 0, index, len(tokens.kinds) - 1, ["ERROR"])
        if len(rows) > _MAX_STACK:
            complain.too_deep(self.findings, span)
            return self._fall_back(rows, values, firsts, index, again)
        expected = [kind for kind in list(rows[-1]) if kind.__class__ is str and _accepts(rows, [kind])]
        foothold, begin = self._foothold(rows, firsts, index)
        if not again:
            if self._correct_keyword(index, expected):
                return index
            if begin < index and self._correct_statement(rows, values, firsts, foothold, begin, index):
                return begin
        trouble = Trouble(
            tokens, self.text, self.path, index, begin, frozenset(expected), self.keywords, self.told, self.misnamed
        )
        closing = self._missing_braces(rows, index)
        if closing:
            self._complain_brace(values, firsts, trouble, closing)
            if rows[-1]["ERROR"] is not None and values:
                del rows[-1], values[-1], firsts[-1]  # the statement end before the brace that is put in
            tokens.splice(index, index, ["RBRACE"] * closing + [STOP] * (tokens.kinds[index] != END))
            return index
        at = complain.complain(self.findings, trouble)
        if self._put_brace(index, expected):
            return index
        if STOP in expected and index == at and not again:
            # What stands before the error is a whole statement: keep it, and begin another that is skipped.
            row, error_row = (_after(rows, [STOP, "ERROR"]) or rows)[-2:]
            found = self._target(index, index, index, error_row, row)
            if found is not None:
                tokens.splice(index, found[0], [STOP, *found[1]])
                return index
        return self._fall_back(rows, values, firsts, at, again)

    def finish(self) -> None:
        """Report what is told once for all of its places."""
        complain.misnamed(self.findings, self.misnamed)

    def _foothold(self, rows: list[Row], firsts: list[int], index: int) -> tuple[int, int]:
        """Where in the stacks the statement begins that token `index` is in, and with which token."""
        for at in reversed(range(len(rows))):
            begin = firsts[at] if at < len(firsts) else index
            if rows[at]["ERROR"] is not None and self._is_within(begin, index):
                return at, begin
        return 0, 0

    def _is_within(self, begin: int, index: int) -> bool:
        """Whether no bracket that was open before token `begin` is closed before token `index`."""
        tokens, level = self.tokens, 0
        for at in range(begin, index):
            if tokens.kinds[at] in OPENERS:
                level += not tokens.is_loose(at)
            elif tokens.kinds[at] in CLOSER_TO_OPENER and not tokens.is_loose(at):
                level -= 1
            if level < 0:
                return False
        return True

    def _fall_back(self, rows: list[Row], values: list[Any], firsts: list[int], index: int, again: bool) -> int:
        """Find the innermost foothold from which reading can go on behind token `index`."""
        for at in reversed(range(len(rows))):
            error_row = rows[at]["ERROR"]
            if error_row is None:
                continue
            begin = firsts[at] if at < len(firsts) else index
            found = self._target(begin, index, index + again, error_row, rows[at])
            if found is not None:
                return self._drop(rows, values, firsts, at, index, *found)
        return self._drop(rows, values, firsts, 0, index, len(self.tokens.kinds) - 1, ["ERROR"])

    def _drop(
        self, rows: list[Row], values: list[Any], firsts: list[int], at: int, index: int, target: int, kinds: list[str]
    ) -> int:
        del rows[at + 1 :], values[at:], firsts[at:]
        self.tokens.splice(index, target, kinds)
        return index

    def _target(self, begin: int, index: int, least: int, error_row: Row, row: Row) -> tuple[int, list[str]] | None:
        """Where reading goes on when ERROR stands for the tokens from `begin`, and what to put in before it."""
        kinds, tokens, level = self.tokens.kinds, self.tokens, 0
        is_top = "SPACE" in row  # between declarations: skip all that begins none
        for at in range(begin, len(kinds)):
            kind = kinds[at]
            if at >= index and level == 0:
                if kind == END or (kind in error_row and at >= least and not is_top):
                    return (at, ["ERROR"]) if kind in error_row else None
                if kind == STOP and not is_top:
                    return None
                if at >= least and kind in self.keywords and kind in row and tokens.starts_line(at, self.text):
                    return at, ["ERROR", STOP]
            if kind in OPENERS:
                level += not tokens.is_loose(at)
            elif kind in CLOSER_TO_OPENER and not tokens.is_loose(at):
                if level == 0:
                    return None
                level -= 1
        return None

    def _correct_keyword(self, index: int, expected: Sequence[str]) -> bool:
        """Read a name as the keyword it nearly spells, where only the keyword would fit."""
        tokens = self.tokens
        if tokens.kinds[index] != "NAME" or tokens.begins[index] in self.corrected:
            return False
        kind = self._nearly(tokens.texts[index], expected)
        if kind is None:
            return False
        self._put_keyword(index, kind)
        return True

    def _correct_statement(
        self, rows: list[Row], values: list[Any], firsts: list[int], foothold: int, begin: int, index: int
    ) -> bool:
        """The same for the name that begins the statement, if the statement reads beyond the error then."""
        tokens = self.tokens
        if tokens.kinds[begin] != "NAME" or tokens.begins[begin] in self.corrected:
            return False
        row = rows[foothold]
        kind = self._nearly(tokens.texts[begin], [kind for kind in list(row) if row[kind].__class__ is Row])
        if kind is None:
            return False
        kinds = [kind, *tokens.kinds[begin + 1 : index + 1]]
        combine = kinds.index("COMBINE") if kind == "SEND" and "COMBINE" in kinds else 0
        if combine:
            kinds[combine] = "NAME"
        if _after(rows[: foothold + 1], kinds) is None:
            return False
        if combine:
            tokens.kinds[begin + combine] = "NAME"
        self._put_keyword(begin, kind)
        del rows[foothold + 1 :], values[foothold:], firsts[foothold:]
        return True

    def _nearly(self, text: str, kinds: Sequence[Any]) -> str | None:
        words = {self.keywords[kind]: kind for kind in kinds if self.keywords.get(kind, "").isidentifier()}
        return nearest(text, words)

    def _put_keyword(self, index: int, kind: str) -> None:
        tokens = self.tokens
        self.corrected.add(tokens.begins[index])
        span = span_of(tokens, self.path, index)
        complain.misspelled(self.findings, span, tokens.texts[index], self.keywords[kind])
        tokens.kinds[index] = kind

    def _put_brace(self, index: int, expected: Sequence[str]) -> bool:
        """Put in the `{` that a line lacks at its end, in a text with a `}` too many."""
        tokens, brace = self.tokens, self.keywords["RBRACE"]
        spare = [offset for offset in tokens.unopened if self.text[offset] == brace]
        if tokens.kinds[index] != STOP or "LBRACE" not in expected or not spare:
            return False
        tokens.unopened.discard(max(spare))
        tokens.splice(index, index + 1, ["LBRACE"])
        return True

    def _missing_braces(self, rows: list[Row], index: int) -> int:
        """How many `}` make the end of the file fit, or a keyword that begins a line, in a text that lacks some."""
        tokens = self.tokens
        kind = tokens.kinds[index]
        if kind != END and not (kind in self.keywords and tokens.starts_line(index, self.text)):
            return 0
        missing = sum(1 for offset in tokens.unclosed if self.text[offset] == self.keywords["LBRACE"])
        stack = rows[:-1] if rows[-1]["ERROR"] is not None and len(rows) > 1 else rows
        for count in range(1, missing + 1):
            if _accepts(stack, ["RBRACE"] * count + ([END] if kind == END else [STOP, kind])):
                return count
        return 0

    def _complain_brace(self, values: list[Any], firsts: list[int], trouble: Trouble, count: int) -> None:
        brace = self.keywords["LBRACE"]
        open_braces = [first for value, first in zip(values, firsts, strict=True) if value == brace]
        complain.missing_brace(self.findings, trouble, open_braces[-1])
        offsets = sorted(offset for offset in self.tokens.unclosed if self.text[offset] == brace)
        self.tokens.unclosed.difference_update(offsets[:count])


def _accepts(rows: list[Row], kinds: Sequence[str]) -> bool:
    return _after(rows, kinds) is not None


def _after(rows: list[Row], kinds: Sequence[str]) -> list[Row] | None:
    """The stack of states after the tokens `kinds`, or None where one of them does not fit."""
    stack = list(rows)
    for kind in kinds:
        while (action := stack[-1][kind]).__class__ is Reduce:
            size, origin = action[0], action[1]
            if size:
                del stack[-size:]
            stack.append(stack[-1][origin, kind])
        if action is None:
            return None
        stack.append(action)
    return stack
