"""The parse table that is shipped: it is the grammar's, and whatever else stands there means nothing."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from routespace.language import table, table_file
from routespace.language.load import loads
from routespace.language.table_file import grammar_text, made, shipped

TEXT = "space s(a = 9 - 5) { input x: 3; output y = x | conv(1, a) }"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of what is shipped, in its place."""
    copy = tmp_path / "route.table"
    copy.write_bytes(table_file.PATH.read_bytes())
    monkeypatch.setattr(table_file, "PATH", copy)
    table.load.cache_clear()
    yield copy
    table.load.cache_clear()


def test_a_process_needs_neither_lark_nor_a_folder_of_its_own(tmp_path: Path) -> None:
    code = (
        "from routespace.language.parser import parse; parse('op a = relu'); import sys; print('lark' in sys.modules)"
    )
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=home, cwd=tmp_path
    )
    assert done.stdout == "False\n" and not list(tmp_path.iterdir())


def test_what_is_made_of_the_grammar_does_not_depend_on_the_process() -> None:
    code = (
        "import hashlib; from routespace.language.table_file import *; "
        "print(hashlib.sha256(made(grammar_text())).hexdigest())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.stdout.strip() == sha256(table_file.PATH.read_bytes()).hexdigest()


def test_no_flipped_bit_is_taken_for_the_table(file: Path) -> None:
    whole = file.read_bytes()
    dice = random.Random(0)
    places = [dice.randrange(8 * len(whole)) for _ in range(550)] + [dice.randrange(8 * 66) for _ in range(50)]
    for number, place in enumerate(places):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        file.write_bytes(changed)
        assert shipped(grammar_text()) is None, place
        if number % 100 == 0:
            table.load.cache_clear()
            assert loads(TEXT).parameter("a") == 4


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"{}", b"\0" * 5000, b"[" * 100_000, b"x" * 2_000_000, None],
    ids=["empty", "line", "json", "zeros", "deep", "large", "missing"],
)
def test_a_broken_table_is_made_anew(file: Path, content: bytes | None) -> None:
    file.unlink() if content is None else file.write_bytes(content)
    assert loads(TEXT).parameter("a") == 4


def test_a_changed_word_is_not_believed(file: Path) -> None:
    digest, _, text = file.read_bytes().partition(b"\n")
    changed = text.replace(b'"+": "PLUS", "-": "MINUS"', b'"-": "PLUS", "+": "MINUS"')
    assert changed != text
    for written in (digest, sha256(changed).hexdigest().encode()):
        file.write_bytes(written + b"\n" + changed)
        table.load.cache_clear()
        assert loads(TEXT).parameter("a") == 4


def test_the_table_of_another_grammar_is_not_used() -> None:
    assert shipped(grammar_text() + "\n") is None
    assert shipped(grammar_text()) == json.loads(made(grammar_text()).partition(b"\n")[2])
