"""Weights of convolutions as matrices, made once for each state of the weight."""

from __future__ import annotations

from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn


class _Kept(NamedTuple):
    weight: Tensor
    pointer: int
    version: int
    matrix: Tensor


_kept: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()
_lock = Lock()


def forget(module: nn.Module) -> None:
    """Give up what was made of a convolution's weight, which may have been written to without a trace."""
    with _lock:
        _kept.pop(module, None)


def matrix(conv: nn.Conv2d) -> Tensor:
    """The weight of an ungrouped convolution as (outputs, kernel rows · kernel columns · inputs)."""
    # Made under the lock: what is given up meanwhile in another thread is not kept after all.
    with _lock:
        weight = conv.weight
        version = 0 if weight.is_inference() else weight._version
        kept = _kept.get(conv)
        if (
            kept is None
            or kept.weight is not weight
            or kept.pointer != weight.data_ptr()
            or kept.version != version
            or weight.is_inference()
        ):
            with torch.inference_mode(False):
                made = weight.detach().permute(0, 2, 3, 1).reshape(conv.out_channels, -1).contiguous()
            kept = _kept[conv] = _Kept(weight, weight.data_ptr(), version, made)
        return kept.matrix
