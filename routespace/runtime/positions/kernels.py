"""Ways to compute a convolution at active positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.runtime.packed import matrix
from routespace.runtime.positions.geometry import Window
from routespace.runtime.positions.needs import Leaf
from routespace.runtime.positions.places import Places
from routespace.runtime.positions.streams import Map, Rows, Stream, at, padded, patches, spread


class Job(NamedTuple):
    """A convolution at the positions `leaf.makes`, from a stream that holds `leaf.reads`."""

    conv: nn.Conv2d
    window: Window
    leaf: Leaf
    stream: Stream

    @property
    def taps(self) -> int:
        """Multiply-adds for one channel of an output position, or the values read for it."""
        return self.window.kernel[0] * self.window.kernel[1] * self.conv.in_channels // self.conv.groups


Kernel: TypeAlias = Callable[[Job], Stream]
"""A way to run a job: gives rows at `job.leaf.makes`, or whole maps that are right there and may be written into."""


def dense(job: Job) -> Map:
    """The whole map."""
    conv, x = job.conv, spread(job.stream).data
    return Map(F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups), own=True)


def gathered(job: Job) -> Rows:
    """The positions asked for and no others: what their windows read is copied side by side, a piece of the positions
    at a time, and multiplied by the weight as a matrix.
    """
    conv, makes, reads = job.conv, job.leaf.makes, job.leaf.reads
    out = job.stream.data.new_empty(makes.total, conv.out_channels)
    if job.window.kernel == (1, 1) and job.window.padding == (0, 0):
        rows = at(job.stream, reads).data[:, None, None]
        for piece in pieces(makes.total, rows[:1]):
            _multiply(conv, rows[piece], out[piece])
        return Rows(out, makes, own=True)
    lines = padded(job.stream, reads, job.window, 0.0)
    starts = makes.starts(job.window, reads.size)
    patch = lines.new_empty(1, *job.window.kernel, conv.in_channels)
    room: Tensor | None = None
    for piece in pieces(makes.total, patch):
        part = starts[piece]
        room = patch.new_empty(len(part), *patch.shape[1:]) if room is None else room
        read = room[: len(part)]
        patches(lines, job.window, part.reshape(-1), read)
        _multiply(conv, read, out[piece])
    return Rows(out, makes, own=True)


WHOLE, WIDE = (2048, 1024, 512), 32
"""Positions of whole pieces on a CPU, and the columns of the map they are laid out as."""


def pieces(total: int, patch: Tensor) -> Iterator[slice]:
    """Pieces of `total` positions to be worked on at a time, the largest first: as many as memory holds on a GPU; on a
    CPU whole ones as far as they go and as a cache holds them, and then the rest.
    """
    size = patch.numel() * patch.element_size()
    lengths = (max(1, 2**29 // size),) if patch.is_cuda else [k for k in WHOLE if k * size <= 2**26] or (64,)
    first = 0
    for length in lengths:
        while total - first >= length:
            yield slice(first, first + length)
            first += length
    if first < total:
        yield slice(first, total)


def _multiply(conv: nn.Conv2d, read: Tensor, out: Tensor) -> None:
    """`out` (k, outputs) from the patches (k, kernel rows, kernel columns, inputs) of a convolution.

    Whole pieces on a CPU go through oneDNN, whose convolutions multiply faster than BLAS once they are compiled for a
    shape; other counts of positions would be compiled anew for every mask.
    """
    if conv.groups > 1:
        out.copy_(F.conv2d(read.permute(0, 3, 1, 2), conv.weight, conv.bias, groups=conv.groups).view(out.shape))
    elif len(read) in WHOLE and not read.is_cuda:
        image = read.view(1, len(read) // WIDE, WIDE, -1).permute(0, 3, 1, 2)
        y = F.conv2d(image, matrix(conv)[:, :, None, None], conv.bias)
        out.copy_(y.permute(0, 2, 3, 1).reshape(out.shape))
    elif conv.bias is None:
        torch.mm(read.view(len(read), -1), matrix(conv).t(), out=out)
    else:
        torch.addmm(conv.bias, read.view(len(read), -1), matrix(conv).t(), out=out)


def pooled(leaf: Leaf, window: Window, stream: Stream) -> Rows:
    """A pool at `leaf.makes`: the maximum, or the mean of the positions that exist."""
    makes, largest = leaf.makes, not isinstance(leaf.op, nn.AvgPool2d)
    lines = padded(stream, leaf.reads, window, float("-inf") if largest else 0.0)
    starts = makes.starts(window, leaf.reads.size)
    read = lines.new_empty(makes.total, window.kernel[0] * window.kernel[1], lines.shape[1])
    patches(lines, window, starts.reshape(-1), read)
    if largest:
        return Rows(read.amax(1), makes, own=True)
    return Rows(read.sum(1) / _existing(makes, window, leaf.reads)[:, None].to(read.dtype), makes, own=True)


def _existing(makes: Places, window: Window, reads: Places) -> Tensor:
    """How many positions (K,) of the map the window of each output covers."""
    _, *corner = makes.corner
    found = torch.ones_like(makes.index)
    for first, length, k, s, p, d in zip(corner, reads.size, *window, strict=True):
        taps = (first * s - p)[:, None] + torch.arange(k, device=first.device) * d
        found = found * ((taps >= 0) & (taps < length)).sum(1)
    return found
