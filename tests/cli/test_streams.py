"""Streams that are closed, full or of another encoding, and names that are no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from routespace.diagnostics import Diagnostic, escaped
from routespace.diagnostics.render import render
from tests.cli.conftest import Run

FULL = "error: standard output: No space left on device\n"


def shell(line: str, **env: str) -> tuple[int, str, str]:
    """How a line of bash ends that calls `routespace`, and what it writes."""
    line = line.replace("routespace", f"{sys.executable} -c 'from routespace.cli import main; main()'", 1)
    done = subprocess.run(["bash", "-c", line], capture_output=True, env={**os.environ, **env}, timeout=120)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("routespace check tiny.route >&-", 0, ""),
        ("routespace cost tiny.route >&-", 0, ""),
        ("routespace cost tiny.route --json >&-", 0, ""),
        ("routespace draw tiny.route -o - >&-", 0, ""),
        ("routespace --help >&-", 0, ""),
        ("routespace check nowhere.route 2>&-", 1, ""),
        ("routespace nonsense 2>&-", 2, ""),
        ("routespace nonsense 2>/dev/full", 2, ""),
        ("routespace check nowhere.route 2>/dev/full", 1, ""),
        ("routespace check - <&-", 0, ""),
        ("routespace check - <&- >&- 2>&-", 0, ""),
        ("routespace check tiny.route >/dev/full", 1, FULL),
        ("routespace cost tiny.route >/dev/full", 1, FULL),
        ("routespace cost tiny.route --json >/dev/full", 1, FULL),
        ("routespace format --stdout tiny.route >/dev/full", 1, FULL),
        ("routespace --help >/dev/full", 1, FULL),
        ("routespace --version >/dev/full", 1, FULL),
        ("routespace check tiny.route >/dev/full 2>/dev/full", 1, ""),
        ("routespace check tiny.route 1</dev/null", 1, "error: standard output: Bad file descriptor\n"),
    ],
)
def test_a_stream_that_is_closed_or_full(line: str, code: int, error: str, files: Path) -> None:
    assert shell(line)[::2] == (code, error)


@pytest.mark.parametrize("locale", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_texts_for_programs_are_utf_8_whatever_people_read(files: Path, locale: dict[str, str]) -> None:
    (files / "é.route").write_text("# é\nop a = relu\n", "utf-8")
    assert shell("routespace format --stdout é.route", **locale) == (0, "# é\nop a = relu\n", "")
    code, out, _ = shell("routespace check --json ü.route", **locale)
    assert code == 1 and "route`: No such file" in json.loads(out)[0]["message"]
    code, out, error = shell("routespace check é.route ü.route", **locale)
    assert code == 1 and "Traceback" not in error and "route: no space, readable" in out


NAMES = [b"\xff.route", b"a\nb.route", b"\x1b[31mred.route", "\u202eetuor.route".encode()]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_escaped(name: bytes, run: Run, files: Path) -> None:
    path = os.fsdecode(name)
    told = escaped(path)
    assert told.isprintable() and told != path
    for command in ("check", "cost", "count", "show", "format"):
        ended = run(command, path)
        assert ended.code == 1 and f"`{told}`" in ended.err and path not in ended.err, command
    Path(path).write_text("space s { output y = image }")
    for command in ("check", "cost"):
        ended = run(command, path)
        assert ended.code == 1 and f"--> {told}:1:" in ended.err and path not in ended.err
    assert json.loads(run("check", path, "--json").out)[0]["labels"][0]["path"] == path
    Path(path).write_text("op a  =  relu")
    assert run("format", path).out == f"{told} rewritten\n"
    assert Path(path).read_text() == "op a = relu\n"


def test_what_others_wrote_cannot_steer_a_terminal() -> None:
    finding = Diagnostic("RS101", "unexpected `\x1b[2J`", (), ("a note\x07",), "help\u2028me")
    assert render([finding], {}).splitlines()[:3] == [
        "error[RS101]: unexpected `\\x1b[2J`",
        "  = note: a note\\x07",
        "  = help: help\\u2028me",
    ]
