"""Work that ends when its time is over, wherever it stands."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN = 0.1
"""Seconds after which an interrupt comes again: in a destructor it would be lost."""

LONGEST = 1e6


class TimeIsUp(BaseException):
    """Raised in work whose time is over. Nobody who handles errors takes it for one."""


class Clock:
    """When work has to end."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, 0 at least."""
        return max(0.0, self.end - time.monotonic())

    def check(self) -> None:
        """Raise `TimeIsUp` where no time is left."""
        if not self.left:
            raise TimeIsUp


def within(clock: Clock, act: Callable[[], object]) -> bool:
    """Whether `act` came to its end before the time of `clock` was over; it is cut short there.

    In the main thread it is interrupted in whatever it does; elsewhere, and where there are no such timers, it has to
    look at the clock itself.
    """
    try:
        clock.check()
        if clock.left == float("inf") or not _can_interrupt():
            act()
        else:
            with _interrupted(clock):
                act()
    except TimeIsUp:
        return False
    return True


def _can_interrupt() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def _in_destructor(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


@contextmanager
def _interrupted(clock: Clock) -> Iterator[None]:
    is_on = True

    def ring(number: int, frame: FrameType | None) -> None:
        if is_on and not clock.left and not _in_destructor(frame):
            raise TimeIsUp

    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, ring)
    others, interval = signal.setitimer(signal.ITIMER_REAL, min(max(clock.left, 1e-3), LONGEST), AGAIN)
    try:
        try:
            yield
        finally:
            is_on = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if others:
            signal.setitimer(signal.ITIMER_REAL, max(others - (time.monotonic() - started), 1e-3), interval)
