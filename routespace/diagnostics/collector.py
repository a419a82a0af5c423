"""Garbage collection held off while many small, long-lived values are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MOST_OWED = 250_000
"""How many new objects may wait to be looked through, at least."""
_SHARE = 4
"""As a collector does by itself, a process that holds much is looked through after it grew by a part of that."""

_owed = 0
_held = 0


@contextmanager
def collector_paused() -> Iterator[None]:
    """Within the block the cyclic collector does not run; outside it does as before.

    What was made inside is counted as old at once (freezing and unfreezing moves it to the oldest generation), so
    that leaving the block does not scan it. That also hides it from the counters that start a full collection, so it is
    counted here, and a collection is run when enough has come together.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                _set_aside()
            gc.enable()


def _set_aside() -> None:
    """Count all objects as old, and look through them where many are new."""
    global _owed, _held
    young, middle, _ = gc.get_count()
    _owed += young + middle * gc.get_threshold()[0]
    if _owed >= max(MOST_OWED, _held // _SHARE):
        gc.collect()
        gc.freeze()
        _owed, _held = 0, gc.get_freeze_count()
    else:
        gc.freeze()
    gc.unfreeze()
