"""Calls that are made again in a backward pass see the blocks that the first one saw.

`torch.utils.checkpoint` calls a function again when its gradients are asked for: by then its blocks may have been left,
and on a GPU that is in a thread that entered none. Of what it calls again it knows the closure alone, so that is where
the blocks are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch.utils import checkpoint

from routespace.runtime.entered import Blocks, entered

_AGAIN: ContextVar[Iterator[Blocks] | None] = ContextVar("again", default=None)


class Rerun:
    """What a checkpoint calls again, and the blocks of each call of a module that it made the first time."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call
        self.blocks: list[Blocks] = []

    def __call__(self, *args: Any) -> Any:
        token = _AGAIN.set(iter(self.blocks))
        try:
            return self.call(*args)
        finally:
            _AGAIN.reset(token)


def seen() -> Blocks:
    """The blocks that a call of a module sees: those entered, or where it is made again those of the first time."""
    first = next(_AGAIN.get() or iter(()), None)
    blocks = entered() if first is None else first
    for rerun in _checkpoints():
        rerun.blocks.append(blocks)
    return blocks


def _checkpoints() -> Iterator[Rerun]:
    """What the checkpoints that the present call is made in will call again."""
    for pack, _ in _hooks():
        for cell in getattr(pack, "__closure__", None) or ():
            frame = cell.cell_contents
            if isinstance(frame, checkpoint._CheckpointFrame):
                if not isinstance(frame.recompute_fn, Rerun):
                    frame.recompute_fn = Rerun(frame.recompute_fn)
                yield frame.recompute_fn


def _hooks() -> list[tuple[Any, Any]]:
    """The hooks that tensors saved for the backward pass go through, which can be looked at from the top only."""
    autograd = torch._C._autograd
    found: list[tuple[Any, Any]] = []
    while top := autograd._top_saved_tensors_default_hooks(True):
        found.append(top)
        autograd._pop_saved_tensors_default_hooks()
    for pack, unpack in reversed(found):
        autograd._push_saved_tensors_default_hooks(pack, unpack)
    return found
