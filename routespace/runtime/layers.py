"""Torch modules of the standard ops. Each factory takes the input channels and the op's arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.runtime.centre import near_means
from routespace.runtime.masked import batch_norm, chosen, group_norm
from routespace.runtime.running import by_running_statistics
from routespace.space.registry import ByMode
from routespace.space.shape import Stride

Sizes: TypeAlias = Mapping[Stride, tuple[int, int]]
_IMAGE = 1


def identity(inputs: tuple[int, ...]) -> nn.Module:
    return nn.Identity()


class Scale(nn.Module):
    """A stream times a constant."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def scale(inputs: tuple[int, ...], weight: float) -> nn.Module:
    return Scale(weight)


class Learned(nn.Module):
    """A stream times a number that is learned."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.start = start
        self.weight = nn.Parameter(torch.empty(1))

    def reset_parameters(self) -> None:
        nn.init.constant_(self.weight, self.start)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.to(x.dtype)


def learned(inputs: tuple[int, ...], start: float) -> nn.Module:
    return Learned(float(start))


def conv(
    inputs: tuple[int, ...],
    kernel: int,
    channels: int | None = None,
    stride: int = 1,
    pad: int | None = None,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> nn.Module:
    padding = dilation * (kernel - 1) // 2 if pad is None else pad
    return nn.Conv2d(inputs[0], channels or inputs[0], kernel, stride, padding, dilation, groups, bias)


def depthwise(
    inputs: tuple[int, ...],
    kernel: int,
    stride: int = 1,
    pad: int | None = None,
    dilation: int = 1,
    bias: bool = False,
) -> nn.Module:
    return conv(inputs, kernel, None, stride, pad, dilation, inputs[0], bias)


_COUNTED: ContextVar[Tensor | None] = ContextVar("counted", default=None)


@contextmanager
def counting(rows: Tensor | None) -> Iterator[None]:
    """Within the block, batch norms whose statistics are those of active images count these (N,) of what they get; None
    for all."""
    token = _COUNTED.set(None if rows is None or bool(rows.all()) else rows)
    try:
        yield
    finally:
        _COUNTED.reset(token)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that falls back on its running statistics where a batch has fewer than two values.

    `stats` says which images count in training: "all" that reach it, or the "active" ones that its gate lets in, which
    are those of `counting` where others are normalised with them.
    """

    def __init__(self, features: int, eps: float, momentum: float, stats: str) -> None:
        super().__init__(features, eps, momentum)
        self.stats = stats

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        some = chosen() if self.stats == "active" else None
        if some is not None:
            return batch_norm(self, x, some)
        counted = _COUNTED.get() if self.stats == "active" else None
        counts = x if counted is None else x[counted]
        if counts.shape[0] * counts.shape[2] * counts.shape[3] < 2:
            return by_running_statistics(self, x)
        made = super().forward(counts)
        return made if counted is None else self._with_others(x, counted, counts, made)

    def _with_others(self, x: Tensor, counted: Tensor, counts: Tensor, made: Tensor) -> Tensor:
        """All of `x`, normalised by the statistics of the images that count; of those it is `made`."""
        wide = torch.promote_types(x.dtype, torch.float32)
        variance, mean = torch.var_mean(counts.to(wide), (0, 2, 3), correction=0, keepdim=True)
        scale = self.weight.view(1, -1, 1, 1) * torch.rsqrt(variance + self.eps)
        others = ((x[~counted] - mean) * scale + self.bias.view(1, -1, 1, 1)).to(made.dtype)
        whole = torch.zeros_like(x, dtype=made.dtype)
        for images, values in ((counted, made), (~counted, others)):
            whole = whole.index_copy(0, images.nonzero().squeeze(1), values)
        return whole


def batchnorm(inputs: tuple[int, ...], eps: float, momentum: float, stats: str) -> nn.Module:
    return BatchNorm(inputs[0], eps, momentum, stats)


class GroupNorm(nn.GroupNorm):
    """Group normalisation; a single value has variance 0.

    Torch's CPU kernel for channels-last maps takes means and squares in one pass, which loses what deviates little
    from a large mean: it is given maps that were moved near zero. Inputs are laid out contiguously where a backward
    pass may follow, which that kernel gets wrong where the input needs no gradient.
    """

    def __init__(self, groups: int, channels: int, eps: float, stats: str | ByMode = "all") -> None:
        super().__init__(groups, channels, eps)
        self.by_mode = stats if isinstance(stats, ByMode) else ByMode(stats, stats)

    @property
    def stats(self) -> str:
        """Which positions of an image count behind a gate per position: "all", or the "active" ones."""
        return str(self.by_mode.training if self.training else self.by_mode.inference)

    def forward(self, x: Tensor) -> Tensor:
        some = chosen() if self.stats == "active" else None
        if some is not None:
            return group_norm(self, x, some)
        if torch.is_grad_enabled():
            x = x.contiguous()
        elif x.dim() == 4 and not x.is_contiguous():
            x = x - near_means(x, self.num_groups)
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def groupnorm(inputs: tuple[int, ...], groups: int, eps: float, stats: str | ByMode) -> nn.Module:
    return GroupNorm(groups, inputs[0], eps, stats)


