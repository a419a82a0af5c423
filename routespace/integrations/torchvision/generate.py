"""Generated scenes as a set of images in COCO's format, for training and measuring without a download."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from routespace.files import atomic_path, write_atomically
from routespace.integrations.scenes import CLASSES, KINDS, Kind, Scene, draw_scene


class CocoFiles(NamedTuple):
    """A folder of images and the file of annotations that belongs to it."""

    images: Path
    annotations: Path


def write_scenes(
    folder: Path | str,
    length: int,
    *,
    sizes: Sequence[tuple[int, int]] = ((128, 128),),
    seed: int = 0,
    kinds: Sequence[Kind] = KINDS,
) -> CocoFiles:
    """Write `length` generated scenes as `images/*.png` and `annotations.json` below `folder`.

    Scene i has size `sizes[i % len(sizes)]`, (height, width), and depends on (seed, i), its size and `kinds` only. A
    category is a kind of shape; an annotation is the box around the pixels of one shape, with their number as its
    area, and without a segmentation.
    """
    files = CocoFiles(Path(folder) / "images", Path(folder) / "annotations.json")
    files.images.mkdir(parents=True, exist_ok=True)
    described: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": place, "name": name} for place, name in enumerate(CLASSES) if place],
    }
    for index in range(length):
        size = sizes[index % len(sizes)]
        scene = draw_scene(seed, index, size, kinds)
        name, image = f"{index:06}.png", index + 1
        _write_png(files.images / name, scene)
        described["images"].append({"id": image, "file_name": name, "height": size[0], "width": size[1]})
        for found in _annotations(scene):
            place = len(described["annotations"]) + 1
            described["annotations"].append({"id": place, "image_id": image, "iscrowd": 0, **found})
    write_atomically(files.annotations, json.dumps(described).encode())
    return files


def _annotations(scene: Scene) -> Iterator[dict[str, Any]]:
    """The category, box (left, top, width, height) and area of every shape, in the order they were drawn."""
    for shape in range(1, int(scene.shapes.max()) + 1):
        rows, columns = np.nonzero(scene.shapes == shape)
        if len(rows) == 0:
            continue
        left, top = int(columns.min()), int(rows.min())
        box = [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top]
        yield {"category_id": int(scene.label[rows[0], columns[0]]), "bbox": box, "area": len(rows)}


def _write_png(path: Path, scene: Scene) -> None:
    pixels = np.moveaxis(scene.image * 255.0, 0, -1).round().astype(np.uint8)
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
