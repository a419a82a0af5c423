"""What holds within blocks: settings of parts of modules, which belong to the context that entered them.

Nothing of a block stands on a module: other threads and tasks that call the same module see nothing of it. As with
every context variable, tasks that start within a block hold it; threads do not, unless they run in a copy of the
context, as `asyncio.to_thread` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Handle:
    """What settings go by: replicas of a part share it, copies have one of their own."""


class Block:
    """Settings by handle. `left`: it was left from elsewhere, as a generator is that another thread ends."""

    def __init__(self, settings: Mapping[Handle, Any]) -> None:
        self.settings, self.left = dict(settings), False


Blocks = tuple[Block, ...]

_ENTERED: ContextVar[Blocks] = ContextVar("entered", default=())


def entered() -> Blocks:
    """The blocks that this context is in, the innermost last."""
    blocks = _ENTERED.get()
    return tuple(block for block in blocks if not block.left) if blocks else blocks


def settings(blocks: Sequence[Block], handle: Handle) -> Iterator[Any]:
    """What the blocks say that have something for `handle`, the innermost first."""
    return (block.settings[handle] for block in reversed(blocks) if handle in block.settings)


@contextmanager
def entering(settings: Mapping[Handle, Any]) -> Iterator[None]:
    """Within the block the settings hold, in this context alone; blocks may be left in any order."""
    block = Block(settings)
    _ENTERED.set((*entered(), block))
    try:
        yield
    finally:
        block.left = block not in _ENTERED.get()
        _ENTERED.set(tuple(one for one in entered() if one is not block))
