"""Nets side by side, with quality where there are weights and labelled images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import routespace as rs
from routespace.integrations.artifact import save_artifact
from routespace.integrations.evaluate import evaluate
from routespace.integrations.scenes import CLASSES, Scenes, draw_scene
from tests.cli.conftest import Run

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def data(files: Path) -> Path:
    """Two scenes as files, and a net and its space saved."""
    for name in ("images", "labels"):
        (files / name).mkdir()
    for index in range(2):
        scene = draw_scene(4, index, (64, 64))
        pixels = (np.moveaxis(scene.image, 0, -1) * 255).round().astype("uint8")
        Image.fromarray(pixels).save(files / "images" / f"scene{index}.png")
        Image.fromarray(scene.label.astype("uint8")).save(files / "labels" / f"scene{index}.png")
    space = rs.load("tiny.route")
    save_artifact(files / "whole", space, rs.compile(space, seed=3))
    save_artifact(files / "net", space, rs.compile(space, form="fixed", net="straight", seed=3), net="straight")
    return files


SHOW = ("--images", "images", "--labels", "labels", "--input", "64x64")


def test_quality_stands_beside_costs(run: Run, data: Path) -> None:
    ended = run("table", "tiny.route", "net", "whole", *SHOW, "--format", "json")
    assert ended.code == 0, ended.err
    plain, net, whole = json.loads(ended.out)
    assert "miou" not in plain and plain["net"] == net["net"] == "straight" and whole["net"] == "tiny"
    assert (plain["parameters"], plain["work"]) == (net["parameters"], net["work"])
    module = rs.compile(rs.load("tiny.route"), form="sparse", seed=3)
    pairs = Scenes(2, size=64, seed=4)
    found = evaluate(module, pairs, classes=len(CLASSES))
    assert whole["miou"] == pytest.approx(found.miou, abs=0.02)
    assert whole["work"] == pytest.approx(sum(found.hard) / 2, abs=1)
    assert 0 <= net["miou"] <= 1


def test_each_way_to_write_has_the_column(run: Run, data: Path) -> None:
    lines = run("table", "tiny.route", "whole", *SHOW).out.splitlines()
    assert lines[0] == "| net | parameters M | GMAC | mIoU % |" and lines[1] == "|---|---:|---:|---:|"
    assert lines[2].endswith("| - |") and lines[3].startswith("| tiny | ")
    latex = run("table", "tiny.route", "whole", *SHOW, "--format", "latex").out
    assert r"\begin{tabular}{lrrr}" in latex and r"mIoU (\%) \\" in latex
    without = run("table", "whole", "net", "--input", "64x64").out.splitlines()
    assert without[0] == "| net | parameters M | GMAC |" and len(without) == 4


def broken(data: Path, what: str) -> None:
    label = data / "labels" / "scene1.png"
    if what == "missing":
        label.unlink()
    elif what == "no picture":
        label.write_bytes(b"x")
    else:
        shape = (64, 64) if what == "class" else (64, 65)
        Image.fromarray(np.full(shape, 7, dtype="uint8")).save(label)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("missing", "No such file"),
        ("no picture", "cannot be read"),
        ("class", "has a class 7: there are 0 to 4, and 255 is ignored"),
        ("size", "is 64x65, its image 64x64"),
    ],
)
def test_labels_that_do_not_fit_are_named_and_the_others_go_on(what: str, says: str, run: Run, data: Path) -> None:
    broken(data, what)
    ended = run("table", "whole", *SHOW)
    assert ended.code == 1 and "scene1.png" in ended.err and says in ended.err
    (data / "images" / "scene1.png").unlink()
    rest = run("table", "whole", *SHOW)
    assert rest.code == 0 and rest.out == ended.out and "tiny" in rest.out


def test_a_label_says_which_way_up_it_was_drawn(run: Run, data: Path) -> None:
    """The label of a photo that is stored sideways, of the photo as it is seen or as it is stored."""
    photo = Image.new("RGB", (96, 64))
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(data / "images" / "scene1.png", exif=exif)
    for size in ((96, 64), (64, 96)):
        Image.new("L", size).save(data / "labels" / "scene1.png")
        assert run("table", "whole", *SHOW).code == 0
    Image.new("L", (97, 64)).save(data / "labels" / "scene1.png")
    assert "is 64x97, its image 96x64" in run("table", "whole", *SHOW).err


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_labels_of_colours_are_refused(mode: str, run: Run, data: Path) -> None:
    Image.new(mode, (64, 64)).save(data / "labels" / "scene1.png")
    ended = run("table", "whole", *SHOW)
    assert ended.code == 1 and f"scene1.png` is {mode}: labels are one whole number for each pixel" in ended.err


@pytest.mark.parametrize("kind", ["grey", "palette", "two"])
def test_masks_of_0_and_255_are_warned_of(kind: str, run: Run, files: Path) -> None:
    (files / "cracks.route").write_text("space cracks { input image: 3; output y = image | conv(1, 2, bias) }")
    space = rs.load("cracks.route")
    module = rs.compile(space)
    for parameter in module.parameters():
        parameter.data.zero_()
    save_artifact(files / "artifact", space, module)
    for name in ("images", "labels"):
        (files / name).mkdir()
    mask = np.zeros((64, 96), np.uint8)
    mask[:40] = 1 if kind == "two" else 255
    Image.new("RGB", (96, 64)).save(files / "images" / "a.png")
    label = Image.fromarray(mask)
    if kind == "palette":
        label = label.convert("P")
    label.save(files / "labels" / "a.png")
    ended = run("table", "artifact", "--images", "images", "--labels", "labels", "--input", "64x96")
    assert ended.code == 0
    if kind == "two":
        assert ended.err == "" and "| 18.8 |" in ended.out
    else:
        assert "100.0" in ended.out and ended.err.startswith(
            "warning: labels of `labels` hold class 0 and 255 only, and 255 is no class"
        )


def test_folders_that_are_none_are_named(run: Run, data: Path) -> None:
    ended = run("table", "whole", "--images", "images", "--labels", "nowhere", "--input", "64x64")
    assert ended.code == 1 and "`nowhere` is no folder" in ended.err and ended.out == ""


def test_what_does_not_go_together(run: Run, data: Path) -> None:
    assert run("table", "whole", "--images", "images").code == 2
    assert "have weights" in run("table", "tiny.route", *SHOW).err
    assert "RS952" in run("table", "images", "--input", "64x64").err
