"""`python -m tests.planted`: every planted defect is found within a minute and shrunk to a few lines, or status 1."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

from tests.planted.find import Hunt, hunt
from tests.planted.spaces import GATES, OPS


def main() -> int:
    console = Console()
    hunts: list[Hunt] = []
    with tempfile.TemporaryDirectory() as folder:
        for planted in track((*GATES, *OPS), "planted", console=console, disable=not console.is_terminal):
            one = hunt(planted, Path(folder))
            hunts.append(one)
            _tell(one, console)
    well = sum(one.well for one in hunts)
    console.print(f"{well} of {len(hunts)} found", highlight=False)
    return 0 if well == len(hunts) else 1


def _tell(one: Hunt, console: Console) -> None:
    line = f"{one.planted:<18} {one.law or 'NOT FOUND':<24} {one.seconds:>5.1f} s {one.lines:>3} lines"
    console.print(line, style=None if one.well else "red", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
