"""The net of the routes that most images used, from images or from a profile of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import routespace as rs
from routespace.graph.profile import Profile
from routespace.integrations.artifact import save_artifact
from routespace.integrations.scenes import draw_scene
from routespace.questions.nets import Nets
from tests.cli.conftest import Run

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")

USED = Profile(
    10,
    {
        "layer0.s4": {"keep": 9, "down": 8},
        "layer1.s4": {"keep": 9, "down": 2},
        "layer1.s8": {"keep": 8, "up": 0},
        "layer2.s4": {"keep": 9},
        "layer2.s8": {"keep": 4},
    },
)


@pytest.fixture
def images(files: Path) -> Path:
    folder = files / "images"
    folder.mkdir()
    for index, size in enumerate([(64, 64), (70, 93), (64, 80)]):
        pixels = (np.moveaxis(draw_scene(0, index, size).image, 0, -1) * 255).astype("uint8")
        Image.fromarray(pixels).save(folder / f"scene{index}.png")
    return folder


def routes_of(path: Path, name: str, **given: int) -> set[str]:
    """The open routes of a net in a file; it is loaded, and contained."""
    verdict = Nets(rs.build(rs.load(path, root=Path.cwd(), **given))).contains(name)
    assert verdict.is_contained
    return set(verdict.routes)


def test_a_profile_becomes_a_net_that_loads_again(run: Run, files: Path) -> None:
    (files / "p.json").write_text(USED.to_json())
    (files / "nets").mkdir()
    ended = run("extract", "tiny.route", "p.json", "--at-least", "50", "--name", "half", "-o", "nets/half.route")
    assert ended.code == 0 and ended.out == ""
    assert ended.err.splitlines() == [
        f"left out, on no path of such routes: {name}" for name in ("layer0.s4.down", "layer1.s8.keep")
    ]
    assert routes_of(files / "nets/half.route", "half") == {f"layer{at}.s4.keep" for at in range(3)}
    assert run("--root", ".", "check", "nets/half.route").code == 0
    assert "contained" in run("--root", ".", "contains", "nets/half.route", "half").out
    more = run("extract", "tiny.route", "p.json", "--at-least", "40").out
    assert "net common in tiny" in more and "keep[1..2, s8]" in more


def test_images_become_a_net(run: Run, files: Path, images: Path) -> None:
    save_artifact(
        files / "artifact", rs.load("tiny.route", depth=3), rs.compile(rs.load("tiny.route", depth=3), seed=3)
    )
    ended = run("extract", "artifact", "images", "--at-least", "50", "-o", "net.route", "--profile", "p.json")
    assert ended.code == 0, ended.err
    assert "depth = 3" in (files / "net.route").read_text()
    drawn = routes_of(files / "net.route", "common", depth=3)
    profile = Profile.from_json((files / "p.json").read_text())
    assert profile.images == 3 and drawn <= profile.usual(rs.build(rs.load("tiny.route", depth=3)), 0.5)
    again = run("extract", "artifact", "p.json", "--at-least", "50", "-o", "again.route")
    assert again.code == 0 and (files / "again.route").read_text() == (files / "net.route").read_text()
    seeded = run("extract", "tiny.route", "images", "--seed", "3", "--set", "depth=3", "--at-least", "50")
    assert seeded.out.partition("net ")[2] == (files / "net.route").read_text().partition("net ")[2]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tiny.route", "images"), 2, "give the weights"),
        (("tiny.route", "images", "--seed", "0", "--name", "a b"), 2, "no name of a net"),
        (("tiny.route", "p.json", "--seed", "0"), 2, "a profile is read"),
        (("images", "images", "--seed", "0"), 2, "an artifact brings"),
        (("tiny.route", "p.json", "--at-least", "101"), 2, "101"),
        (("tiny.route", "p.json", "--at-least", "95"), 1, "error[RS711]"),
        (("tiny.route", "nowhere.json"), 1, "error[RS151]"),
        (("other.route", "p.json", "--at-least", "10"), 1, "error[RS702]"),
    ],
)
def test_what_gives_no_net(arguments: tuple[str, ...], code: int, says: str, run: Run, files: Path) -> None:
    (files / "images").mkdir()
    (files / "p.json").write_text(USED.to_json())
    if arguments[0] == "other.route":
        (files / "p.json").write_text('{"images": 1, "opened": {"layer0.s4": {"keeps": 1}}}')
    ended = run("extract", *arguments)
    assert ended.code == code and says in ended.err and ended.out == ""


def test_a_net_that_a_requirement_forbids_is_shown_with_both_places(run: Run, files: Path) -> None:
    text = (files / "tiny.route").read_text().replace("  live ", "  require x[1, s8]\n  live ", 1)
    (files / "tiny.route").write_text(text)
    (files / "p.json").write_text(USED.to_json())
    ended = run("extract", "tiny.route", "p.json", "--at-least", "50")
    assert ended.code == 1 and "RS711" in ended.err and "require x[1, s8]" in ended.err


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"images": 0, "opened": {}}',
        '{"images": true, "opened": {}}',
        '{"images": 2, "opened": {"layer0.s4": 1}}',
        '{"images": 2, "opened": {"layer0.s4": {"keep": 3}}}',
        '{"images": 2, "opened": {"layer0.s4": {"keep": 0.5}}}',
        '{"images": 2}',
    ],
)
def test_profiles_that_are_none_are_refused(text: str, run: Run, files: Path) -> None:
    (files / "p.json").write_text(text)
    ended = run("extract", "tiny.route", "p.json", "--at-least", "0")
    assert ended.code == 1 and "RS715" in ended.err


def test_profiles_add_up() -> None:
    assert json.loads((USED + USED).to_json())["opened"]["layer1.s4"] == {"keep": 18, "down": 4}
    assert (Profile(1, {}) + USED).images == 11


@pytest.mark.parametrize("percent", [7, 14, 28, 55])
def test_a_share_is_taken_as_it_is_written(run: Run, files: Path, percent: int) -> None:
    opened = {f"layer{at}.s4": {"keep": percent} for at in range(3)}
    (files / "p.json").write_text(Profile(100, opened).to_json())
    ended = run("extract", "tiny.route", "p.json", "--at-least", str(percent))
    assert ended.code == 0 and "keep[0..2, s4]" in ended.out
    assert run("extract", "tiny.route", "p.json", "--at-least", f"{percent}.01").code == 1


@pytest.mark.parametrize("folder", [os.fsdecode(b"caf\xe9"), 'a"b', "a\nb"])
def test_a_path_that_no_text_can_hold_is_told_before_images_are_read(folder: str, run: Run, files: Path) -> None:
    (files / folder).mkdir()
    (files / "tiny.route").rename(files / folder / "tiny.route")
    (files / "p.json").write_text(USED.to_json())
    wanted = ("extract", f"{folder}/tiny.route", "p.json", "--at-least", "50")
    ended = run(*wanted, "-o", "net.route")
    assert ended.code == 1 and "no text can import" in ended.err and not (files / "net.route").exists()
    assert run(*wanted).out.startswith("# Routes open in at least 50 %")
