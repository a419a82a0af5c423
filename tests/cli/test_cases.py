"""Commands with everything they print: `cases/*.txt`, written anew by `pytest --update`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Run

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, run: Run, update: bool) -> None:
    """A case is a command behind `$ `; behind that stand its exit code, its output and what went to standard error."""
    expected = path.read_text(encoding="utf-8")
    line = expected.splitlines()[0]
    assert line.startswith("$ routespace ")
    ended = run(*shlex.split(line)[2:])
    found = f"{line}\nexit {ended.code}\n--- stdout\n{ended.out}--- stderr\n{ended.err}"
    if update:
        path.write_text(found, encoding="utf-8")
    assert found == expected or update
