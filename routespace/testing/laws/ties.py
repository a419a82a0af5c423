"""Maxima of equal streams, whose gradient is anybody's choice."""

from __future__ import annotations

import torch

from routespace.graph.ir import Merge
from routespace.space.registry import MERGES
from routespace.testing.oracle import OracleResult


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
