"""Lines under construction, with the comments and blank lines that are carried over from a text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from routespace.diagnostics.source import LINE_END, Span
from routespace.space.expr import Comment
from routespace.space.one_line import OneLine

WIDTH = 100
INDENT = 2


class Spanned(Protocol):
    @property
    def span(self) -> Span | None: ...


T = TypeVar("T", bound=Spanned)
Separates: TypeAlias = Callable[[Any, Any], bool]


def start_of(item: Spanned) -> int:
    """Where `item` begins; before everything if that is not known, so that no comment comes before it."""
    return item.span.start if item.span else -1


def end_of(item: Spanned) -> int:
    return item.span.end if item.span else -1


def never(before: Any, after: Any) -> bool:
    return False


class Writer:
    """Writes in the order of the text. A comment comes out at the first place behind it where a line may end.

    `text` is what the syntax was read from: then its blank lines, its line breaks in long expressions and the spelling
    of its numbers are kept. Without it `separates` says between which statements a blank line belongs.
    """

    def __init__(self, comments: Sequence[Comment] = (), text: str | None = None) -> None:
        self.text = text
        self.flat = OneLine(text)
        self.lines: list[str] = []
        self.comments = comments
        self.starts = [one.span.start for one in comments]
        self.next_comment = 0
        self.is_closed = False  # the current line ends with a comment

    @property
    def column(self) -> int:
        return len(self.lines[-1])

    @property
    def indent(self) -> int:
        """Where the current line begins."""
        return self.column - len(self.lines[-1].lstrip(" "))

    def put(self, text: str) -> None:
        self.lines[-1] += text

    def begin_line(self, indent: int) -> None:
        if self.lines:
            self.lines[-1] = self.lines[-1].rstrip()
        self.lines.append(" " * indent)
        self.is_closed = False

    def blank_line(self) -> None:
        if self.lines and self.lines[-1]:
            self.begin_line(0)

    def fits(self, text: str, tail: int = 0) -> bool:
        return self.column + len(text) + tail <= WIDTH

    def end_line(self, behind: int, limit: int, indent: int, keep_own: bool = False) -> bool:
        """Write the comments that begin before offset `limit`; whether there were any.

        The first ends the current line if it stands before `behind`, where the written text ends, or follows it on
        its line. The others get lines of their own; with `keep_own` those that had one are left for later.
        """
        found = False
        while self.next_comment < len(self.starts) and self.starts[self.next_comment] < limit:
            comment = self.comments[self.next_comment]
            is_own = comment.own_line and comment.span.start >= behind
            if is_own and keep_own:
                break
            self.next_comment += 1
            if is_own or self.is_closed:
                self.begin_line(indent)
                self.put(comment.text)
            else:
                self.put(f"  {comment.text}")
            self.is_closed = found = True
        return found

    def has_comment(self, start: int, end: int) -> bool:
        """Whether a comment that is not written yet begins between two offsets."""
        at = max(self.next_comment, bisect_left(self.starts, start))
        return at < len(self.starts) and self.starts[at] < end

    def has_own_line(self, start: int, end: int) -> bool:
        """Whether a comment with a line of its own begins between two offsets."""
        first, stop = bisect_left(self.starts, start), bisect_left(self.starts, end)
        return any(one.own_line for one in self.comments[first:stop])

    def is_broken(self, start: int, end: int) -> bool:
        """Whether a line of the text ends between two offsets."""
        if self.text is None or start < 0 or end < 0:
            return False
        return LINE_END.search(self.text, start, end) is not None

    def is_after_blank(self, offset: int) -> bool:
        """Whether a blank line of the text comes before the line of `offset`."""
        if self.text is None or offset < 0:
            return False
        before = LINE_END.sub("\n", self.text[max(0, offset - 400) : offset]).rstrip(" \t\f")
        return before.endswith("\n") and before[:-1].rstrip(" \t\f").endswith("\n")

    def block(self, items: Sequence[T], write: Callable[[T], None], end: int, separates: Separates = never) -> None:
        """{`, the items and `}` behind what is written; the comments up to offset `end` are inside."""
        indent = self.indent
        if not items and not self.has_comment(0, end):
            self.put(" {}")
            return
        self.put(" {")
        self.end_line(-1, min(start_of(items[0]), end) if items else end, indent + INDENT, keep_own=True)
        self.body(items, write, indent + INDENT, end, separates)
        self.begin_line(indent)
        self.put("}")

    def body(
        self, items: Sequence[T], write: Callable[[T], None], indent: int, end: int, separates: Separates = never
    ) -> None:
        """Items on lines of their own, with the comments and the blank lines between them."""
        first = len(self.lines)
        for at, item in enumerate(items):
            is_apart = self.text is None and at > 0 and separates(items[at - 1], item)
            is_apart = self._own_lines(start_of(item), indent, first, is_apart)
            if len(self.lines) > first and (is_apart or self.is_after_blank(start_of(item))):
                self.blank_line()
            self.begin_line(indent)
            write(item)
            limit = start_of(items[at + 1]) if at + 1 < len(items) else end
            self.end_line(end_of(item), limit, indent, keep_own=True)
        self._own_lines(end, indent, first, False)

    def _own_lines(self, limit: int, indent: int, first: int, is_apart: bool) -> bool:
        """Write the comments before `limit`, a blank line before them if they are apart; whether one is due still."""
        while self.next_comment < len(self.starts) and self.starts[self.next_comment] < limit:
            comment = self.comments[self.next_comment]
            self.next_comment += 1
            if len(self.lines) > first and (is_apart or self.is_after_blank(comment.span.start)):
                self.blank_line()
            is_apart = False
            self.begin_line(indent)
            self.put(comment.text)
        return is_apart
