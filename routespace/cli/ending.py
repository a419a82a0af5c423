"""How a command ends: what went wrong, told on standard error, and the exit code."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn, ParamSpec

import typer

from routespace.cli.streams import OUTPUT
from routespace.diagnostics import RouteError, escaped, escaped_lines, quoted
from routespace.memory import is_out_of_memory
from routespace.space.fault import Fault

PROBLEMS, USAGE, INTERRUPTED, BROKEN_PIPE, TERMINATED = 1, 2, 130, 141, 143

LONGEST_LINE = 1000
MOST_DIGITS = 100_000

P = ParamSpec("P")


class Trouble(Exception):
    """Ends a command with a message that stands at no place of a text; `code` is PROBLEMS or USAGE."""

    def __init__(self, message: str, help: str | None = None, *, code: int = PROBLEMS) -> None:
        super().__init__(message)
        self.message, self.help, self.code = message, help, code


class Terminated(BaseException):
    """The process was asked to end by SIGTERM."""


@contextlib.contextmanager
def heeding_sigterm() -> Iterator[None]:
    """Within the block, SIGTERM raises `Terminated`, so that what is under way is cleaned up."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # signals are heard in the main thread only
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def long_numbers() -> Iterator[None]:
    """Within the block, numbers as long as the count of the nets of any space are written and read."""
    if not hasattr(sys, "set_int_max_str_digits"):  # Python 3.10 before its seventh patch has no limit
        yield
        return
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(max(before, MOST_DIGITS) if before else 0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def command(run: Callable[P, None]) -> Callable[P, None]:
    """`run` as the body of a command: what it raises about its input becomes a message and an exit code."""

    @functools.wraps(run)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with long_numbers():
                run(*args, **kwargs)
            sys.stdout.flush()
        except RouteError as error:
            report(error)
            raise typer.Exit(PROBLEMS) from None
        except Fault as fault:
            _say(fault.message, fault.fix.text or None)
            raise typer.Exit(PROBLEMS) from None
        except Trouble as trouble:
            _say(trouble.message, trouble.help)
            raise typer.Exit(trouble.code) from None
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Terminated:
            _say("interrupted")
            raise typer.Exit(TERMINATED) from None
        except Exception as error:
            if is_out_of_memory(error):
                _say(f"out of memory in `{_line_of(run, kwargs)}`", "run it on something smaller, or where more is")
                raise typer.Exit(PROBLEMS) from None
            if not isinstance(error, OSError):
                raise
            raise typer.Exit(told(error)) from None

    return guarded


def _line_of(run: Callable[P, None], given: Mapping[str, object]) -> str:
    """The command with the files it was given."""
    names = [one for value in given.values() for one in (value if isinstance(value, list) else [value])]
    return " ".join(["routespace", run.__name__, *(escaped(one) for one in names if isinstance(one, Path))])


def report(error: RouteError) -> None:
    """The findings of `error` on standard error."""
    from routespace.diagnostics.render import render

    print(render(error.diagnostics, error.sources, color=has_color(sys.stderr)), file=sys.stderr)


def has_color(stream: object) -> bool:
    """Whether to colour what is written to `stream`: on terminals, unless NO_COLOR or a dumb terminal forbids it."""
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def told(error: OSError) -> int:
    """The exit code of a command that ends with this error, which is told; nothing is where nobody reads the output."""
    if isinstance(error, BrokenPipeError) and error.filename in (None, OUTPUT):
        return BROKEN_PIPE
    reason = error.strerror or str(error)
    if error.filename is None:
        _say(reason)
    else:
        _say(f"{OUTPUT if error.filename == OUTPUT else quoted(os.fsdecode(error.filename))}: {reason}")
    return PROBLEMS


def _say(message: str, help: str | None = None) -> None:
    head = "\x1b[1;31merror\x1b[0m" if has_color(sys.stderr) else "error"
    print(f"{head}: {_shown(message)}" + (f"\n  help: {_shown(help)}" if help else ""), file=sys.stderr)


def _shown(text: str) -> str:
    """What is said, on lines of a length that can be read, whatever was given to the command."""
    half = LONGEST_LINE // 2
    lines = escaped_lines(text).split("\n")
    return "\n".join(one if len(one) <= LONGEST_LINE else f"{one[:half]} … {one[-half:]}" for one in lines)
