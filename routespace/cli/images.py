"""Image files as tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routespace.cli.ending import Trouble
from routespace.integrations.fault import missing_extra

try:
    from PIL import Image, ImageOps
except ImportError as cause:
    raise missing_extra("draw", cause) from cause

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
MODES = {1: "L", 3: "RGB"}


def find_images(path: Path) -> list[Path]:
    """The image file at `path`, or those in the folder there, by name. Raises `Trouble` where there is none."""
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES and one.is_file())
        if not found:
            raise Trouble(f"`{path}` holds no images", f"their names end in {', '.join(SUFFIXES)}")
        return found
    if not path.exists():
        raise Trouble(f"`{path}` does not exist")
    return [path]


def check_channels(channels: int) -> None:
    """Raises `Trouble` for a space that reads other images than files hold."""
    if channels not in MODES:
        raise Trouble(f"the space reads {channels} channels; image files have 3, or 1 for grey")


def read_image(path: Path, channels: int) -> NDArray[np.float32]:
    """The image (channels, H, W) in [0, 1], upright; 3 channels are red, green, blue, and 1 is grey.

    What is transparent lies on white. Raises `Trouble` where the file is not an image that can be read, or is one of
    floating-point values, of which nothing says what is white.
    """
    try:
        with Image.open(path) as image:
            upright: Any = ImageOps.exif_transpose(image)
            if upright.mode == "F":
                raise Trouble(
                    f"`{path}` holds floating-point values, and no range of them", "save it with 8 or 16 bits"
                )
            if upright.mode.startswith("I"):  # of 16 bits, which PIL would cut off at 255
                grey = np.asarray(upright, dtype=np.float32) / 65535.0
                pixels = grey if channels == 1 else np.repeat(grey[..., None], channels, -1)
            else:
                pixels = np.asarray(_on_white(upright).convert(MODES[channels]), dtype=np.float32) / 255.0
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Trouble(f"`{path}` cannot be read as an image: {reason}") from None
    return np.ascontiguousarray(pixels[None] if channels == 1 else np.moveaxis(pixels, -1, 0))


def _on_white(image: Any) -> Any:
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
