"""Reading files that are what they seem, and writing files whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
"""How to open what may be a pipe without a partner, or a terminal."""


def read_file(path: Path, most: int) -> bytes:
    """The content of the file at `path`, or at the end of the links there.

    Nothing else is read, and nothing is waited for. Raises `OSError` with the name `path`: for a folder, a pipe, a
    socket or a device, and for a file of more than `most` bytes.
    """
    with _named(path):
        check_file(path, most)
        with open(os.open(path, os.O_RDONLY | _AT_ONCE), "rb") as file:
            size = _fitting(os.fstat(file.fileno()), most)
            content = file.read(size + 1)
        if len(content) != size:
            raise OSError(errno.EIO, "it changed while it was read")
    return content


def check_file(path: Path, most: int) -> int:
    """The size of the file at `path`. Raises `OSError` with that name unless there is one of at most `most` bytes."""
    with _named(path):
        return _fitting(os.stat(path), most)


def _fitting(found: os.stat_result, most: int) -> int:
    """The size of what was found."""
    if not stat.S_ISREG(found.st_mode):
        is_folder = stat.S_ISDIR(found.st_mode)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a device")
        raise OSError(errno.EISDIR if is_folder else errno.EINVAL, f"it is {kind}, not a file")
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, more than the {most} that are read")
    return found.st_size


def write_atomically(path: Path, content: bytes | str) -> None:
    """Put `content` at `path` so that a reader, or a run that is cut short, finds the old file or the new one whole.

    Text is written as UTF-8. Raises `OSError`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_together(files: Mapping[Path, bytes]) -> None:
    """Put contents at several paths, all of them written before the first takes its place.

    They take their places in the order given, so that the last can vouch for the others. Raises `OSError`; then what
    was there stays.
    """
    with ExitStack() as stack:
        for path, content in reversed(list(files.items())):
            with stack.enter_context(atomic_path(path)).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # a disk that is full may say so only now


def remove_leftovers(path: Path) -> None:
    """Remove what writers of `path` left beside it that were killed. Nobody else may be writing to `path`."""
    before, after = map(re.escape, _temporary_name(path, "\0").split("\0"))
    for left in path.parent.glob(".*"):
        if re.fullmatch(f"{before}[0-9a-f]{{8}}{after}", left.name):
            left.unlink(missing_ok=True)


def _temporary_name(path: Path, token: str) -> str:
    return f".{path.stem[:40]}.{token}{path.suffix}"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path of the same suffix to write to; it takes the place of `path` when the block ends without an error.

    A link stays one, a file that is replaced keeps its permissions, and a new one has those that the umask leaves. To a
    pipe that is read, a terminal or another device of characters the content is handed on; other devices are refused.
    Raises `OSError` with the name `path`.
    """
    with _named(path):
        before = _status(path)
        if before is not None and not stat.S_ISREG(before.st_mode):
            with _handed_on(path) as temporary:
                yield temporary
            return
        target = Path(os.path.realpath(path))
    temporary = target.with_name(_temporary_name(target, secrets.token_hex(4)))
    with _named(path, temporary):
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            if before is not None:
                temporary.chmod(stat.S_IMODE(before.st_mode))
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def _status(path: Path) -> os.stat_result | None:
    """What stands at `path`, None for nothing, and where a link leads to nothing."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


@contextmanager
def _handed_on(path: Path) -> Iterator[Path]:
    """A temporary file whose content goes to what stands at `path` when the block ends."""
    try:
        descriptor = os.open(path, os.O_WRONLY | _AT_ONCE)
    except OSError as error:
        if error.errno == errno.ENXIO and path.is_fifo():
            raise OSError(errno.ENXIO, "it is a pipe that nobody reads") from None
        raise
    with open(descriptor, "wb") as there:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            raise OSError(errno.EINVAL, "it is a device that nothing can be written to")
        os.set_blocking(descriptor, True)
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / f"content{path.suffix}"
            yield temporary
            with temporary.open("rb") as content:
                shutil.copyfileobj(content, there)


@contextmanager
def _named(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Errors of the block that name no file, or the temporary one, name the file that was asked for."""
    try:
        yield
    except OSError as error:
        if error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        raise
    except ValueError as error:
        if "\0" in str(path):
            raise OSError(errno.EINVAL, str(error), str(path)) from None
        raise
