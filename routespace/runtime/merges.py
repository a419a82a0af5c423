"""Merges of streams that are all there: lists of tensors of one batch → one tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Merger = Callable[[Sequence[Tensor]], Tensor]


def add() -> Merger:
    return total


def maximum() -> Merger:
    return _maximum


def concat() -> Merger:
    return _concat


def total(streams: Sequence[Tensor]) -> Tensor:
    if len(streams) == 1:
        return streams[0]
    found = streams[0] + streams[1]
    for stream in streams[2:]:
        found = found.add_(stream)
    return found


def add_up(terms: Sequence[tuple[Tensor, float, bool]]) -> Tensor:
    """Σ gain·value of terms (value, gain, own), without gradients; a value that is its own term's is written into."""
    first = next((place for place, (_, _, own) in enumerate(terms) if own), 0)
    found, gain, own = terms[first]
    if gain != 1.0:
        found, own = found.mul_(gain) if own else found * gain, True
    for place, (value, gain, _) in enumerate(terms):
        if place != first:
            found, own = found.add_(value, alpha=gain) if own else torch.add(found, value, alpha=gain), True
    return found


def _maximum(streams: Sequence[Tensor]) -> Tensor:
    found = streams[0]
    for stream in streams[1:]:
        found = torch.maximum(found, stream)
    return found


def _concat(streams: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(streams), 1)
