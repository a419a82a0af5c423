"""Tables on standard output: as wide as their content where nobody watches, fitted to the terminal otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 10_000


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """A table whose first column is text and whose other columns are numbers."""
    table = Table(title=title or None, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
    for at, name in enumerate(head):
        table.add_column(Text(name), justify="left" if at == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def console(stderr: bool = False) -> Console:
    """A console of the stream as it is now; plain and without breaking lines where it is not a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDE, highlight=False)
