"""The one reader of images: what files hold, which way up, and what is refused by name."""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("PIL", reason="needs Pillow")

from PIL import Image, PngImagePlugin

from routespace.integrations.images import ImageError, SizeError, images_in, read_image, read_labels

RAMP = np.arange(8 * 12, dtype=np.uint16).reshape(8, 12)


def tiff(pixels: bytes, bits: int, photometric: int, sample: int = 1, order: str = "<") -> bytes:
    """A grey TIFF of 12x8 pixels by hand, for what Pillow does not write."""
    tags = [
        (256, 12), (257, 8), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 8),
        (279, len(pixels)), (339, sample),
    ]  # fmt: skip
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(pixels))
    entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    return head + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def png_of(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG that declares a size, and holds these chunks."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def sideways(path: Path, orientation: int, pixels: NDArray[Any] = RAMP) -> Path:
    photo = Image.fromarray(pixels)
    exif = photo.getexif()
    exif[0x0112] = orientation
    photo.save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint8), (".tif", np.uint16), (".webp", np.uint8)],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_read_upright(tmp_path: Path, orientation: int, suffix: str, dtype: Any) -> None:
    turn = [
        None, lambda x: x, lambda x: x[:, ::-1], lambda x: x[::-1, ::-1], lambda x: x[::-1], lambda x: x.T,
        lambda x: np.rot90(x, -1), lambda x: x[::-1, ::-1].T, lambda x: np.rot90(x, 1),
    ][orientation]  # fmt: skip
    path, upright = tmp_path / f"photo{suffix}", turn(RAMP)  # type: ignore[misc]
    photo = Image.fromarray(RAMP.astype(dtype))
    exif = photo.getexif()
    exif[0x0112] = orientation
    photo.save(path, exif=exif, lossless=True)
    most = np.iinfo(dtype).max
    assert np.abs(read_image(path, 1)[0] - upright / most).max() < 1e-6
    assert read_image(path, 3, upright.shape).shape == (3, *upright.shape)
    if upright.shape != RAMP.shape:
        assert np.abs(read_image(path, 1, RAMP.shape)[0] - RAMP / most).max() < 1e-6
    if suffix != ".webp":
        assert np.array_equal(read_labels(path), upright)


def test_a_declared_size_says_which_way_up(tmp_path: Path) -> None:
    path = sideways(tmp_path / "photo.png", 6)
    stored, upright = RAMP / 65535, np.rot90(RAMP, -1) / 65535
    for declared, wanted in (((12, 8), upright), ((8, 12), stored), ((None, 12), stored), ((None, None), upright)):
        assert np.abs(read_image(path, 1, declared)[0] - wanted).max() < 1e-6
    with pytest.raises(SizeError, match=r"photo.png` is 12x8, not 24x16") as error:
        read_image(path, 3, (24, 16))
    again = pickle.loads(pickle.dumps(error.value))
    assert error.value.size == again.size == (12, 8) and str(again) == str(error.value)


def test_pixels_of_every_kind(tmp_path: Path) -> None:
    """What a kind of image says is a red of 51/255, or a grey of it."""
    red, grey = [0.2, 0.0, 0.0], [0.2] * 3
    palette = Image.new("P", (4, 4), 3)
    palette.putpalette([0, 0, 0] * 3 + [51, 0, 0])
    kinds: list[tuple[str, Any, list[float]]] = [
        ("rgb.png", Image.new("RGB", (4, 4), (51, 0, 0)), red), ("p.png", palette, red),
        ("rgba.png", Image.new("RGBA", (4, 4), (51, 0, 0, 255)), red), ("l.png", Image.new("L", (4, 4), 51), grey),
        ("la.png", Image.new("LA", (4, 4), (51, 255)), grey), ("1.png", Image.new("1", (4, 4), 1), [1.0] * 3),
        ("deep.png", Image.fromarray(np.full((4, 4), 13107, np.uint16)), grey),
        ("deep.tif", Image.fromarray(np.full((4, 4), 13107, np.uint16)), grey),
        ("deep.pgm", Image.fromarray(np.full((4, 4), 13107, np.uint16)), grey),
        ("l.pgm", Image.new("L", (4, 4), 51), grey), ("rgb.bmp", Image.new("RGB", (4, 4), (51, 0, 0)), red),
        ("cmyk.tif", Image.new("CMYK", (4, 4), (204, 255, 255, 0)), red),
        ("clear.png", Image.new("RGBA", (4, 4), (51, 0, 0, 0)), [1.0] * 3),
        ("half.png", Image.new("RGBA", (4, 4), (0, 255, 255, 51)), [0.8, 1.0, 1.0]),
    ]  # fmt: skip
    for name, image, wanted in kinds:
        image.save(tmp_path / name)
        found = read_image(tmp_path / name, 3)
        assert found.shape == (3, 4, 4) and found.dtype == np.float32 and found.flags.c_contiguous
        assert np.abs(found - np.array(wanted)[:, None, None]).max() < 1e-6, name
        assert read_image(tmp_path / name, 1).shape == (1, 4, 4)


