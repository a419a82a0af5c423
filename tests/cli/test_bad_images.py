"""One bad image among others: every command that goes through a folder tells it, leaves it out and ends with 1."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import routespace as rs
from routespace.graph.profile import Profile
from routespace.integrations.artifact import save_artifact
from tests.cli.conftest import Run

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")

RUN = ("run", "artifact", "photos")
DRAWN = (*RUN, "-o", "out")
EXTRACT = ("extract", "artifact", "photos", "--at-least", "0", "-o", "common.route", "--profile", "p.json")
TABLE = ("table", "artifact", "--images", "photos", "--labels", "labels", "--input", "64x64")
VERBS = pytest.mark.parametrize("verb", [RUN, DRAWN, EXTRACT, TABLE], ids=["run", "run -o", "extract", "table"])

HALVED = """space halved {
  input image: 3
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh; start value(0.9) }
  node n { x = image + (image | conv(3, 3, stride = 2) | resize(by = 2)); y = x + soft(x) * (x | conv(3)) }
  output classes = y | conv(1, 5)
}"""
"""Halves are doubled again, so that images of odd sides do not fit."""


@pytest.fixture
def photos(files: Path) -> Path:
    """Two photos with labels, and an artifact."""
    space = rs.load("tiny.route")
    save_artifact(files / "artifact", space, rs.compile(space, seed=3))
    (files / "photos").mkdir()
    (files / "labels").mkdir()
    for name in ("good", "fine"):
        Image.new("RGB", (64, 64), (200, 10, 10)).save(files / "photos" / f"{name}.png")
        Image.new("L", (64, 64)).save(files / "labels" / f"{name}.png")
    return files / "photos"


def bomb(path: Path) -> None:
    """A PNG that says it is of 13,300x13,300 pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 13_300, 13_300, 8, 0, 0, 0, 0)
    parts = (chunk, b"IDAT" + zlib.compress(bytes(10)))
    framed = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_bytes(b"no image"), "cannot be read as an image: it is none of PNG"),
    "postscript": (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "it is none of PNG"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read as an image"),
    "pipe": (os.mkfifo, "it is a pipe, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "loop": (lambda path: path.symlink_to(path.name), os.strerror(40)),
    "lost": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "bomb": (bomb, "has 13300x13300 pixels: at most 67,108,864 are read"),
    "words": (
        lambda path: Image.fromarray(np.zeros((64, 64), np.int32)).save(path, "TIFF"),
        "holds whole numbers of 32 bits",
    ),
    "floats": (lambda path: Image.new("F", (64, 64)).save(path, "TIFF"), "holds floating-point values"),
}


@VERBS
def test_bad_images_are_told_and_left_out(verb: tuple[str, ...], run: Run, photos: Path) -> None:
    for kind, (make, _) in BAD.items():
        make(photos / f"{kind}.png")
        Image.new("L", (64, 64)).save(photos.parent / "labels" / f"{kind}.png")
    ended = run(*verb)
    assert ended.code == 1 and ended.err.count("error: ") == len(BAD) and "Traceback" not in ended.err
    told = {line.split("`")[1]: line for line in ended.err.splitlines() if line.startswith("error: ")}
    for kind, (_, says) in BAD.items():
        assert says in told[f"photos/{kind}.png"]
    if verb is EXTRACT:
        assert "2 images" in Path("common.route").read_text()
        assert Profile.from_json(Path("p.json").read_text()).images == 2
    else:
        assert ended.out
    if verb is DRAWN:
        assert {path.stem for path in Path("out").glob("*.svg")} == {"good", "fine"}


@VERBS
def test_hidden_files_are_no_images(verb: tuple[str, ...], run: Run, photos: Path) -> None:
    (photos / "._good.png").write_bytes(b"\0\5\x16\7")
    (photos / ".thumbnail.png").write_bytes(b"")
    ended = run(*verb)
    assert ended.code == 0 and ended.err == ""


@VERBS
def test_one_image_alone_and_only_bad_ones_end_the_command(verb: tuple[str, ...], run: Run, photos: Path) -> None:
    for path in photos.iterdir():
        path.write_bytes(b"no image")
    ended = run(*verb)
    assert ended.code == 1 and ended.out == "" and not Path("common.route").exists()
    assert "`photos/good.png`" in ended.err and "none of these 2 images can be used" in ended.err
    (photos / "fine.png").unlink()
    ended = run(*verb)
    assert ended.code == 1 and ended.out == "" and ended.err.startswith("error: `photos/good.png` cannot be read")


@VERBS
def test_an_image_that_does_not_fit_the_space_is_left_out(verb: tuple[str, ...], run: Run, photos: Path) -> None:
    space = rs.loads(HALVED)
    save_artifact(photos.parent / "artifact", space, rs.compile(space, seed=3))
    Image.new("RGB", (64, 71)).save(photos / "odd.png")
    Image.new("L", (64, 71)).save(photos.parent / "labels" / "odd.png")
    ended = run(*verb)
    assert ended.code == 1 and ended.err.count("error: ") == 1 and "error: `photos/odd.png`: " in ended.err


@VERBS
def test_names_that_are_no_text_or_look_like_formulas(verb: tuple[str, ...], run: Run, photos: Path) -> None:
    names = [os.fsdecode(b"caf\xe9.png"), "a$x^{$b.png", "[bold]c.png", "line\nend.png", "\x1b[31mred.png", "写真.png"]
    for name in names:
        Image.new("RGB", (64, 64)).save(photos / name)
        Image.new("L", (64, 64)).save(photos.parent / "labels" / name)
    (photos / os.fsdecode(b"bad\xff\x1b.png")).write_bytes(b"no image")
    Image.new("L", (64, 64)).save(photos.parent / "labels" / os.fsdecode(b"bad\xff\x1b.png"))
    ended = run(*verb)
    assert ended.code == 1 and ended.err.count("error: ") == 1 and r"`photos/bad\xff\x1b.png`" in ended.err
    assert "\x1b" not in ended.out + ended.err
    if verb is DRAWN:
        assert r"caf\xe9.png" in ended.out
        assert len(list(Path("out").glob("*.svg"))) == len(list(Path("out").glob("*.json"))) == len(names) + 2


def test_a_name_too_long_for_its_outputs_is_left_out(run: Run, photos: Path) -> None:
    name = "n" * 251 + ".png"
    Image.new("RGB", (64, 64)).save(photos / name)
    ended = run(*DRAWN)
    assert ended.code == 1 and "nnn` is too long a name for its outputs" in ended.err
    assert len(list(Path("out").glob("*.json"))) == 2


@pytest.mark.parametrize("verb", ["run", "extract"])
@pytest.mark.parametrize("what", ["pipe", "loop", "device", "lost"])
def test_one_thing_that_is_no_file(what: str, verb: str, run: Run, photos: Path) -> None:
    BAD[what][0](photos.parent / "photo.png")
    ended = run(verb, "artifact", "photo.png")
    assert ended.code == 1 and ended.out == "" and BAD[what][1] in ended.err
