"""Texts of files and of standard input: read up to a limit, and how a path that cannot be read is told."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from routespace.diagnostics import Diagnostic, RouteError, quoted
from routespace.files import read_file

LARGEST_FILE = 4 * 2**20
ROOT_MARK = ".route-root"
"""A file of this name says that its folder is the root of the files below it."""


def read_text(path: Path, shown: str) -> str:
    """The text of a file. Raises `RouteError` RS151 where it cannot be read as UTF-8."""
    try:
        return text_at(path)
    except (OSError, ValueError) as error:
        raise unreadable(shown, reason_of(error)) from None


def read_stream(stream: BinaryIO, shown: str) -> str:
    """The text of a stream, of which no more is read than a file may have. Raises `RouteError` RS151."""
    try:
        content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise OSError(f"it has more than the {LARGEST_FILE} bytes that are read")
        return content.decode("utf-8")
    except (OSError, ValueError) as error:
        raise unreadable(shown, reason_of(error)) from None


def text_at(path: Path) -> str:
    """The text of a file. Raises `OSError` or `ValueError` where it is none that can be read."""
    return read_file(path, LARGEST_FILE).decode("utf-8")


def reason_of(error: Exception) -> str:
    """Why something could not be read, in words."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def unreadable(shown: str, reason: str) -> RouteError:
    return RouteError([Diagnostic("RS151", f"cannot read {quoted(short_path(shown))}: {reason}")])


def short_path(path: str) -> str:
    """`path` in a message: its end, where it is long."""
    return path if len(path) <= 100 else f"…{path[-96:]}"


def resolved(path: Path) -> Path:
    """Where `path` leads; itself where no file can be called so."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path


def root_of(path: Path) -> Path:
    """The folder that imports of the file at `path` may not leave: the nearest one above it that is marked as a root,
    else the working directory where that is above it (and not all there is), else its own."""
    folder, here = resolved(path.parent), Path.cwd()
    marked = next((one for one in (folder, *folder.parents) if (one / ROOT_MARK).is_file()), None)
    return marked or (here if folder.is_relative_to(here) and here != here.parent else folder)
