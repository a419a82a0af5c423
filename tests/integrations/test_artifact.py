import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import routespace as rs
from routespace.diagnostics import RouteError
from routespace.integrations.artifact import load_artifact, save_artifact
from routespace.space.model import Space

TINY = Path(__file__).with_name("tiny.route").read_text()


@pytest.fixture
def saved(space: Space, tmp_path: Path) -> Path:
    return save_artifact(tmp_path / "artifact", space, rs.compile(space, form="dense", seed=5))


def code(error: pytest.ExceptionInfo[RouteError]) -> str:
    return error.value.diagnostics[0].code


def test_round_trip(space: Space, saved: Path, images: torch.Tensor) -> None:
    module = rs.compile(space, form="dense", seed=5).eval()
    for form in ("dense", None):
        loaded = load_artifact(saved, form)
        assert loaded.net is None and not loaded.module.training
        for name, tensor in module.state_dict().items():
            assert torch.equal(tensor, loaded.module.state_dict()[name])
        with torch.no_grad():
            torch.testing.assert_close(loaded.module(images).output, module(images).output)


def test_the_folder_holds_text_json_and_tensors(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["space.json", "space.route", "weights.safetensors"]
    assert "space tiny" in (saved / "space.route").read_text()
    assert isinstance(json.loads((saved / "space.json").read_text())["parameters"], dict)
    assert safetensors.torch.load_file(saved / "weights.safetensors")


def test_saving_again_replaces(space: Space, saved: Path) -> None:
    module = rs.compile(space, form="dense", seed=6)
    save_artifact(saved, space, module)
    loaded = load_artifact(saved, "dense").module
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in module.state_dict().items())
    assert len(list(saved.iterdir())) == 3


def test_parameters_and_policies_given_from_outside_are_kept(tmp_path: Path, images: torch.Tensor) -> None:
    space = rs.loads(TINY, width=6, live="always")
    module = rs.compile(space, form="dense", seed=5).eval()
    loaded = load_artifact(save_artifact(tmp_path, space, module))
    assert loaded.space.parameter("width") == 6 and loaded.space.overrides == space.overrides
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(images).output, module(images).output)


def test_a_space_without_a_text_is_given_one(space: Space, tmp_path: Path) -> None:
    module = rs.compile(space, form="dense", seed=5)
    saved = save_artifact(tmp_path, replace(space, sources=()), module)
    assert load_artifact(saved).space == space


def test_a_net_is_fixed(space: Space, tmp_path: Path, images: torch.Tensor) -> None:
    module = rs.compile(space, form="fixed", net="straight", seed=2).eval()
    saved = save_artifact(tmp_path, space, module, net="straight")
    loaded = load_artifact(saved)
    assert loaded.net == "straight"
    with torch.no_grad():
        assert torch.equal(loaded.module(images).output, module(images).output)
    with pytest.raises(RouteError) as error:
        load_artifact(saved, "sparse")
    assert code(error) == "RS953" and "straight" in str(error.value)


def test_a_space_is_not_a_net(saved: Path) -> None:
    with pytest.raises(RouteError) as error:
        load_artifact(saved, "fixed")
    assert code(error) == "RS953"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("name", ["space.route", "space.json", "weights.safetensors"])
@pytest.mark.parametrize("harm", [cut, flip, empty, Path.unlink], ids=["cut", "flip", "empty", "unlink"])
def test_damage_is_told(saved: Path, name: str, harm: Callable[[Path], None]) -> None:
    harm(saved / name)
    with pytest.raises(RouteError) as error:
        load_artifact(saved)
    assert code(error) == "RS952" and name in str(error.value)


def test_parts_of_two_artifacts_do_not_mix(space: Space, saved: Path, tmp_path: Path) -> None:
    other = save_artifact(tmp_path / "other", space, rs.compile(space, form="dense", seed=9))
    (other / "weights.safetensors").replace(saved / "weights.safetensors")
    with pytest.raises(RouteError) as error:
        load_artifact(saved)
    assert code(error) == "RS952"


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"sha256": {}},
        {"sha256": None},
        {"parameters": [1]},
        {"parameters": {"path": "x"}},
        {"parameters": {"width": None}},
        {"parameters": {"width": [[1]]}},
        {"policies": "live"},
        {"net": 5},
        {"space": ["tiny"]},
    ],
    ids=json.dumps,
)
def test_descriptions_of_another_kind_are_refused(saved: Path, change: dict[str, object]) -> None:
    path = saved / "space.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RouteError) as error:
        load_artifact(saved)
    assert code(error) == "RS952"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("buffer", [False, True])
