"""Image files as numbers: the one reader of every command and of every set of images. Needs Pillow."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from routespace.diagnostics import quoted
from routespace.files import read_file
from routespace.integrations.fault import missing_extra

try:
    from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError
except ImportError as cause:
    raise missing_extra("draw", cause) from cause

Declared: TypeAlias = tuple[int | None, int | None]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "TIFF")
"""What these suffixes stand for: no other decoder sees a file, whatever is in it."""

MODES = {1: "L", 3: "RGB"}
MOST_PIXELS = 2**26
MOST_BYTES = 2**30
MOST_PAGES = 64

BITS_PER_SAMPLE, PHOTOMETRIC, SUBFILE = 258, 262, 254
WHITE_IS_ZERO, REDUCED_OR_MASK = 0, 0b101
ORIENTATION = 274
BACK = {
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How what was turned upright comes to lie as it is stored, by the orientations that change height and width."""


class ImageError(ValueError):
    """A file is no image that can be read: `message` names it, `help`, where there is any, says what to do."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message, help)
        self.message, self.help = message, help

    def __str__(self) -> str:
        return self.message


class SizeError(ImageError):
    """An image has another size than is said of it; `size` is (height, width) as it is seen upright."""

    def __init__(self, message: str, size: tuple[int, int]) -> None:
        super().__init__(message)
        self.size = size


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image; names of hidden files are not.

    >>> [is_image_name(name) for name in ("a.png", "B.JPG", "._a.png", "a.gif")]
    [True, True, False, False]
    """
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def images_in(folder: Path) -> list[Path]:
    """What is called like an image in `folder`, and is no folder, by name. Raises `OSError`."""
    return sorted(one for one in folder.iterdir() if is_image_name(one.name) and not one.is_dir())


def read_image(path: Path, channels: int, declared: Declared | None = None) -> NDArray[np.float32]:
    """The image (channels, H, W) in [0, 1]; 3 channels are red, green, blue, and 1 is grey.

    It is read upright, as its EXIF data say. Where a size (height, width) is `declared` that it has only as it is
    stored, it is read so, since what was declared with that size is meant so. What is transparent lies on white.

    Raises `ImageError` for what cannot be read: no file, none of `FORMATS`, several frames, more than `MOST_PIXELS`
    pixels, and floating-point values or whole numbers of 32 bits, of which nothing says what is white. Raises
    `SizeError` where neither orientation is as declared.
    """
    with _opened(path) as image:
        if image.mode == "F":
            raise ImageError(
                f"{quoted(path)} holds floating-point values, and no range of them", "save it with 8 or 16 bits"
            )
        if image.mode == "I" and image.format not in ("PNG", "PPM"):
            raise ImageError(
                f"{quoted(path)} holds whole numbers of 32 bits or with signs, and no range of them",
                "save it with 8 or 16 bits",
            )
        turned = _turned(path, image, declared)
        pixels = _grey(image, turned) if turned.mode.startswith("I") else _colours(turned, channels)
        if pixels.ndim == 2:
            return np.repeat(pixels[None], channels, 0)
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def read_labels(path: Path) -> NDArray[np.int64]:
    """The labels (H, W) in a file: its grey values, or the indices of its palette. Raises `ImageError`."""
    with _opened(path) as image:
        if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
            raise ImageError(
                f"{quoted(path)} is {image.mode}: labels are one whole number for each pixel",
                "save it as grey values, or with a palette whose indices are the classes",
            )
        return np.asarray(_turned(path, image, None)).astype(np.int64)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image in a file, which is not decoded yet; whatever goes wrong in the block is an `ImageError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its limit is above the one below
            image = Image.open(io.BytesIO(read_file(path, MOST_BYTES)), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise _too_large(path, f"{image.height}x{image.width}")
        if _has_more(image):
            raise ImageError(f"{quoted(path)} holds several images", "save the one that is meant by itself")
        yield image
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(path, "too many") from None
    except UnidentifiedImageError:
        kinds = ", ".join(FORMATS)
        raise ImageError(f"{quoted(path)} cannot be read as an image: it is none of {kinds}") from None
    except Exception as error:  # decoders raise what they like about broken files
        told = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise ImageError(f"{quoted(path)} cannot be read as an image: {told}") from None


def _too_large(path: Path, pixels: str) -> ImageError:
    return ImageError(
        f"{quoted(path)} has {pixels} pixels: at most {MOST_PIXELS:,} are read", "make it smaller, or cut it up"
    )


def _has_more(image: Image.Image) -> bool:
    """Whether there are frames or pages beside the first that are no previews or masks of it."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.format != "MPO" and getattr(image, "n_frames", 1) > 1
    try:
        for page in range(1, MOST_PAGES):
            image.seek(page)
            if not int(image.tag_v2.get(SUBFILE, 0)) & REDUCED_OR_MASK:
                return True
    except EOFError:
        return False
    finally:
        image.seek(0)
    return True


def _turned(path: Path, image: Image.Image, declared: Declared | None) -> Image.Image:
    """The image upright, or as it is stored where only that is as declared."""
    back = BACK.get(image.getexif().get(ORIENTATION, 1))  # asked now: Pillow turns a TIFF, and forgets it, on loading
    upright = ImageOps.exif_transpose(image)
    if declared is None or _fits(upright, declared):
        return upright
    stored = upright if back is None else upright.transpose(back)
    if _fits(stored, declared):
        return stored
    told = "x".join("?" if side is None else str(side) for side in declared)
    raise SizeError(f"{quoted(path)} is {upright.height}x{upright.width}, not {told}", (upright.height, upright.width))


def _fits(image: Image.Image, declared: Declared) -> bool:
    return all(said in (None, side) for said, side in zip(declared, (image.height, image.width), strict=True))


def _grey(image: Image.Image, turned: Image.Image) -> NDArray[np.float32]:
    """Pixels (H, W) of more than 8 bits, which Pillow would cut off at 255. `image` is as it was opened."""
    values = np.asarray(turned)
    bits, zero_is_white = 16, False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(BITS_PER_SAMPLE, (bits,))[0]
        zero_is_white = image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
    pixels: NDArray[np.float32] = values.astype(np.float32) / np.float32(2**bits - 1)
    if zero_is_white:
        pixels = 1 - pixels
    if isinstance(clear := image.info.get("transparency"), int):
        pixels[values == clear] = 1.0
    return pixels


def _colours(image: Image.Image, channels: int) -> NDArray[np.float32]:
    """Pixels (H, W, 3), or (H, W) of one channel, with what is transparent on white."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    pixels: NDArray[np.float32] = np.asarray(image.convert(MODES[channels]), dtype=np.float32) / np.float32(255)
    return pixels