def relu(inputs: tuple[int, ...]) -> nn.Module:
    return nn.ReLU()


def gelu(inputs: tuple[int, ...]) -> nn.Module:
    return nn.GELU()


def silu(inputs: tuple[int, ...]) -> nn.Module:
    return nn.SiLU()


def sigmoid(inputs: tuple[int, ...]) -> nn.Module:
    return nn.Sigmoid()


def tanh(inputs: tuple[int, ...]) -> nn.Module:
    return nn.Tanh()


class Mean(nn.Module):
    """Mean over positions: (N, C, H, W) → (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


def mean(inputs: tuple[int, ...]) -> nn.Module:
    return Mean()


def _window(kernel: int, pad: int | None, dilation: int) -> int:
    return dilation * (kernel - 1) // 2 if pad is None else pad


class MaxPool(nn.Module):
    """Maximum over a window; padding never wins."""

    def __init__(self, kernel: int, stride: int, pad: int, dilation: int) -> None:
        super().__init__()
        self.kernel, self.stride, self.pad, self.dilation = kernel, stride, pad, dilation

    def forward(self, x: Tensor) -> Tensor:
        pad = (self.pad,) * 4
        padded = F.pad(x, pad, value=float("-inf")) if self.pad else x
        return F.max_pool2d(padded, self.kernel, self.stride, 0, self.dilation)


def maxpool(
    inputs: tuple[int, ...], kernel: int, stride: int = 1, pad: int | None = None, dilation: int = 1
) -> nn.Module:
    return MaxPool(kernel, stride, _window(kernel, pad, dilation), dilation)


def avgpool(inputs: tuple[int, ...], kernel: int, stride: int = 1, pad: int | None = None) -> nn.Module:
    return nn.AvgPool2d(kernel, stride, _window(kernel, pad, 1), count_include_pad=False)


class ResizeTo(nn.Module):
    """Bilinear resize to the size that streams of a stride have."""

    def __init__(self, stride: Stride, corners: bool) -> None:
        super().__init__()
        self.stride, self.corners = stride, corners

    def forward(self, x: Tensor, sizes: Sizes) -> Tensor:
        return resample(x, sizes[self.stride], self.corners)


class ResizeBy(nn.Module):
    """Bilinear resize by a factor; at least one position is left."""

    def __init__(self, factor: Fraction, corners: bool) -> None:
        super().__init__()
        self.factor, self.corners = factor, corners

    def forward(self, x: Tensor, sizes: Sizes) -> Tensor:
        factor = float(self.factor)
        size = (max(1, int(x.shape[2] * self.factor)), max(1, int(x.shape[3] * self.factor)))
        if self.corners or min(x.shape[2] * factor, x.shape[3] * factor) < 1:
            return resample(x, size, self.corners)
        return rescale(x, size, (factor, factor))


def rescale(x: Tensor, size: tuple[int, int], factors: tuple[float, float]) -> Tensor:
    """Bilinear interpolation of (N, C, h, w) to `size`, at the places that factors of height and width give."""
    if size == (int(x.shape[2] * factors[0]), int(x.shape[3] * factors[1])):
        return F.interpolate(x, scale_factor=factors, mode="bilinear", align_corners=False)
    # torch takes the product with a rounded factor for the size, which may be one less
    return torch.ops.aten.upsample_bilinear2d.default(x, size, False, *factors)  # type: ignore[no-any-return]


def resample(x: Tensor, size: tuple[int, int], corners: bool = False) -> Tensor:
    """Bilinear interpolation of (N, C, h, w) to `size`; an equal size is kept."""
    if x.shape[2:] == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=corners)


def resize(inputs: tuple[int, ...], to: Stride | None, by: Any, corners: bool) -> nn.Module:
    if by is not None:
        return ResizeBy(Fraction(by), corners)
    assert to is not None
    return ResizeTo(to, corners)


class Ladder(nn.Module):
    """From the coarsest stream to the finest: add, 1x1 conv, norm, relu, resize to the next; then classes.

    Li et al., CVPR 2020, the decoder of the released code.
    """

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        widths = [width if step == 0 else width // 2 for step, width in enumerate(channels)]
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(wide, narrow, 1, bias=False), BatchNorm(narrow, 1e-5, 0.1, "all"), nn.ReLU())
            for wide, narrow in zip(channels, widths, strict=True)
        )
        self.predict = nn.Conv2d(channels[0], classes, 3, padding=1)

    def forward(self, streams: Sequence[Tensor], sizes: Sizes) -> Tensor:
        return climb(streams, list(self.steps), self.predict, sizes)


def climb(
    streams: Sequence[Tensor],
    steps: Sequence[Callable[[Tensor], Tensor]],
    predict: Callable[[Tensor], Tensor],
    sizes: Sizes,
) -> Tensor:
    """The way of a `Ladder` over its streams, with its steps and its prediction as given."""
    carried = steps[-1](streams[-1])
    for step, stream in zip(steps[-2::-1], streams[-2::-1], strict=True):
        carried = step(stream + resample(carried, (stream.shape[2], stream.shape[3])))
    return resample(predict(carried), sizes[_IMAGE])


def ladder_decoder(inputs: tuple[int, ...], classes: int) -> nn.Module:
    return Ladder(inputs, classes)
