"""The folder of a run: one run at a time writes to it, and what killed ones left half written goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from routespace.integrations.fault import RunError

LOCK = ".lock"


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """`folder`, made where it is not there, for one run alone.

    The lock dies with the process that holds it. Folders that were made are removed where nothing was put into them.
    Raises `RunError` where another run is at work in `folder`.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"another run is at work in `{folder}`", "wait for its end, or give another folder") from None
    try:
        yield
    finally:
        with suppress(OSError):  # where open files are not removed, it is the next to be locked
            (folder / LOCK).unlink()
        lock.release()
        with suppress(OSError):
            for one in made:
                one.rmdir()
