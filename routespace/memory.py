"""Telling that memory ran out, whoever says so."""

from __future__ import annotations

import errno

_SAYINGS = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "bad_alloc",
    "failed to map segment",
    "can't start new thread",
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or one that led to it, says that memory ran out: Python, torch, or the loader of a library.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    True
    >>> is_out_of_memory(RuntimeError("size mismatch"))
    False
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if isinstance(error, (RuntimeError, ImportError)) and any(one in str(error).lower() for one in _SAYINGS):
            return True
        error = error.__cause__ or error.__context__
    return False
