"""Which way to compute a convolution costs least, by rates measured beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from routespace.runtime.positions.kernels import Dense, Gathered, Job, Kernel
from routespace.runtime.positions.streams import Rows

Chooser = Callable[[Job], Kernel]
"""Says which kernel runs a job."""

DENSE, GATHERED = Dense(), Gathered()


class Rates(NamedTuple):
    """What the gathered form costs, in multiply-adds of the dense convolution."""

    multiply: float
    """A multiply-add."""
    gather: float
    """A value of the input copied for one output position."""
    move: float
    """A value of a map laid out anew."""
    call: float
    """The call itself."""


PLAIN = {
    ("cpu", torch.float32): Rates(multiply=1.2, gather=28, move=60, call=5e6),
    ("cpu", torch.bfloat16): Rates(multiply=1.5, gather=150, move=300, call=4e7),
}
"""Ungrouped convolutions, by device type and dtype; the nearest line stands for others."""

GROUPED = Rates(multiply=12.0, gather=60, move=60, call=5e6)


def rates_of(job: Job) -> Rates:
    if job.conv.groups > 1:
        return GROUPED
    device = job.stream.data.device.type
    low = job.stream.data.dtype in (torch.bfloat16, torch.float16)
    return PLAIN["cpu", torch.bfloat16 if low or device != "cpu" else torch.float32]


def measured(job: Job) -> Kernel:
    """The kernel that costs least, by the rates of the machine at hand."""
    rates, conv = rates_of(job), job.conv
    makes, reads = job.leaf.makes, job.leaf.reads
    work = job.taps * conv.out_channels
    gathered = makes.total * (work * rates.multiply + job.taps * conv.groups * rates.gather)
    gathered += rates.call + reads.total * conv.in_channels * rates.move
    dense: float = makes.extent * work
    if isinstance(job.stream, Rows) and not reads.full:
        dense += reads.extent * conv.in_channels * rates.move
    return GATHERED if gathered < dense else DENSE


def exact(job: Job) -> Kernel:
    """The kernel that computes the positions asked for and no others."""
    return GATHERED
