"""The standard streams: those that are missing or broken, and what is written to them for programs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper

OUTPUT = "standard output"


class _Stream(TextIOWrapper):
    """A standard stream over the buffer of another one, which is kept: it would close the buffer at its own end."""

    def __init__(self, kept: TextIOWrapper, errors: str) -> None:
        super().__init__(kept.buffer, kept.encoding, errors, line_buffering=kept.line_buffering)
        self.kept = kept


class _Output(_Stream):
    """Standard output: its errors have its name."""

    def write(self, text: str) -> int:
        with _named():
            return super().write(text)

    def flush(self) -> None:
        with _named():
            super().flush()


class _Remarks(_Stream):
    """Standard error: what cannot be said is not said, and changes neither what is done nor how it ends."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            _lead_nowhere(2)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _lead_nowhere(2)


def prepare() -> None:
    """Put the null device in the place of standard streams that were closed, and tell errors of the others by name.

    What is opened later does not get the numbers of those streams then, to which libraries may write.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout = _Output(sys.stdout, "replace")
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr = _Remarks(sys.stderr, "backslashreplace")


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _lead_nowhere(1)
        raise OSError(error.errno, error.strerror, OUTPUT) from None


def _lead_nowhere(number: int) -> None:
    """Let what is still written to this stream, as at the end of the process, go to the null device."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def print_text(text: str) -> None:
    """Print what is UTF-8 wherever it stands, as .route texts, SVG and JSON are, whatever people read here."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    with _named():
        buffer.write(text.encode("utf-8", "backslashreplace"))


def print_json(value: object, indent: int | None = None) -> None:
    """Print JSON; bytes of file names that are no text stand as escapes there."""
    print_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")
