"""Images and boxes of a set in COCO's format, as torchvision's detectors take them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision.datasets import CocoDetection
from torchvision.transforms.functional import pil_to_tensor

from routespace.integrations.fault import fault

Target: TypeAlias = dict[str, Tensor]


class CocoBoxes(Dataset[tuple[Tensor, Target]]):
    """A folder of images with a file of annotations in COCO's format, read by torchvision's `CocoDetection`.

    Item i is an image (3, H, W) float32 in [0, 1] and its target: `boxes` (M, 4) float32 as left, top, right, bottom
    in pixels, `labels` (M,) int64, `area` (M,) float32, `iscrowd` (M,) int64 and `image_id`. Labels count the
    categories from 1 in the order of their ids, as torchvision's detectors have them; `classes` names them, with 0
    for the ground. Boxes are cut at the edge of the image; those that are empty then are left out. Raises `RouteError`
    RS956 for files that are missing or no such set.
    """

    def __init__(self, images: Path | str, annotations: Path | str) -> None:
        images, annotations = Path(images), Path(annotations)
        if not images.is_dir():
            raise fault("RS956", f"there is no folder of images at `{images}`")
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # pycocotools tells of its progress
                self.found = CocoDetection(str(images), str(annotations))
        except OSError as cause:
            raise fault("RS956", f"`{annotations}` cannot be read: {cause.strerror}") from cause
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as cause:
            raise _unfit(annotations, f"{type(cause).__name__}: {cause}") from cause
        check_annotations(annotations, self.found.coco.dataset)
        categories = sorted(self.found.coco.cats.values(), key=lambda one: one["id"])
        self.labels = {one["id"]: place for place, one in enumerate(categories, 1)}
        self.classes: tuple[str, ...] = ("ground", *(str(one["name"]) for one in categories))

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        try:
            image, annotations = self.found[index]
        except OSError as cause:
            raise fault("RS956", f"an image of the set cannot be read: {cause}") from cause
        pixels = pil_to_tensor(image).float() / 255.0
        return pixels, self._target(annotations, self.found.ids[index], pixels.shape[-2:])

    def _target(self, annotations: Sequence[dict[str, Any]], image_id: int, size: Sequence[int]) -> Target:
        height, width = size
        given = torch.tensor([one["bbox"] for one in annotations], dtype=torch.float32).view(-1, 4)
        corners = torch.cat([given[:, :2], given[:, :2] + given[:, 2:]], 1)
        boxes = torch.minimum(corners.clamp_min(0.0), corners.new_tensor([width, height, width, height]))
        target = {
            "boxes": boxes,
            "labels": torch.tensor([self.labels[one["category_id"]] for one in annotations], dtype=torch.int64),
            "area": torch.tensor([one.get("area", one["bbox"][2] * one["bbox"][3]) for one in annotations]).float(),
            "iscrowd": torch.tensor([one.get("iscrowd", 0) for one in annotations], dtype=torch.int64),
        }
        there = (boxes[:, 2:] > boxes[:, :2]).all(1)
        return {**{name: values[there] for name, values in target.items()}, "image_id": torch.tensor(image_id)}


def collate(items: Sequence[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    """A batch as torchvision's detectors take it: lists, as images have sizes and numbers of boxes of their own."""
    return [image for image, _ in items], [target for _, target in items]


def without_crowds(target: Target) -> Target:
    """The target to learn from: boxes around crowds are no single thing."""
    single = target["iscrowd"] == 0
    return {name: target[name][single] for name in ("boxes", "labels")}


def check_set(detector: nn.Module, images: CocoBoxes) -> None:
    """Raise `RouteError` where `detector` cannot learn from `images`: RS956 for no images, RS955 for more classes than
    it tells apart."""
    if not len(images):
        raise fault("RS956", "the set has no images")
    head: Any = getattr(detector.head, "inner", detector.head)
    known, wanted = head.classification_head.num_classes, len(images.classes)
    if wanted > known:
        message = f"the set has {wanted} classes, the ground included; the detector tells {known} apart"
        raise fault("RS955", message, help=f"make the detector with `num_classes={wanted}`")


def check_annotations(path: Path, found: dict[str, Any]) -> None:
    """Raise `RouteError` RS956 where what `path` holds is not a whole set of annotations of boxes."""
    for name, wanted in (("images", {"id": int, "file_name": str}), ("categories", {"id": int, "name": str})):
        _check_entries(path, found, name, wanted)
    _check_entries(path, found, "annotations", {"id": int, "image_id": int, "category_id": int})
    images, categories = ({one["id"] for one in found[name]} for name in ("images", "categories"))
    for one in found["annotations"]:
        if one["image_id"] not in images or one["category_id"] not in categories:
            raise _unfit(path, f"annotation {one['id']} is of an image or a category that is not there")
        box = one.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_length, box)):
            raise _unfit(path, f"annotation {one['id']} has no `bbox` of four numbers")
        if not _is_length(one.get("area", 0)) or one.get("iscrowd", 0) not in (0, 1):
            raise _unfit(path, f"annotation {one['id']} has an `area` that is no number, or an `iscrowd` not 0 or 1")


def _check_entries(path: Path, found: dict[str, Any], name: str, wanted: dict[str, type]) -> None:
    """Every entry of a list of `found` has what is wanted, of its type, and an id of its own."""
    if name not in found:
        raise _unfit(path, f"it has no `{name}`")
    ids: set[int] = set()
    for one in found[name]:
        for entry, kind in wanted.items():
            if entry not in one:
                raise _unfit(path, f"one of its {name} has no `{entry}`")
            if not isinstance(one[entry], kind) or isinstance(one[entry], bool):
                words = "a whole number" if kind is int else "a text"
                raise _unfit(path, f"`{entry}` of one of its {name} is not {words}: {str(one[entry])[:40]}")
        if one["id"] in ids:
            raise _unfit(path, f"two of its {name} have the id {one['id']}")
        ids.add(one["id"])


def _is_length(value: object) -> bool:
    """Whether it is a number that float32 holds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


def _unfit(path: Path, why: str) -> Exception:
    return fault("RS956", f"`{path}` holds no annotations of boxes in COCO's format: {why}")
