"""Images for commands: found, read and gone through, one at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from numpy import float32
from numpy.typing import NDArray
from rich.progress import Progress

from routespace.cli.ending import USAGE, Trouble
from routespace.cli.tables import console
from routespace.diagnostics import escaped_lines, quoted
from routespace.integrations import images
from routespace.integrations.images import MODES, SUFFIXES, ImageError, images_in
from routespace.memory import is_out_of_memory


def find_images(path: Path) -> list[Path]:
    """What is at `path`, or the images in the folder there, by name. Raises `Trouble` where there is none."""
    if path.is_dir():
        found = images_in(path)
        if not found:
            raise Trouble(f"{quoted(path)} holds no images", f"their names end in {', '.join(SUFFIXES)}")
        return found
    if not os.path.lexists(path):
        raise Trouble(f"{quoted(path)} does not exist")
    return [path]


def check_channels(channels: int) -> None:
    """Raises `Trouble` for a space that reads other images than files hold."""
    if channels not in MODES:
        raise Trouble(f"the space reads {channels} channels; image files have 3, or 1 for grey")


def read_image(path: Path, channels: int) -> NDArray[float32]:
    """The image (channels, H, W) in [0, 1], as `routespace.integrations.images` reads it. Raises `Trouble`."""
    with _as_trouble():
        return images.read_image(path, channels)


def each_image(paths: Sequence[Path], use: Callable[[Path], None]) -> bool:
    """Call `use` with every path, and show how far it is; whether that went well with all.

    An image for which it raises `Trouble` or the `ValueError` of a module that it does not fit, or for which there is
    too little memory, is told and left out. Raises `Trouble` where that is the only one or happens to all, or what is
    wrong is the command.
    """
    screen, failed = console(stderr=True), 0
    with Progress(console=screen, transient=True, disable=not screen.is_terminal or len(paths) < 2) as progress:
        for path in progress.track(paths, description="images"):
            try:
                _use(path, use)
            except Trouble as trouble:
                if trouble.code == USAGE or len(paths) == 1:
                    raise
                failed += 1
                help = f"\n  help: {trouble.help}" if trouble.help else ""
                screen.print(f"error: {escaped_lines(trouble.message)}{help}", markup=False, soft_wrap=True)
    if failed == len(paths):
        raise Trouble(f"none of these {failed} images can be used")
    return not failed


def warn(message: str) -> None:
    """A line about images on standard error."""
    console(stderr=True).print(f"warning: {escaped_lines(message)}", markup=False, soft_wrap=True)


def _use(path: Path, use: Callable[[Path], None]) -> None:
    try:
        with _as_trouble():
            use(path)
    except ValueError as error:
        raise Trouble(f"{quoted(path)}: {error}") from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise Trouble(f"{quoted(path)}: out of memory", "make it smaller, or run it where more memory is") from None


@contextmanager
def _as_trouble() -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise Trouble(error.message, error.help) from None
