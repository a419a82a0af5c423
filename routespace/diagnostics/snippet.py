"""Lines of a source with marks below them, fitted to a terminal: tabs, wide characters and very long lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias
from unicodedata import category, east_asian_width

from routespace.diagnostics.source import Source, Span

WIDTH = 120
_TAB = 4
_BEFORE = 40  # columns kept before a mark where a line has to be cut

Paint: TypeAlias = Callable[[str, str], str]


@dataclass(frozen=True)
class Mark:
    """Carets under the characters `start` to `end` (from 0) of line `line` (from 1), and what is said beside them."""

    line: int
    start: int
    end: int
    text: str
    sign: str


def marks_of(source: Source, span: Span, text: str, sign: str) -> list[Mark]:
    """One mark, or two where the span reaches over several lines: its first line and its last.

    Of a statement with a block only the head is marked.
    """
    size = len(source.text)
    start, end = min(span.start, size), min(max(span.end, span.start), size)
    line, column = source.position(start)
    last, last_column = source.position(max(start, end - 1))
    if last == line:
        return [Mark(line, column - 1, column - 1 + max(1, end - start), text, sign)]
    head = source.line(line)[column - 1 :].split("#")[0].rstrip()
    if head.endswith("{") and len(head) > 1:
        return [Mark(line, column - 1, column - 1 + len(head[:-1].rstrip()), text, sign)]
    tail = source.line(last)
    indent = len(tail) - len(tail.lstrip())
    return [
        Mark(line, column - 1, max(column, len(source.line(line).rstrip())), "", sign),
        Mark(last, min(indent, last_column - 1), last_column, text, sign),
    ]


def snippet(source: Source, marks: Iterable[Mark], margin: int, paint: Paint) -> Iterator[str]:
    """The marked lines of `source` with line numbers in a gutter of `margin` columns, in order, gaps shown as `...`."""
    gutter = paint(" " * margin + " |", "gutter")
    yield gutter
    before = 0
    for number, group in groupby(sorted(marks, key=lambda one: (one.line, one.start)), key=lambda one: one.line):
        if before and number == before + 2:
            yield _numbered(source, before + 1, margin, paint)
        elif before and number > before + 2:
            yield paint("..." + " " * max(0, margin - 1), "gutter").rstrip()
        before = number
        for text, rows in _windows(source.line(number), list(group), WIDTH - margin - 3):
            yield f"{paint(f'{number:>{margin}} |', 'gutter')} {text}".rstrip()
            for row, sign in rows:
                yield f"{gutter} {paint(row, sign)}"


def _numbered(source: Source, number: int, margin: int, paint: Paint) -> str:
    text, _, _ = _shown(source.line(number), 0, WIDTH - margin - 3)
    return f"{paint(f'{number:>{margin}} |', 'gutter')} {text}".rstrip()


def _windows(line: str, marks: list[Mark], width: int) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The line with its rows of marks; a line that does not fit is cut around each of its marks."""
    text, columns, is_whole = _shown(line, 0, width)
    if is_whole or all(mark.end < len(columns) for mark in marks):
        yield text, _rows(marks, columns, 0)
        return
    start = _window_start(line, marks[0].start)
    text, columns, _ = _shown(line, start, width)
    if len(marks) == 1 or all(mark.end - start < len(columns) for mark in marks):
        yield text, _rows(marks, columns, start)
        return
    for mark in marks:
        yield from _windows(line, [mark], width)


def _window_start(line: str, at: int) -> int:
    """The first character to show for a mark at character `at`."""
    columns = 0
    while at > 0 and columns < _BEFORE:
        at -= 1
        columns += _TAB if line[at : at + 1] == "\t" else _width(line[at : at + 1] or " ")
    return at


def _rows(marks: list[Mark], columns: list[int], start: int) -> list[tuple[str, str]]:
    """The carets of all marks in one row, the text of the last beside it, the other texts below, from the right."""
    row, signs = "", []
    for mark in marks:
        left = _column(columns, mark.start - start)
        right = max(left + 1, _column(columns, mark.end - start))
        row = row.ljust(left) + mark.sign * (right - max(left, len(row)))
        signs.append(mark.sign)
    *others, last = marks
    main = "^" if "^" in signs else signs[0]
    rows = [(f"{row} {last.text}".rstrip(), main)]
    rows += [(" " * _column(columns, one.start - start) + one.text, one.sign) for one in reversed(others) if one.text]
    return rows


def _column(columns: list[int], index: int) -> int:
    """The display column of character `index`; beyond the end, one column for each character."""
    return columns[index] if index < len(columns) else columns[-1]


def _shown(line: str, start: int, width: int) -> tuple[str, list[int], bool]:
    """`line` from character `start` on as far as it fits, the column of each character and of what follows the last,
    and whether the line ends there."""
    pieces = ["…"] if start else []
    column = len(pieces)
    columns = []
    for char in line[start : start + 2 * width]:
        columns.append(column)
        text = _visible(char, column)
        column += sum(map(_width, text))
        if column > width:
            return "".join(pieces) + "…", columns, False
        pieces.append(text)
    columns.append(column)
    is_whole = start + len(columns) > len(line)
    return "".join(pieces) + "…" * (not is_whole), columns, is_whole


def _visible(char: str, column: int) -> str:
    if char == "\t":
        return " " * (_TAB - column % _TAB)
    if char < " ":
        return chr(0x2400 + ord(char))
    return char if char.isprintable() or category(char) in ("Mn", "Me") else "\N{REPLACEMENT CHARACTER}"


def _width(char: str) -> int:
    if category(char) in ("Mn", "Me"):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1
