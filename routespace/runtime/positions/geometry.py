"""What positions of its input an op reads for positions of its output, and what size it gives."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.layers import Learned, MaxPool, Mean, ResizeBy, ResizeTo, Scale, Sizes, resample, rescale
from routespace.runtime.outside import outside_of
from routespace.runtime.tree import BesideOp, ChainOp

Size = tuple[int, int]

POINTWISE = (nn.Identity, nn.ReLU, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh, Scale, Learned, nn.BatchNorm2d)
"""Ops whose output at a position depends on that position alone (norms: with the statistics of inference)."""


class Window(NamedTuple):
    """A window that slides over a zero-padded map; (vertical, horizontal) each."""

    kernel: Size
    stride: Size
    padding: Size
    dilation: Size

    @property
    def aligned(self) -> bool:
        """Whether it reads the position that it makes, and no other."""
        return self.kernel == self.stride == (1, 1) and self.padding == (0, 0)

    def size_after(self, size: Size) -> Size:
        """Positions of the output, per side."""
        spans = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        high, wide = (
            (length + 2 * pad - span) // step + 1
            for length, pad, span, step in zip(size, self.padding, spans, self.stride, strict=True)
        )
        return high, wide

    def grow(self, mask: Tensor, size: Size) -> Tensor:
        """Positions (N, 1, *size) of the input that some position of `mask` (N, 1, H', W') reads."""
        if self.aligned:
            return mask
        for axis, (length, k, s, p, d) in enumerate(zip(size, *self, strict=True), start=2):
            outputs = mask.shape[axis]
            shape = list(mask.shape)
            shape[axis] = length + 2 * p
            reached = mask.new_zeros(shape)
            for tap in range(k):
                reads = slice(tap * d, tap * d + s * (outputs - 1) + 1, s)
                reached[(slice(None),) * axis + (reads,)] |= mask
            mask = reached.narrow(axis, p, length)
        return mask


def window_of(leaf: nn.Module) -> Window | None:
    """The window of a convolution or a pool, or that an op from outside declares; None for other leaves.

    TypeError for windows that are not read here.
    """
    outside = outside_of(leaf)
    if outside is not None:
        if outside.window is None:
            return None
        kernel, stride, dilation, padding = outside.window
        return Window(_pair(kernel), _pair(stride), _pair(padding), _pair(dilation))
    if isinstance(leaf, nn.Conv2d):
        if isinstance(leaf.padding, str) or leaf.padding_mode != "zeros":
            raise TypeError(f"{leaf}: only convolutions with a number of zeros as padding run on positions")
        return Window(_pair(leaf.kernel_size), _pair(leaf.stride), _pair(leaf.padding), _pair(leaf.dilation))
    if isinstance(leaf, MaxPool):
        return Window(_pair(leaf.kernel), _pair(leaf.stride), _pair(leaf.pad), _pair(leaf.dilation))
    if isinstance(leaf, nn.AvgPool2d):
        if leaf.ceil_mode or leaf.count_include_pad or leaf.divisor_override:
            raise TypeError(f"{leaf}: only averages of the positions that exist run on positions")
        return Window(_pair(leaf.kernel_size), _pair(leaf.stride), _pair(leaf.padding), (1, 1))
    return None


def is_aligned(conv: nn.Conv2d) -> bool:
    """Whether a convolution reads the positions that it makes, and no others."""
    window = window_of(conv)
    return window is not None and window.aligned


def _pair(value: int | tuple[int, ...]) -> Size:
    if isinstance(value, int):
        return value, value
    high, wide = value
    return high, wide


def leaves(op: nn.Module) -> Iterator[nn.Module]:
    """Leaves of an op tree in the order they run."""
    if isinstance(op, (ChainOp, BesideOp)):
        for part in op.parts():
            yield from leaves(part)
    else:
        yield op


def size_after(op: nn.Module, size: Size, sizes: Sizes) -> Size:
    """Positions of the output of an op on a map of `size`; TypeError for leaves whose demand is not known."""
    if isinstance(op, ChainOp):
        for part in op.parts():
            size = size_after(part, size, sizes)
        return size
    if isinstance(op, BesideOp):
        found = {size_after(part, size, sizes) for part in op.parts()}
        if len(found) != 1:
            raise TypeError(f"parts side by side give maps of different sizes: {sorted(found)}")
        return found.pop()
    window = window_of(op)
    if window is not None:
        return window.size_after(size)
    outside = outside_of(op)
    if outside.keeps if outside is not None else isinstance(op, (nn.GroupNorm, *POINTWISE)):
        return size
    if isinstance(op, Mean):
        return 1, 1
    if isinstance(op, ResizeTo):
        return sizes[op.stride]
    if isinstance(op, ResizeBy):
        high, wide = (max(1, int(length * op.factor)) for length in size)
        return high, wide
    raise TypeError(f"{type(op).__name__} declares no demand: it cannot run on positions")


def none_of(op: nn.Module, x: Tensor, sizes: Sizes) -> Tensor:
    """What an op makes of a batch x (0, C, H, W) of no maps; only ops from outside are called for it."""
    if isinstance(op, ChainOp):
        for part in op.parts():
            x = none_of(part, x, sizes)
        return x
    if isinstance(op, BesideOp):
        return op.merger([none_of(part, x, sizes) for part in op.parts()])
    if outside_of(op) is not None:
        return op(x)  # type: ignore[no-any-return]
    channels = op.out_channels if isinstance(op, nn.Conv2d) else x.shape[1]
    return x.new_empty(0, channels, *size_after(op, (x.shape[2], x.shape[3]), sizes))


def grow(leaf: nn.Module, mask: Tensor, size: Size) -> Tensor:
    """Positions (N, 1, *size) of its input that a leaf reads for the outputs in `mask`.

    A leaf that reads a whole map (statistics over all positions, a mean) reads it for images with some output only; a
    batch norm that takes its statistics from all of the batch reads all of it.
    """
    window = window_of(leaf)
    if window is not None:
        return window.grow(mask, size)
    if outside_of(leaf) is not None:
        return _everywhere(mask, size)
    if isinstance(leaf, nn.BatchNorm2d) and leaf.training and statistics(leaf) == "all":
        return torch.ones_like(mask)
    if isinstance(leaf, Mean) or (isinstance(leaf, nn.GroupNorm) and statistics(leaf) == "all"):
        return _everywhere(mask, size)
    if isinstance(leaf, (ResizeTo, ResizeBy)):
        factor = leaf.factor if isinstance(leaf, ResizeBy) else None
        made = (mask.shape[2], mask.shape[3])
        rows, columns = (one.to(mask.device) for one in lies_between(size, made, factor, leaf.corners))
        mask = (mask[..., None, :] & rows[..., None]).any(2)
        return (mask[..., None] & columns).any(3)
    return mask


def _everywhere(mask: Tensor, size: Size) -> Tensor:
    """All positions of the images that have some in `mask`."""
    return mask.flatten(1).any(1).view(-1, 1, 1, 1).expand(-1, 1, *size)


def lies_between(size: Size, made: Size, by: Fraction | None, corners: bool) -> tuple[Tensor, Tensor]:
    """Which rows and which columns of a map of `size` those of one of `made` size are interpolated from, each
    (wanted, given) bool; `by` a factor, if it is that which decides."""
    factor = float(by) if by is not None and not corners and min(size) * float(by) >= 1 else None
    rows, columns = (_reads(given, wanted, factor, corners) for given, wanted in zip(size, made, strict=True))
    return rows, columns


def _reads(length: int, wanted: int, factor: float | None, corners: bool) -> Tensor:
    """Which of `length` positions each of `wanted` interpolated ones reads: (wanted, length) bool."""
    line = torch.eye(length).view(1, length, length, 1)
    size = (wanted, 1)
    found = resample(line, size, corners) if factor is None else rescale(line, size, (factor, 1.0))
    return found.view(length, wanted).t() != 0


def statistics(norm: nn.Module) -> str:
    """Over which positions a norm takes its statistics: "all" of the map, or the "active" ones."""
    return str(getattr(norm, "stats", "all"))
