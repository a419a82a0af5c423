"""Ops that run in float32 whatever stands around them: the last op of a gate's body, whose result is logits.

Logits near a decision would fall differently in reduced precision, and so would the routes of training and serving.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain

import torch
from torch import Tensor, nn


def wide(dtype: torch.dtype) -> torch.dtype:
    """float32, or float64 where that is given."""
    return torch.promote_types(dtype, torch.float32)


def unreduced(x: Tensor) -> AbstractContextManager[object]:
    """A block without autocast on the device of `x`."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def widened(op: nn.Module) -> nn.Module:
    """An op with parameters and buffers of at least float32: itself, or a twin that passes gradients on to it. A twin
    belongs to one call, since another thread may be in the op."""
    if all(wide(one.dtype) == one.dtype for one in _numbers(op)):
        return op
    twin = copy.copy(op)
    twin._modules = {name: None if part is None else widened(part) for name, part in op._modules.items()}
    twin._parameters = {name: _widened(one) for name, one in op._parameters.items()}  # type: ignore[misc]
    twin._buffers = {name: _widened(one) for name, one in op._buffers.items()}
    return twin


def give_back(twin: nn.Module, op: nn.Module) -> None:
    """Note what a twin counted in training, such as running statistics, in the op that it stood for."""
    if twin is op or not op.training:
        return
    with torch.no_grad():
        for own, counted in zip(op.buffers(), twin.buffers(), strict=True):
            own.copy_(counted)


def _widened(one: Tensor | None) -> Tensor | None:
    return one.to(wide(one.dtype)) if one is not None and one.is_floating_point() else one


def _numbers(op: nn.Module) -> Iterator[Tensor]:
    return (one for one in chain(op.parameters(), op.buffers()) if one.is_floating_point())
