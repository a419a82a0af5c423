"""The kept parse table: it is used, and nothing that is wrong with it does harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PARSE = "from routespace.language.parser import parse; print(len(parse('space a { input x: 3 }').items))"


def run(cache: Path) -> tuple[str, bool]:
    code = f"{PARSE}; import sys; print('lark' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"XDG_CACHE_HOME": str(cache), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    items, lark = done.stdout.split()
    return items, lark == "True"


def test_the_second_process_needs_no_lark(tmp_path: Path) -> None:
    assert run(tmp_path) == ("1", True)
    assert run(tmp_path) == ("1", False)


@pytest.mark.parametrize("damage", ["truncated", "rules", "states", "pattern", "text"])
def test_a_damaged_table_is_made_anew(tmp_path: Path, damage: str) -> None:
    run(tmp_path)
    (file,) = tmp_path.rglob("*.json")
    table = json.loads(file.read_text())
    if damage == "rules":
        table["rules"][0] = [3, "file", "no_such_builder"]
    elif damage == "states":
        table["states"][0] = {"SPACE": 10_000}
    elif damage == "pattern":
        table["patterns"][0] = ["NAME", "("]
    text = json.dumps(table)
    file.write_text({"truncated": text[:1000], "text": "[]"}.get(damage, text))
    assert run(tmp_path) == ("1", True)
    assert run(tmp_path) == ("1", False)


def test_a_folder_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run(blocked) == ("1", True)
