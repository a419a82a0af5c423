"""Files of annotations in COCO's format, read and held to what boxes need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from routespace.diagnostics import quoted
from routespace.files import read_file
from routespace.integrations.fault import fault
from routespace.plain_json import read_json

MOST_BYTES = 2**32


def read_annotations(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The images, annotations and categories in a file. Raises `RouteError` RS956 where they are not whole: each has
    an id of its own and what is needed of it, and what annotations refer to is there."""
    try:
        found = read_json(read_file(path, MOST_BYTES))
    except OSError as cause:
        raise fault("RS956", f"{quoted(path)} cannot be read: {cause.strerror}") from cause
    except ValueError as cause:
        raise _unfit(path, str(cause)) from cause
    if not isinstance(found, dict):
        raise _unfit(path, "it is no object of lists")
    for name, wanted in (("images", {"id": int, "file_name": str}), ("categories", {"id": int, "name": str})):
        _check_entries(path, found, name, wanted)
    _check_entries(path, found, "annotations", {"id": int, "image_id": int, "category_id": int})
    for one in found["images"]:
        _check_image(path, one)
    images, categories = ({one["id"] for one in found[name]} for name in ("images", "categories"))
    for one in found["annotations"]:
        if one["image_id"] not in images or one["category_id"] not in categories:
            raise _unfit(path, f"annotation {one['id']} is of an image or a category that is not there")
        _check_box(path, one)
    return found


def declared_size(image: dict[str, Any]) -> tuple[int | None, int | None]:
    """The height and width that an image of a set is said to have, None where nothing is said."""
    return image.get("height"), image.get("width")


def _check_entries(path: Path, found: dict[str, Any], name: str, wanted: dict[str, type]) -> None:
    """Every entry of a list of `found` has what is wanted, of its type, and an id of its own."""
    if name not in found:
        raise _unfit(path, f"it has no `{name}`")
    if not isinstance(found[name], list) or not all(isinstance(one, dict) for one in found[name]):
        raise _unfit(path, f"its `{name}` are no list of objects")
    ids: set[int] = set()
    for one in found[name]:
        for entry, kind in wanted.items():
            if entry not in one:
                raise _unfit(path, f"one of its {name} has no `{entry}`")
            if not isinstance(one[entry], kind) or isinstance(one[entry], bool):
                words = "a whole number" if kind is int else "a text"
                raise _unfit(path, f"`{entry}` of one of its {name} is not {words}: {str(one[entry])[:40]}")
        if not abs(one["id"]) < 2**63:
            raise _unfit(path, f"one of its {name} has an id that int64 does not hold")
        if one["id"] in ids:
            raise _unfit(path, f"two of its {name} have the id {one['id']}")
        ids.add(one["id"])


def _check_image(path: Path, image: dict[str, Any]) -> None:
    """Its name stays in the folder of images, and sizes are sizes."""
    name = image["file_name"]
    if os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] in ("..", "."):
        raise _unfit(path, f"{quoted(name)} is no file in the folder of images")
    for side, given in zip(("height", "width"), declared_size(image), strict=True):
        if given is not None and not (_is_length(given) and given >= 1 and given == int(given)):
            raise _unfit(path, f"the `{side}` of image {quoted(name)} is no number of pixels")


def _check_box(path: Path, annotation: dict[str, Any]) -> None:
    box, named = annotation.get("bbox"), f"annotation {annotation['id']}"
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_length, box)):
        raise _unfit(path, f"{named} has no `bbox` of four numbers")
    if min(box[2:]) < 0:
        raise _unfit(path, f"{named} has a `bbox` of negative size: left, top, width and height are needed")
    if not _is_length(annotation.get("area", 0)) or annotation.get("iscrowd", 0) not in (0, 1):
        raise _unfit(path, f"{named} has an `area` that is no number, or an `iscrowd` not 0 or 1")


def _is_length(value: object) -> bool:
    """Whether it is a number that float32 holds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


def _unfit(path: Path, why: str) -> Exception:
    return fault("RS956", f"{quoted(path)} holds no annotations of boxes in COCO's format: {why}")
