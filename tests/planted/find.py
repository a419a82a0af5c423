"""Finding a planted defect as a stranger would: by the program, in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.planted.spaces import GATES, name_of

ROOT = Path(__file__).parents[2]
SECONDS, LINES = 60, 20
PROGRAM = "import sys; from routespace.cli import main; sys.argv[0] = 'routespace'; main()"


@dataclass(frozen=True)
class Hunt:
    """What came of one: the law broken, seconds taken, words and lines of the space left, whether a replay breaks."""

    planted: str
    law: str
    seconds: float
    text: str
    again: bool
    output: str

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def well(self) -> bool:
        """Found within a minute, in a few lines that still have the defect in them, and again by its replay."""
        found = bool(self.law) and self.seconds <= SECONDS and self.lines <= LINES
        return found and self.again and name_of(self.planted) in self.text


def hunt(planted: str, folder: Path) -> Hunt:
    """Run `routespace fuzz` on the space of `planted`, in `folder`."""
    from tests.planted.spaces import text_of

    module = "tests.planted.gates" if planted in GATES else "tests.planted.ops"
    file = folder / f"{name_of(planted)}.route"
    file.write_text(text_of(planted), "utf-8")
    start = time.perf_counter()
    ended = _routespace("--import", module, "fuzz", str(file), "-o", str(folder / file.stem))
    seconds = time.perf_counter() - start
    kept = re.search(r"fuzz --replay (\S+)", ended.stdout)
    output = ended.stdout + ended.stderr
    if ended.returncode != 1 or kept is None:
        return Hunt(planted, "", seconds, "", False, output)
    law = json.loads((Path(kept[1]) / "case.json").read_text("utf-8"))["law"]
    text = (Path(kept[1]) / "space.route").read_text("utf-8")
    again = _routespace("--import", module, "fuzz", "--replay", kept[1])
    return Hunt(planted, law, seconds, text, again.returncode == 1 and law in again.stdout, output)


def _routespace(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
