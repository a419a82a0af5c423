"""Maxima of equal values, whose gradient is anybody's choice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.graph.ir import Merge
from routespace.runtime.layers import MaxPool
from routespace.space.registry import MERGES
from routespace.testing.oracle import Oracle, OracleResult


def has_equal_maxima(result: OracleResult) -> bool:
    """Whether a maximum finds its largest value in several streams of an image at once, zeros of shut gates for one."""
    return any(
        _are_equal([stream for stream in streams if stream is not None])
        for value in result.graph.values
        if isinstance(value, Merge) and MERGES[value.kind].neutral == "minus_infinity"
        for streams in zip(*(result.streams[arg] for arg in value.args), strict=True)
    )


def _are_equal(streams: list[torch.Tensor]) -> bool:
    if len(streams) < 2:
        return False
    together = torch.stack(streams)
    return bool(((together == together.amax(0)).sum(0) > 1).any())


@contextmanager
def equal_in_pools(oracle: Oracle) -> Iterator[list[bool]]:
    """Within the block, whether each max pool that the oracle runs finds its largest value several times in a window.

    Where those are zeros behind a relu nobody notices, unless what was shut teaches a gate by the slope of each.
    """
    found: list[bool] = []

    def look(module: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(module, MaxPool)
        found.append(_ties(module, args[0]))

    handles = [one.register_forward_pre_hook(look) for one in oracle.modules.values() if isinstance(one, MaxPool)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _ties(pool: MaxPool, x: Tensor) -> bool:
    padded = F.pad(x.detach(), [pool.pad] * 4, value=-torch.inf)
    windows = F.unfold(padded, pool.kernel, pool.dilation, 0, pool.stride)
    windows = windows.view(x.shape[0], x.shape[1], pool.kernel**2, -1)
    return bool(((windows == windows.amax(2, keepdim=True)).sum(2) > 1).any())