def test_weights_that_are_no_numbers_are_not_saved(
    space: Space, saved: Path, tmp_path: Path, value: float, buffer: bool
) -> None:
    before, module = contents(saved), rs.compile(space)
    name, tensor = next(module.named_buffers() if buffer else module.named_parameters())
    tensor.detach()[..., -1] = value
    for folder in (saved, tmp_path / "new"):
        with pytest.raises(RouteError, match=f"`{name}` is not finite") as error:
            save_artifact(folder, space, module)
        assert code(error) == "RS957"
    assert contents(saved) == before and not (tmp_path / "new").exists()


def test_what_could_not_be_loaded_again_is_not_saved(space: Space, saved: Path) -> None:
    before = contents(saved)
    for other, net in ((rs.loads(TINY, width=6), None), (space, "straight")):
        with pytest.raises(RouteError, match="could not be loaded again") as error:
            save_artifact(saved, other, rs.compile(space), net=net)
        assert code(error) == "RS957" and str(saved) in str(error.value)
    assert contents(saved) == before


@pytest.mark.parametrize("most", [100, 2500])
def test_a_full_disk_leaves_the_earlier_artifact(
    space: Space, saved: Path, most: int, room: Callable[[int], AbstractContextManager[None]]
) -> None:
    before = contents(saved)
    with pytest.raises(OSError) as error, room(most):
        save_artifact(saved, space, rs.compile(space))
    assert Path(error.value.filename).parent == saved and contents(saved) == before


def test_the_text_is_that_of_its_author(tmp_path: Path) -> None:
    text = "# mine\r\nspace one(w=2) { input image: 3; output y = image | conv(1,w) }  # é\r\n"
    text += "space two { input a: 1; output y = a }\r\n"
    file = tmp_path / "one.route"
    file.write_bytes(text.encode())
    space = rs.load(file, space="one", w=3)
    saved = save_artifact(tmp_path / "artifact", space, rs.compile(space))
    assert (saved / "space.route").read_bytes() == text.encode()
    assert load_artifact(saved).space == space
    unreadable = rs.loads("# \ud800\n" + TINY)
    changed = replace(space, declaration=replace(space.declaration, name="three"))
    (tmp_path / "two.route").write_text('from "one.route" import one\nop unused = relu\n')
    imported = rs.load(tmp_path / "two.route")
    for other in (unreadable, changed, imported, rs.Space.from_json(space.to_json())):
        saved = save_artifact(tmp_path / "other", other, rs.compile(other))
        assert "\r" not in (saved / "space.route").read_text()
        assert load_artifact(saved).space == other


@pytest.mark.parametrize(
    ("head", "given"),
    [
        ("depth = 2, w = 4 if depth == 2 else 8", {"depth": 3}),
        ("third = 1/3, w = 48 * third", {}),
        ("third = 1/2, w = 48 * third", {"third": Fraction(1, 3)}),
        ("l = [1, 2], w = 12 * l[1]", {"l": [3, Fraction(1, 4)]}),
        ("f = relu, g = gelu, w = 4", {"f": "g"}),
        ("f = [identity, conv(3)], w = 4", {}),
        ("big = 3 < 4, w = 4 if big else 8", {"big": False}),
    ],
)
def test_an_artifact_keeps_what_was_given(tmp_path: Path, head: str, given: dict[str, Any]) -> None:
    text = f"space s({head}) {{\n  input image: 3\n  output y = image | conv(1, w)\n}}\n"
    space = rs.loads(text, **given)
    save_artifact(tmp_path, space, rs.compile(space))
    assert set(json.loads((tmp_path / "space.json").read_text())["parameters"]) == set(given)
    loaded = load_artifact(tmp_path).space
    assert loaded == space and loaded.values == space.values
