"""Where things stand in a text: spans, and lines and columns of a source."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

LINE_END = re.compile(r"\r\n|\r|\n")
"""What ends a line: the same that ends a statement."""


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of character offsets in the source called `path`."""

    path: str
    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """A text and the name it is reported under."""

    path: str
    text: str

    @cached_property
    def line_starts(self) -> list[int]:
        return [0, *(end.end() for end in LINE_END.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of `offset`, both from 1.

        >>> Source("a.route", "one\\ntwo").position(5)
        (2, 2)
        """
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Text of line `number` (from 1), without its end."""
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.text)
        return self.text[self.line_starts[number - 1] : end].rstrip("\r\n")
