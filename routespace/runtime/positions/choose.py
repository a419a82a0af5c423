"""Which way to compute a convolution costs least, by rates measured beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from routespace.runtime.positions.kernels import Job, Kernel, dense, gathered
from routespace.runtime.positions.streams import Map, Rows

Chooser: TypeAlias = Callable[[Job], Kernel]
"""Says which kernel runs a job. One that knows of a native kernel returns that where it applies."""


class Rates(NamedTuple):
    """What both forms cost, in multiply-adds of an ungrouped dense convolution of many channels."""

    dense: float
    """A multiply-add of the dense form."""
    read: float
    """A value that the dense form reads for an output position and group."""
    multiply: float
    """A multiply-add of the gathered form."""
    gather: float
    """A value copied for an output position."""
    move: float
    """A value of a map laid out anew."""
    call: float
    """What a call of the gathered form costs beyond one of the dense form."""


PLAIN = Rates(dense=1.0, read=0.0, multiply=1.35, gather=28, move=60, call=2e7)
"""Ungrouped convolutions, float32 and bfloat16: measured with `benchmarks/sparse_conv.py` on 2 cores with AVX-512."""

GROUPED = Rates(dense=1.2, read=6.5, multiply=6.5, gather=50, move=60, call=6e7)
"""Grouped and depthwise convolutions, whose dense form waits for memory: gathering pays at few positions only."""


def measured(job: Job) -> Kernel:
    """The kernel that costs least by rates measured on a CPU; those of other devices are taken to be in proportion."""
    conv, makes, reads = job.conv, job.leaf.makes, job.leaf.reads
    rates = GROUPED if conv.groups > 1 else PLAIN
    multiplied, copied = job.taps * conv.out_channels, job.taps * conv.groups
    few = rates.call + makes.total * (multiplied * rates.multiply + copied * rates.gather)
    whole = makes.extent * (multiplied * rates.dense + copied * rates.read)
    if few > whole and isinstance(job.stream, Map):
        return dense
    few += reads.total * conv.in_channels * rates.move
    if isinstance(job.stream, Rows) and not reads.full:
        whole += reads.extent * conv.in_channels * rates.move
    return gathered if few < whole else dense


def exact(job: Job) -> Kernel:
    """The kernel that computes the positions asked for and no others."""
    return gathered
