"""Sets of images in COCO's format: written, read, learnt from and measured on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import routespace as rs
from routespace.integrations.fault import RunError
from routespace.integrations.scenes import CLASSES, draw_scene

pytest.importorskip("torchvision", reason="needs routespace[detection]", exc_type=ModuleNotFoundError)

from PIL import Image
from torchvision.datasets import CocoDetection

from routespace.integrations.torchvision import (
    CocoBoxes,
    collate,
    evaluate_detector,
    gate_maps,
    measure_head,
    recording,
    seen_image,
    train_detector,
    write_scenes,
)
from routespace.integrations.vision import nms
from tests.integrations.detectors import plain, routed

SIZES = [(64, 96), (80, 64)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_scenes(tmp_path_factory.mktemp("coco"), 6, sizes=SIZES, seed=5)


def test_a_written_set_is_what_was_drawn(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    boxes = CocoBoxes(*files)
    assert capsys.readouterr().out == "" and boxes.classes == CLASSES and len(boxes) == 6
    for index in range(6):
        scene = draw_scene(5, index, SIZES[index % 2])
        image, target = boxes[index]
        assert np.abs(image.numpy() - scene.image).max() <= 0.5 / 255 + 1e-6
        assert len(target["boxes"]) == len(np.unique(scene.shapes)) - 1 > 0
        for box, label, area in zip(target["boxes"].int(), target["labels"], target["area"], strict=True):
            left, top, right, bottom = box.tolist()
            inside = scene.label[top:bottom, left:right] == int(label)
            assert inside.any(0).all() and inside.any(1).all() and inside.sum() >= area > 0


def test_a_set_is_read_by_torchvision_and_written_alike_twice(files: tuple[Path, Path], tmp_path: Path) -> None:
    image, annotations = CocoDetection(*map(str, files))[1]
    assert image.size == (64, 80) and {"bbox", "category_id", "area", "iscrowd"} <= set(annotations[0])
    again = write_scenes(tmp_path, 6, sizes=SIZES, seed=5)
    assert again.annotations.read_bytes() == files[1].read_bytes()
    names = sorted(path.name for path in again.images.iterdir())
    assert names == [f"{index:06}.png" for index in range(6)]
    assert all((again.images / name).read_bytes() == (files[0] / name).read_bytes() for name in names)


def coco(tmp_path: Path, files: tuple[Path, Path], **changes: object) -> CocoBoxes:
    content = json.loads(files[1].read_text()) | changes
    (tmp_path / "changed.json").write_text(json.dumps(content))
    return CocoBoxes(files[0], tmp_path / "changed.json")


def test_ids_of_other_sets(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Ids with gaps become labels from 1; boxes are cut at the edge, empty ones left out, crowds told apart."""
    categories = [{"id": 90, "name": "late"}, {"id": 7, "name": "early"}]
    given = [
        {"id": 1, "image_id": 1, "category_id": 90, "bbox": [-5, 10, 20, 1000], "area": 3.0, "iscrowd": 1},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [1, 1, 0, 5], "area": 0, "iscrowd": 0},
        {"id": 3, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
    ]
    boxes = coco(tmp_path, files, categories=categories, annotations=given)
    _, target = boxes[0]
    assert boxes.classes == ("ground", "early", "late")
    assert target["boxes"].tolist() == [[0, 10, 15, 64], [1, 2, 4, 6]]
    assert target["labels"].tolist() == [2, 1] and target["iscrowd"].tolist() == [1, 0]
    assert boxes[1][1]["boxes"].shape == (0, 4) and boxes[1][1]["labels"].dtype == torch.int64


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"annotations": [{"id": 1, "image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "not there"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 99, "bbox": [0, 0, 1, 1]}]}, "not there"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "caption": "a dog"}]}, "no `bbox`"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, "1", 1]}]}, "no `bbox`"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10**400, 1]}]}, "no `bbox`"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, float("nan")]}]}, "no `bbox`"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": None}]}, "`area`"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": "x"}]}, "crowd"),
        ({"annotations": [{"id": 1, "image_id": "1", "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "whole number: 1"),
        ({"images": [{"id": 1, "file_name": None}]}, "not a text: None"),
        ({"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}, "two of its images have the id 1"),
        ({"categories": [{"id": 1}]}, "no `name`"),
        ({"images": [{"id": 1}]}, "no `file_name`"),
        ({"images": 3}, "holds no annotations"),
        ({"images": [3]}, "its `images` are no list of objects"),
        ({"images": [{"id": 2**63, "file_name": "a"}]}, "an id that int64 does not hold"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": "96", "width": 64}]}, "`height` of image `a.png`"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": 96, "width": 0}]}, "`width` of image `a.png`"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": 96.5}]}, "`height` of image `a.png`"),
        ({"images": [{"id": 1, "file_name": "a.png", "height": float("inf")}]}, "`height` of image `a.png`"),
        ({"images": [{"id": 1, "file_name": "../a.png"}]}, "`../a.png` is no file in the folder of images"),
        ({"images": [{"id": 1, "file_name": "b/../../a.png"}]}, "is no file in the folder of images"),
        ({"images": [{"id": 1, "file_name": "/dev/zero"}]}, "`/dev/zero` is no file in the folder of images"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, -5, 1]}]}, "negative size"),
        (
            {"annotations": [{"id": 7, "image_id": 1, "category_id": 1, "bbox": [100, 9, 30, 30]}]},
            "[100, 9, 30, 30] of annotation 7 lies outside of image `000000.png`, which is 64x96",
        ),
    ],
)
def test_broken_annotations_are_told(
    files: tuple[Path, Path], tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(rs.RouteError) as error:
        coco(tmp_path, files, **changes)
    assert error.value.diagnostics[0].code == "RS956" and said in str(error.value)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "7", '{"images": []}', "[" * 100_000, '{"images": ' + "9" * 5000 + "}", '{"a": "\udcff"}', "\0"],
)
def test_other_files_are_told(files: tuple[Path, Path], tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content, errors="surrogateescape")
    with pytest.raises(rs.RouteError, match="RS956"):
        CocoBoxes(files[0], tmp_path / "other.json")


