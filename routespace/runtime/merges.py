"""Merges of streams that are all there: lists of tensors of one batch → one tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Merger = Callable[[Sequence[Tensor]], Tensor]


def add() -> Merger:
    return _add


def maximum() -> Merger:
    return _maximum


def concat() -> Merger:
    return _concat


def _add(streams: Sequence[Tensor]) -> Tensor:
    if len(streams) == 1:
        return streams[0]
    total = streams[0] + streams[1]
    for stream in streams[2:]:
        total = total.add_(stream)
    return total


def _maximum(streams: Sequence[Tensor]) -> Tensor:
    total = streams[0]
    for stream in streams[1:]:
        total = torch.maximum(total, stream)
    return total


def _concat(streams: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(streams), 1)
