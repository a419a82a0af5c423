"""Images and boxes of a set in COCO's format, as torchvision's detectors take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from routespace.diagnostics import quoted
from routespace.integrations.fault import fault
from routespace.integrations.images import ImageError, SizeError, read_image
from routespace.integrations.torchvision.annotations import declared_size, read_annotations

Target: TypeAlias = dict[str, Tensor]


class CocoBoxes(Dataset[tuple[Tensor, Target]]):
    """A folder of images with a file of annotations in COCO's format.

    Item i is an image (3, H, W) float32 in [0, 1] and its target: `boxes` (M, 4) float32 as left, top, right, bottom
    in pixels, `labels` (M,) int64, `area` (M,) float32, `iscrowd` (M,) int64 and `image_id`. Labels count the
    categories from 1 in the order of their ids, as torchvision's detectors have them; `classes` names them, with 0
    for the ground. Images are in the order of their ids, and are read upright where the declared `height` and `width`
    are those of the upright image, as stored where these are. Boxes are cut at the edge of the image; those without
    an area are left out.

    Raises `RouteError` RS956 for files that are missing or no such set, for an image whose size is declared to be
    another, and for a box that lies outside of its image.
    """

    def __init__(self, images: Path | str, annotations: Path | str) -> None:
        self.folder, annotations = Path(images), Path(annotations)
        if not self.folder.is_dir():
            raise fault("RS956", f"there is no folder of images at {quoted(images)}")
        found = read_annotations(annotations)
        self.images: list[dict[str, Any]] = sorted(found["images"], key=lambda one: one["id"])
        self.annotations: dict[int, list[dict[str, Any]]] = {one["id"]: [] for one in self.images}
        for one in found["annotations"]:
            self.annotations[one["image_id"]].append(one)
        for image in self.images:
            height, width = declared_size(image)
            if height is not None and width is not None:
                self._check_boxes(image, height, width)
        categories = sorted(found["categories"], key=lambda one: one["id"])
        self.labels = {one["id"]: place for place, one in enumerate(categories, 1)}
        self.classes: tuple[str, ...] = ("ground", *(one["name"] for one in categories))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        image = self.images[index]
        try:
            pixels = torch.from_numpy(read_image(self.folder / image["file_name"], 3, declared_size(image)))
        except SizeError as error:
            help = "resize the boxes with the images, and declare the sizes of these"
            raise fault("RS956", f"{error}, as the annotations declare, in either orientation", help=help) from None
        except ImageError as error:
            raise fault("RS956", error.message, help=error.help) from None
        height, width = pixels.shape[1:]
        self._check_boxes(image, height, width)
        return pixels, self._target(image, height, width)

    def _check_boxes(self, image: dict[str, Any], height: int, width: int) -> None:
        """Raise `RouteError` where a box that has an area has none within the image."""
        for one in self.annotations[image["id"]]:
            left, top, across, down = one["bbox"]
            inside = left < width and left + across > 0 and top < height and top + down > 0
            if across > 0 and down > 0 and not inside:
                message = f"the box {one['bbox']} of annotation {one['id']} lies outside of image"
                help = "the boxes may be those of a larger copy of it"
                raise fault("RS956", f"{message} {quoted(image['file_name'])}, which is {height}x{width}", help=help)

    def _target(self, image: dict[str, Any], height: int, width: int) -> Target:
        annotations = self.annotations[image["id"]]
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
        return {**{name: values[there] for name, values in target.items()}, "image_id": torch.tensor(image["id"])}


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
