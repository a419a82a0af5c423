"""Files that are no files, as everything that a command reads: named in one line, and nothing waits."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.cli.conftest import Run
from tests.cli.test_streams import shell

COMMANDS = {
    "check": "check {}",
    "format": "format {}",
    "show": "show {} --stage syntax",
    "cost": "cost {}",
    "cost profile": "cost tiny.route --profile {} --at-least 50",
    "find": "find {} cheapest",
    "diff": "diff tiny.route {}",
    "contains": "contains tiny.route --graph {}",
    "draw": "draw {} -o x.svg",
    "draw weights": "draw tiny.route -o x.svg --weights {}",
    "extract": "extract {} profile.json",
    "run": "run {} image.png --weights {}",
    "run weights": "run tiny.route image.png --weights {}",
    "table": "table {}",
}


def make(path: Path, kind: str) -> None:
    makers: dict[str, Callable[[], object]] = {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "terminal": lambda: path.symlink_to("/dev/tty"),
        "folder": path.mkdir,
        "circle": lambda: path.symlink_to(path.name),
    }
    makers[kind]()


@pytest.fixture
def image(files: Path) -> None:
    Image.new("RGB", (96, 96)).save(files / "image.png")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["pipe", "device", "terminal", "folder", "circle"])
def test_what_is_no_file_is_named(command: str, kind: str, run: Run, files: Path, image: None) -> None:
    make(files / "strange", kind)
    ended = run(*COMMANDS[command].replace("{}", "strange").split())
    if (command, kind) == ("run", "folder"):
        assert ended.code == 2 and "artifact" in ended.err
        return
    lines = [line for line in ended.err.splitlines() if line and "help" not in line and line != "1 error"]
    assert ended.code in (1, 2) and len(lines) == 1 and "strange" in lines[0], ended.err


@pytest.mark.parametrize("option", ["-o x.svg", "-o x.png"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "circle"])
def test_outputs_that_nothing_can_be_written_to(option: str, kind: str, run: Run, files: Path) -> None:
    name = option.split()[1]
    make(files / name, kind)
    before = sorted(os.listdir())
    ended = run("draw", "tiny.route", *option.split())
    assert ended.code == 1 and ended.err.count("\n") == 1 and f"`{name}`" in ended.err
    assert sorted(os.listdir()) == before


def test_a_head_that_lies_is_told_of_the_weights(run: Run, files: Path, image: None) -> None:
    head = json.dumps({str(at): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for at in range(50_000)})
    (files / "w\n.safetensors").write_bytes(struct.pack("<Q", len(head)) + head.encode())
    ended = run("run", "tiny.route", "image.png", "--weights", "w\n.safetensors")
    assert ended.code == 1 and "`w\\n.safetensors` is not a safetensors file: its head has" in ended.err


NAMES = [b"\xff", b"a\nb", b"\x1b[31mred", b"c\x01d", b'<b>&"q', b"$math$", b"--x", "\u202ex".encode(), b"plain"]


def test_images_of_any_name_have_outputs(run: Run, files: Path) -> None:
    (files / "photos").mkdir()
    for name in NAMES:
        Image.new("RGB", (96, 96)).save(files / "photos" / f"{os.fsdecode(name)}.png")
    ended = run("run", "tiny.route", "photos", "--seed", "0", "-o", "routes")
    assert ended.code == 0, ended.err
    found = {os.fsencode(path.name) for path in (files / "routes").iterdir()}
    assert found == {name + ending for name in NAMES for ending in (b".png", b".svg", b".json")}
    for path in (files / "routes").glob("*.svg"):
        ElementTree.parse(path)
    shown = [line.split(".png")[0] for line in ended.out.splitlines() if ".png" in line]
    assert len(shown) == len(NAMES) and all(name.isprintable() for name in shown)


@pytest.mark.parametrize("output", ["x.svg", "x.png", "-o"])
def test_a_disk_that_fills_up_leaves_nothing_half_written(output: str, files: Path) -> None:
    text = (files / "tiny.route").read_text() + "# a comment\n" * 1000
    (files / "long.route").write_text(text.replace(" = ", "  =  "))
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    command = "format long.route" if output == "-o" else f"draw tiny.route -o {output}"
    named = "long.route" if output == "-o" else output
    code, _, error = shell(f"ulimit -f 1; routespace {command}")
    assert (code, error) == (1, f"error: `{named}`: File too large\n")
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


@pytest.mark.parametrize("place", ["/proc/x.svg", "/sys/x.svg", "tiny.route/x.svg", "nowhere/x.svg"])
def test_places_that_nothing_can_be_written_to_are_named(place: str, run: Run, files: Path) -> None:
    ended = run("draw", "tiny.route", "-o", place)
    assert ended.code == 1 and ended.err.startswith(f"error: `{place}`: ") and ended.err.count("\n") == 1