def photo(tmp_path: Path, orientation: int, box: list[int], **declared: Any) -> CocoBoxes:
    """A 64x96 photo, as it is stored, with a white thing where its upright, 96x64, has it at [10, 70, 30, 90]."""
    upright = np.zeros((96, 64, 3), np.uint8)
    upright[70:90, 10:30] = 255
    stored = Image.fromarray(np.rot90(upright, 1) if orientation == 6 else upright)
    exif = stored.getexif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    content = {
        "images": [{"id": 1, "file_name": "photo.png", **declared}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": box}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "photo.json").write_text(json.dumps(content))
    return CocoBoxes(tmp_path, tmp_path / "photo.json")


@pytest.mark.parametrize(
    ("declared", "box", "size"),
    [
        ({"height": 96, "width": 64}, [10, 70, 20, 20], (96, 64)),
        ({}, [10, 70, 20, 20], (96, 64)),
        ({"height": 64, "width": 96}, [70, 34, 20, 20], (64, 96)),
        ({"height": 64}, [70, 34, 20, 20], (64, 96)),
        ({"height": 64.0, "width": None}, [70, 34, 20, 20], (64, 96)),
    ],
)
def test_images_lie_as_their_annotations_declare(
    tmp_path: Path, declared: dict[str, Any], box: list[int], size: tuple[int, int]
) -> None:
    image, target = photo(tmp_path, 6, box, **declared)[0]
    left, top, right, bottom = target["boxes"][0].int().tolist()
    assert image.shape == (3, *size) and [left, top, right - left, bottom - top] == box
    assert image.sum() == 3 * 400 == image[:, top:bottom, left:right].sum()


def test_annotations_of_larger_copies_are_told(tmp_path: Path) -> None:
    boxes = photo(tmp_path, 6, [20, 140, 40, 40], height=192, width=128)
    with pytest.raises(rs.RouteError, match=r"RS956.*photo.png` is 96x64, not 192x128, as .* in either orientation"):
        boxes[0]
    for declared in ({"height": 96, "width": 64}, {}):
        with pytest.raises(rs.RouteError, match=r"RS956.*annotation 5 lies outside of image `photo.png`.*96x64"):
            photo(tmp_path, 6, [20, 140, 40, 40], **declared)[0]


def test_images_of_a_set_are_read_as_all_are(files: tuple[Path, Path], tmp_path: Path) -> None:
    """What is transparent lies on white, deep grey is not cut off, and what is refused is refused."""
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((8, 8), 13107, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.zeros((8, 8), np.int32)).save(tmp_path / "words.tif")
    os.mkfifo(tmp_path / "pipe.png")
    names = ("clear.png", "deep.png", "words.tif", "pipe.png", "nowhere.png")
    images = [{"id": place, "file_name": name} for place, name in enumerate(names)]
    (tmp_path / "set.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    boxes = CocoBoxes(tmp_path, tmp_path / "set.json")
    assert (boxes[0][0] == 1.0).all() and torch.allclose(boxes[1][0], torch.tensor(0.2))
    for index, says in ((2, "32 bits"), (3, "a pipe, not a file"), (4, "No such file")):
        with pytest.raises(rs.RouteError, match=f"RS956.*{names[index]}.*{says}"):
            boxes[index]


def test_errors_of_loading_processes_say_what_they_say(files: tuple[Path, Path], tmp_path: Path) -> None:
    loader = torch.utils.data.DataLoader(CocoBoxes(tmp_path, files[1]), collate_fn=collate, num_workers=1)
    with pytest.raises(RuntimeError, match=r"RS956.*000000.png` cannot be read as an image: No such file"):
        next(iter(loader))


def test_missing_files_are_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(rs.RouteError, match=r"RS956.*no folder"):
        CocoBoxes(tmp_path / "nowhere", files[1])
    with pytest.raises(rs.RouteError, match=r"RS956.*cannot be read"):
        CocoBoxes(files[0], tmp_path / "nowhere.json")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(rs.RouteError, match=r"RS956.*pipe.json` cannot be read: it is a pipe"):
        CocoBoxes(files[0], tmp_path / "pipe.json")
    with pytest.raises(rs.RouteError, match=r"RS956.*000000.png"):
        CocoBoxes(tmp_path, files[1])[0]


def test_training_and_evaluation(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    boxes, other = CocoBoxes(*files), routed("fcos")
    first = train_detector(detector := routed("fcos"), boxes, steps=3, batch_size=4, progress=False)
    assert capsys.readouterr().out == ""
    assert first == train_detector(other, boxes, steps=3, batch_size=4)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"] and f"budget {first[2]['budget']:.3f}" in lines[
        2
    ]
    assert len(first) == 3 and set(first[0]) == {"classification", "bbox_regression", "bbox_ctrness", "budget"}
    assert first[2]["classification"] < first[0]["classification"] and detector.head.progress == 1.0
    found = evaluate_detector(detector, boxes, batch_size=4)
    assert detector.training and 0.0 <= found.ap <= found.ap50 <= 1.0 and np.isnan(found.ap_large)
    assert len(found.expected) == len(found.hard) == len(found.executed) == 6
    single = evaluate_detector(detector, boxes)
    assert all(alone <= whole for alone, whole in zip(single.expected, found.expected, strict=True)), "padding is paid"
    assert set(measure_head(detector, [boxes[0][0]], rounds=1)) == {"dense", "sparse"}


def test_sets_that_a_detector_cannot_learn(files: tuple[Path, Path], tmp_path: Path) -> None:
    detector = routed("fcos")
    nothing = coco(tmp_path, files, images=[], annotations=[])
    many = coco(tmp_path, files, categories=[{"id": place, "name": str(place)} for place in range(1, 8)])
    for use in (
        lambda boxes: train_detector(detector, boxes, steps=1),
        lambda boxes: evaluate_detector(detector, boxes),
    ):
        with pytest.raises(rs.RouteError, match=r"RS956.*no images"):
            use(nothing)
        with pytest.raises(rs.RouteError, match=r"RS955.*8 classes.*5 apart[\s\S]*num_classes=8"):
            use(many)
    with pytest.raises(ValueError, match="0 steps"):
        train_detector(detector, nothing, steps=0)
    with pytest.raises(ValueError, match="at least one image"):
        measure_head(detector, [])


def test_crowds_are_not_learnt(files: tuple[Path, Path], tmp_path: Path) -> None:
    content = json.loads(files[1].read_text())["annotations"]
    crowds = coco(tmp_path, files, annotations=[{**one, "iscrowd": 1} for one in content])
    nothing = coco(tmp_path, files, annotations=[])
    for kind in ("retinanet", "fcos"):
        learnt = [train_detector(routed(kind), boxes, steps=2, progress=False) for boxes in (crowds, nothing)]
        assert learnt[0] == learnt[1]
        for losses in learnt[0]:
            assert all(map(math.isfinite, losses.values())) and losses["bbox_regression"] == 0.0


class Broken(CocoBoxes):
    """A set of which the fourth image has a value that is no number."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        image, target = super().__getitem__(index)
        return image + (torch.nan if index == 3 else 0.0), target


def test_why_a_detector_stops_learning_is_told(files: tuple[Path, Path]) -> None:
    detector = routed("fcos")
    with pytest.raises(RunError, match="image 4 of the set holds NaN") as error:
        train_detector(detector, Broken(*files), steps=6, batch_size=2, progress=False)
    assert "lr" not in str(error.value)
    assert all(bool(one.isfinite().all()) for one in detector.parameters())
    with pytest.raises(RunError, match=r"the (loss|gradient) of step \d is not finite") as error:
        train_detector(routed("fcos"), CocoBoxes(*files), steps=6, batch_size=2, lr=1e20, progress=False)
    assert "lower `lr`" in error.value.help
    detector = routed("fcos")
    next(detector.backbone.parameters()).register_hook(lambda gradient: gradient / 0.0)
    with pytest.raises(RunError, match=r"the gradient of step 1 is not finite .*no step came before it") as error:
        train_detector(detector, CocoBoxes(*files), steps=6, batch_size=2, progress=False)
    assert "`lr` is not the cause" in error.value.help


def test_evaluation_of_what_is_known(files: tuple[Path, Path]) -> None:
    """A detector that answers with the truth has an AP of 1."""

    class Truth(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.like, self.place, self.head = torch.nn.Parameter(torch.zeros(())), 0, plain("fcos").head

        def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            found = [boxes[self.place + turn][1] for turn in range(len(images))]
            self.place += len(images)
            self.head([torch.zeros(len(images), 32, 4, 4)])
            return [
                {"boxes": one["boxes"], "labels": one["labels"], "scores": torch.ones(len(one["labels"]))}
                for one in found
            ]

    boxes = CocoBoxes(*files)
    found = evaluate_detector(Truth(), boxes, batch_size=3)
    assert found.ap == found.ap50 == 1.0
    assert set(found.hard) == {2 * 4 * 16 * 9 * 32 * 32}


def test_a_plain_head_is_priced_by_its_towers(files: tuple[Path, Path]) -> None:
    found = evaluate_detector(plain("retinanet"), CocoBoxes(*files))
    positions = [sum(-(-64 // 8 // 2**n) * -(-96 // 8 // 2**n) for n in range(5)), 10 * 8 + 5 * 4 + 3 * 2 + 2 + 1]
    assert found.executed[0] == positions[0] * 2 * 4 * 9 * 32 * 32 == found.hard[0] == found.expected[0]


def test_batches_are_lists(files: tuple[Path, Path]) -> None:
    boxes = CocoBoxes(*files)
    images, targets = collate([boxes[0], boxes[1]])
    assert [tuple(image.shape[1:]) for image in images] == SIZES and len(targets) == 2


def test_maps_of_gates_lie_over_the_image(files: tuple[Path, Path]) -> None:
    detector, (image, _) = routed("fcos").eval(), CocoBoxes(*files)[1]
    with torch.inference_mode(), recording(detector) as calls:
        detector([image])
    seen, maps = seen_image(detector, image), gate_maps(detector.head, calls[0])
    assert seen.shape == (3, 96, 64) and np.abs(seen[:, :80] - image.numpy()).max() < 1e-5
    assert (seen[:, 80:] == seen[:, 80:81, :1]).all(), "the padding is the mean colour"
    names = [f"{tower} p{level}" for tower in ("classes", "boxes") for level in range(3, 8)]
    assert [name for name, _ in maps] == names and maps[0][1].shape == (12, 8)
    assert all(((one >= 0) & (one <= 1)).all() for _, one in maps) and len(np.unique(maps[0][1])) > 1


def test_boxes_that_better_ones_cover_go() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5], [20, 0, 30, 10], [0, 0, 10, 10]]).float()
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.8, 0.1, 0.5]), 0.5).tolist() == [1, 3]
    assert nms(boxes, torch.tensor([0.5, 0.4, 0.3, 0.1, 0.5]), 0.9).tolist() == [0, 1, 2, 3]
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def test_a_missing_extra_is_told() -> None:
    program = (
        "import sys; sys.modules['pycocotools'] = None\n"
        "import routespace as rs\n"
        "try:\n    rs.integrations.torchvision\n"
        "except rs.RouteError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "RS951" in told and "pip install 'routespace[detection]'" in told


def test_lightning_can_be_imported_beside_torchvision() -> None:
    pytest.importorskip("lightning", reason="needs routespace[train]")
    program = "import routespace.integrations.train, torchvision; print(torchvision.ops.nms.__name__)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "nms"