def test_deep_grey_of_tiff(tmp_path: Path) -> None:
    """White is where the file says, with 12 bits and where zero is white too."""
    for name, content, wanted in (
        ("min", tiff(RAMP.astype("<u2").tobytes(), 16, 0), 1 - RAMP / 65535),
        ("max", tiff(RAMP.astype("<u2").tobytes(), 16, 1), RAMP / 65535),
        ("big", tiff(RAMP.astype(">u2").tobytes(), 16, 1, order=">"), RAMP / 65535),
        ("twelve", tiff(b"\xff\xff\xff" * 48, 12, 1), np.ones((8, 12))),
        ("bytes", tiff(RAMP.astype("u1").tobytes(), 8, 0), 1 - RAMP / 255),
    ):
        (tmp_path / f"{name}.tif").write_bytes(content)
        assert np.abs(read_image(tmp_path / f"{name}.tif", 1)[0] - wanted).max() < 1e-6, name


def test_deep_grey_with_a_clear_value_lies_on_white(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "clear.png", transparency=5)
    found = read_image(tmp_path / "clear.png", 1)[0]
    assert found.ravel()[5] == 1.0 and found.ravel()[6] == np.float32(6 / 65535)


@pytest.mark.parametrize("most", [1, 257, 100_000])
def test_grey_of_32_bits_is_refused(tmp_path: Path, most: int) -> None:
    Image.fromarray(RAMP.astype(np.int32) * most).save(tmp_path / "deep.tif")
    (tmp_path / "signed.tif").write_bytes(tiff(RAMP.astype("<i2").tobytes(), 16, 1, sample=2))
    for name in ("deep", "signed"):
        with pytest.raises(ImageError, match=f"{name}.tif` holds whole numbers of 32 bits or with signs") as error:
            read_image(tmp_path / f"{name}.tif", 3)
        assert error.value.help == "save it with 8 or 16 bits"


