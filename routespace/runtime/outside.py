"""Ops that were registered from outside: what is known of the positions they read."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

_NAME = "_demand_from_outside"


class Outside(NamedTuple):
    """What an op from outside says it reads for a position of its output: those in its `window` (kernel, stride,
    dilation, padding), or without one all of a map, whose size it `keeps` as far as is known."""

    window: tuple[int, int, int, int] | None
    keeps: bool

    @property
    def known(self) -> bool:
        """Whether single positions can be worked out through it."""
        return self.window is not None or self.keeps


def mark(module: nn.Module, outside: Outside) -> nn.Module:
    """`module` with a note of what it reads, which `outside_of` finds."""
    setattr(module, _NAME, outside)
    return module


def outside_of(module: nn.Module) -> Outside | None:
    """What a module says it reads that is an op from outside; None for the ops of this package."""
    found: Outside | None = getattr(module, _NAME, None)
    return found
