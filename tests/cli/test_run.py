"""Images through spaces, artifacts and nets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

import routespace as rs
from routespace.cli.images import read_image
from routespace.integrations.artifact import save_artifact
from routespace.integrations.scenes import draw_scene
from tests.cli.conftest import Run

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


@pytest.fixture
def images(files: Path) -> Path:
    folder = files / "images"
    folder.mkdir()
    for index, size in enumerate([(64, 64), (70, 93)]):
        pixels = (np.moveaxis(draw_scene(0, index, size).image, 0, -1) * 255).astype("uint8")
        Image.fromarray(pixels).save(folder / f"scene{index}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def rows_of(out: str) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in map(str.split, out.splitlines()) if len(row) == 7}


def test_an_artifact_runs_on_a_folder(run: Run, files: Path, images: Path) -> None:
    space = rs.load("tiny.route")
    save_artifact(files / "artifact", space, rs.compile(space, seed=3))
    ended = run("run", "artifact", "images", "-o", "out/deep")
    assert ended.code == 0 and ended.err == ""
    rows = rows_of(ended.out)
    assert list(rows) == ["scene0.png", "scene1.png"] and rows["scene1.png"][0] == "70x93"
    assert rows["scene0.png"][4].endswith("/8")
    out = files / "out" / "deep"
    assert sorted(path.name for path in out.iterdir()) == [
        "scene0.json", "scene0.png", "scene0.svg", "scene1.json", "scene1.png", "scene1.svg",
    ]  # fmt: skip
    assert (out / "scene0.png").read_bytes().startswith(b"\x89PNG")
    weights = json.loads((out / "scene0.json").read_text())
    assert 0 < weights["layer0.s4"]["keep"] < 1
    drawn = run("draw", "tiny.route", "--weights", "out/deep/scene0.json", "-o", "-").out
    assert f"layer0.s4 keep {weights['layer0.s4']['keep']:.2f}" in drawn


def test_weights_from_a_file_and_of_a_seed_agree(run: Run, files: Path, images: Path) -> None:
    module = rs.compile(rs.load("tiny.route"), seed=7)
    safetensors.torch.save_file(module.state_dict(), files / "w.safetensors")
    given = rows_of(run("run", "tiny.route", "images", "--weights", "w.safetensors").out)
    random = run("run", "tiny.route", "images", "--seed", "7")
    assert "random (seed 7)" in random.err
    assert [row[:5] for row in given.values()] == [row[:5] for row in rows_of(random.out).values()] and given


def test_dense_executes_everything_and_a_net_only_itself(run: Run, images: Path) -> None:
    dense = rows_of(run("run", "tiny.route", "images/scene0.png", "--seed", "0", "--form", "dense").out)["scene0.png"]
    fixed = run("run", "tiny.route", "images/scene0.png", "--seed", "0", "--net", "straight", "-o", "out")
    net = rows_of(fixed.out)["scene0.png"]
    assert float(net[3]) < float(dense[3]) and net[4] == "3/8"
    assert json.loads(Path("out/scene0.json").read_text())["layer1.s8"] == {"keep": None, "up": None}


def test_images_that_cannot_be_used_are_named_and_the_others_go_on(run: Run, images: Path) -> None:
    (images / "broken.jpg").write_bytes(b"no jpeg")
    Image.new("RGB", (20, 90)).save(images / "tiny.png")
    text = Path("tiny.route").read_text("utf-8").replace("image | stem", "image | maxpool(21, pad = 0) | stem")
    Path("tiny.route").write_text(text, "utf-8")
    ended = run("run", "tiny.route", "images", "--seed", "0")
    assert ended.code == 1 and set(rows_of(ended.out)) == {"scene0.png", "scene1.png"}
    assert "broken.jpg` cannot be read as an image" in ended.err and "tiny.png`: images of 90x20" in ended.err
    for name in ("broken.jpg", "tiny.png", "nowhere.png"):
        alone = run("run", "tiny.route", f"images/{name}", "--seed", "0")
        assert alone.code == 1 and alone.out == "" and name in alone.err


def test_grey_and_transparent_images_are_read_as_colour(run: Run, images: Path) -> None:
    for mode in ("L", "RGBA", "P", "1", "I;16"):
        Image.new(mode, (64, 64)).save(images / f"{mode.replace(';', '')}.png")
    assert run("run", "tiny.route", "images", "--seed", "0").code == 0


def test_files_of_one_stem_do_not_overwrite_each_other(run: Run, files: Path, images: Path) -> None:
    Image.new("RGB", (64, 64)).save(images / "scene0.bmp")
    assert run("run", "tiny.route", "images", "--seed", "0", "-o", "out").code == 0
    names = {path.name for path in (files / "out").glob("*.svg")}
    assert names == {"scene0.bmp.svg", "scene0.png.svg", "scene1.svg"}


def test_outputs_that_are_no_maps_are_drawn_as_routes(run: Run, files: Path, images: Path) -> None:
    text = (files / "tiny.route").read_text()
    second = "output sizes = keep[depth, s8] | mean\n  output logits"
    (files / "two.route").write_text(text.replace("output logits", second))
    args = ("run", "two.route", "images/scene0.png", "--seed", "0", "-o", "out")
    assert run(*args).code == 0 and run(*args, "--output", "logits").code == 0
    ended = run(*args, "--output", "logit")
    assert ended.code == 2 and "did you mean `logits`?" in ended.err
    assert run("run", "tiny.route", "images", "--seed", "0", "-o", "out", "--output", "x").code == 2


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_weights_that_are_none_are_refused(content: bytes | None, run: Run, files: Path, images: Path) -> None:
    if content is not None:
        (files / "w.safetensors").write_bytes(content)
    ended = run("run", "tiny.route", "images", "--weights", "w.safetensors")
    assert ended.code == 1 and "w.safetensors" in ended.err and "Traceback" not in ended.err


def test_weights_of_another_space_are_refused(run: Run, files: Path, images: Path) -> None:
    module = rs.compile(rs.load("tiny.route", width=8))
    safetensors.torch.save_file(module.state_dict(), files / "w.safetensors")
    ended = run("run", "tiny.route", "images", "--weights", "w.safetensors")
    assert ended.code == 1 and "mis-shaped" in ended.err and "nothing was loaded" in ended.err


def test_a_folder_that_is_no_artifact_or_holds_no_images_is_named(run: Run, files: Path, images: Path) -> None:
    assert "RS952" in run("run", "images", "images").err
    (files / "empty").mkdir()
    ended = run("run", "tiny.route", "empty", "--seed", "0")
    assert ended.code == 1 and "`empty` holds no images" in ended.err


def test_a_space_of_other_channels_is_refused(run: Run, files: Path, images: Path) -> None:
    text = (files / "tiny.route").read_text()
    (files / "tiny.route").write_text(text.replace("input image: 3", "input image: 4"))
    ended = run("run", "tiny.route", "images", "--seed", "0")
    assert ended.code == 1 and "4 channels" in ended.err
    (files / "tiny.route").write_text(text.replace("input image: 3", "input image: 1"))
    assert run("run", "tiny.route", "images", "--seed", "0", "-o", "out").code == 0


def test_maps_of_gates_per_position_are_drawn(run: Run, files: Path, images: Path) -> None:
    ended = run("run", str(rs.example("two_grains")), "images", "--seed", "1", "--set", "width=4", "-o", "out/maps")
    assert ended.code == 0, ended.err
    for name in ("scene0", "scene1"):
        picture = (files / "out" / "maps" / f"{name}.gates.png").read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) > 5000
    weights = json.loads((files / "out" / "maps" / "scene0.json").read_text())
    assert 0 < weights["layer1"]["h.spatial"] <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_16_bits_are_not_cut_off(tmp_path: Path, channels: int) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    found = read_image(tmp_path / "deep.png", channels)
    assert found.shape == (channels, 64, 64) and found.dtype == np.float32
    assert abs(found - ramp / 65535).max() < 1e-6


@pytest.mark.parametrize("images_at", ["images", "images/scene0.png", "linked"])
def test_pictures_do_not_go_among_the_images(images_at: str, run: Run, files: Path, images: Path) -> None:
    (files / "linked").mkdir()
    (files / "linked" / "a.png").symlink_to(images / "scene0.png")
    before = {path: path.read_bytes() for path in images.iterdir()}
    ended = run("run", "tiny.route", images_at, "--seed", "0", "-o", "images")
    assert ended.code == 2 and "`images` is the folder of the images" in ended.err and ended.out == ""
    assert {path: path.read_bytes() for path in images.iterdir()} == before


def test_pictures_replace_nothing_that_is_read(run: Run, files: Path, images: Path) -> None:
    (files / "out").mkdir()
    (files / "out" / "scene0.png").symlink_to(images / "scene0.png")
    ended = run("run", "tiny.route", "images", "--seed", "0", "-o", "out")
    assert ended.code == 2 and "`out/scene0.png`, an output of" in ended.err and "would replace" in ended.err
    space = rs.load("tiny.route")
    save_artifact(files / "artifact", space, rs.compile(space))
    ended = run("run", "artifact", "images", "-o", "artifact")
    assert ended.code == 2 and "`artifact` is read by this run" in ended.err


def test_outputs_of_all_images_differ(run: Run, files: Path, images: Path) -> None:
    for name in ("a.png", "a.bmp", "a.png.bmp", "b.png", "b.gates.png"):
        Image.new("RGB", (64, 64)).save(images / name)
    ended = run("run", str(rs.example("two_grains")), "images", "--seed", "0", "--set", "width=4", "-o", "out")
    assert ended.code == 0, ended.err
    stems = ("a.bmp", "a.png", "a.png.bmp", "b.gates.png", "b.png", "scene0", "scene1")
    names = {f"{stem}{ending}" for stem in stems for ending in (".png", ".svg", ".json", ".gates.png")}
    assert {path.name for path in (files / "out").iterdir()} == names


def test_gates_that_give_nan_are_open_and_named(run: Run, files: Path, images: Path) -> None:
    weights = rs.compile(rs.load("tiny.route"), seed=7).state_dict()
    weights["layer0.s4.gate.body.4.bias"].fill_(float("nan"))
    safetensors.torch.save_file(weights, files / "w.safetensors")
    ended = run("run", "tiny.route", "images/scene0.png", "--weights", "w.safetensors", "-o", "out")
    assert ended.code == 0 and rows_of(ended.out)["scene0.png"][4] == "8/8"
    assert ended.err.startswith("warning: `images/scene0.png`: the gates of `layer0.s4`, ") and "gave NaN" in ended.err
    written = json.loads((files / "out" / "scene0.json").read_text())
    assert written["layer0.s4"] == {"keep": "NaN", "down": "NaN"}
    drawn = run("draw", "tiny.route", "--weights", "out/scene0.json", "-o", "-").out
    assert "layer0.s4 keep 1.00" in drawn and drawn.count(">layer0.s4 open<") == 1
    assert "layer0.s4 keep 1.00" in (files / "out" / "scene0.svg").read_text()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["nope", "images"], 1, "`nope` does not exist"),
        (["tiny.route", "images", "--seed", "3", "--weights", "w"], 2, "exclude each other"),
        (
            ["tiny.route", "images", "--seed", "3", "--net", "straight", "--form", "dense"],
            2,
            "out `--form dense`",
        ),
        (["tiny.route", "images", "--seed", "3", "--form", "fixed"], 2, "add `--net NAME`"),
        (["tiny.route", "images", "--weights", "images"], 1, "`images` is a folder, no safetensors file"),
        (["tiny.route", "images", "--seed", "3", "--output", "logits"], 2, "without `-o` there are none"),
    ],
)
def test_what_does_not_go_together_is_told(args: list[str], code: int, says: str, run: Run, images: Path) -> None:
    ended = run("run", *args)
    assert ended.code == code and says in ended.err and ended.out == ""


def test_the_folder_of_a_training_names_its_artifact(run: Run, files: Path, images: Path) -> None:
    space = rs.load("tiny.route")
    save_artifact(files / "out" / "artifact", space, rs.compile(space))
    ended = run("run", "out", "images")
    assert ended.code == 1 and "RS952" in ended.err and "give `out/artifact`" in ended.err


def test_transparent_images_lie_on_white(tmp_path: Path) -> None:
    for place, image in enumerate((Image.new("RGBA", (8, 8), (255, 0, 0, 0)), Image.new("LA", (8, 8), (0, 0)))):
        image.save(tmp_path / f"{place}.png")
        assert (read_image(tmp_path / f"{place}.png", 3) == 1.0).all()
    palette = Image.new("P", (8, 8))
    palette.putpalette([0, 0, 255])
    palette.save(tmp_path / "p.png", transparency=0)
    assert (read_image(tmp_path / "p.png", 3) == 1.0).all()
    Image.new("RGBA", (8, 8), (255, 0, 0, 255)).save(tmp_path / "opaque.png")
    assert read_image(tmp_path / "opaque.png", 3)[:, 0, 0].tolist() == [1.0, 0.0, 0.0]


def test_images_of_floating_point_values_are_refused(run: Run, images: Path) -> None:
    Image.fromarray(np.full((64, 64), 0.5, dtype=np.float32)).save(images / "deep.tif")
    ended = run("run", "tiny.route", "images/deep.tif", "--seed", "0")
    assert ended.code == 1 and "`images/deep.tif` holds floating-point values" in ended.err and ended.out == ""