def test_grey_of_floats_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RAMP.astype(np.float32)).save(tmp_path / "deep.tif")
    for read in (lambda path: read_image(path, 3), read_labels):
        with pytest.raises(ImageError, match=r"deep.tif`"):
            read(tmp_path / "deep.tif")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_several_images_in_a_file_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (4, 4), (100 * place, 0, 0)) for place in range(3)]
    frames[0].save(tmp_path / f"film{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=f"film{suffix}` holds several images"):
        read_image(tmp_path / f"film{suffix}", 3)


def test_previews_and_masks_are_no_images(tmp_path: Path) -> None:
    photo, small = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (4, 4))
    photo.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[small])
    photo, small = photo.copy(), small.copy()
    small.encoderinfo = {"tiffinfo": {254: 1}}
    photo.save(tmp_path / "map.tif", save_all=True, append_images=[small])
    for name in ("phone.jpg", "map.tif"):
        found = read_image(tmp_path / name, 3)
        assert found.shape == (3, 8, 8) and found[0].min() > 0.98


def test_labels_are_grey_values_or_indices_of_a_palette(tmp_path: Path) -> None:
    palette = Image.fromarray(RAMP.astype(np.uint8), mode=None).convert("P")
    palette.putdata(RAMP.ravel().tolist())
    palette.putpalette([7] * 768)
    palette.save(tmp_path / "p.png")
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "l.png")
    Image.fromarray(RAMP + 1000).save(tmp_path / "deep.png")
    Image.fromarray(RAMP > 40).save(tmp_path / "1.png")
    for name, wanted in (("p", RAMP), ("l", RAMP), ("deep", RAMP + 1000), ("1", RAMP > 40)):
        found = read_labels(tmp_path / f"{name}.png")
        assert found.dtype == np.int64 and np.array_equal(found, wanted), name
    for mode in ("RGB", "RGBA", "LA"):
        Image.new(mode, (4, 4)).save(tmp_path / "colour.png")
        with pytest.raises(ImageError, match=f"colour.png` is {mode}: labels are one whole number for each pixel"):
            read_labels(tmp_path / "colour.png")


def test_names_of_hidden_files_are_no_images(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "._a.jpeg", ".hidden.png", "notes.txt", "animation.gif"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "lost.png").symlink_to("nowhere.png")
    assert [one.name for one in images_in(tmp_path)] == ["a.jpeg", "b.PNG", "lost.png"]


def postscript() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("name", ["photo.png", "photo.tif", "photo.jpg", "photo"])
def test_no_other_decoder_sees_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for program in ("gs", "gswin32c"):
        (tools / program).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (tools / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    gif = io.BytesIO()
    Image.new("RGB", (8, 8)).save(gif, "GIF")
    for content in (postscript(), gif.getvalue(), b"", b"x", bytes(1000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=f"{name}` cannot be read as an image: it is none of PNG, JPEG"):
            read_image(tmp_path / name, 3)
    assert not (tmp_path / "ran").exists()


def test_a_format_is_told_by_the_content(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (255, 255, 255)).save(tmp_path / "really_a_png.jpg", format="PNG")
    assert (read_image(tmp_path / "really_a_png.jpg", 3) == 1.0).all()


@pytest.mark.parametrize("side", [8193, 9500, 13_300, 40_000, 2**31 - 1])
def test_pixels_have_a_limit(tmp_path: Path, side: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png_of(side, side))
    with pytest.raises(ImageError, match=r"bomb.png` (has .* pixels: at most 67,108,864 are read|cannot be read)"):
        read_image(tmp_path / "bomb.png", 3)


def test_text_in_a_file_has_a_limit(tmp_path: Path) -> None:
    bomb = b"Comment\0\0" + zlib.compress(bytes(2**26))
    (tmp_path / "bomb.png").write_bytes(png_of(4, 4, (b"zTXt", bomb)))
    with pytest.raises(ImageError, match=r"bomb.png` cannot be read as an image: Decompressed data too large"):
        read_image(tmp_path / "bomb.png", 3)
    assert PngImagePlugin.MAX_TEXT_CHUNK <= 2**20


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".ppm", ".tif"])
def test_truncated_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError, match=f"cut{suffix}` cannot be read as an image"):
            read_image(path, 3)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_flipped_bytes_are_an_image_or_an_image_error(tmp_path: Path) -> None:
    dice, path = np.random.default_rng(1), tmp_path / "flipped.png"
    for suffix in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM"):
        held = io.BytesIO()
        Image.fromarray(RAMP.astype(np.uint8)).convert("RGB").save(held, suffix)
        for _ in range(60):
            content = bytearray(held.getvalue())
            for place in dice.integers(0, min(len(content), 200), 3):
                content[place] = dice.integers(256)
            path.write_bytes(content)
            try:
                found = read_image(path, 3)
            except ImageError as error:
                assert "flipped.png" in error.message
            else:
                assert found.shape[0] == 3 and found.min() >= 0 and found.max() <= 1


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "folder.png").mkdir()
    os.symlink("/dev/zero", tmp_path / "device.png")
    listening = socket.socket(socket.AF_UNIX)
    cwd = Path.cwd()
    try:
        os.chdir(tmp_path)
        listening.bind("socket.png")
    finally:
        os.chdir(cwd)
    told: dict[str, str] = {}
    names = ("pipe", "loop", "folder", "device", "socket", "nothing")

    def ask() -> None:
        for name in names:
            try:
                read_image(tmp_path / f"{name}.png", 3)
            except ImageError as error:
                told[name] = error.message.rpartition(": ")[2]

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(20)
    listening.close()
    assert not asking.is_alive()
    assert [told[name] for name in names] == [
        "it is a pipe, not a file", os.strerror(40), "it is a folder, not a file", "it is a device, not a file",
        "it is a socket, not a file", "No such file or directory",
    ]  # fmt: skip


def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"a\xff\x1b.png")
    path.write_bytes(b"x")
    with pytest.raises(ImageError) as error:
        read_image(path, 3)
    assert r"a\xff\x1b.png` cannot be read" in error.value.message
