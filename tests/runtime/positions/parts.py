"""Op trees, inputs and masks of the tests."""

from __future__ import annotations

from fractions import Fraction

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from routespace.runtime.layers import BatchNorm, GroupNorm, MaxPool, ResizeBy, ResizeTo
from routespace.runtime.merges import concat, maximum, total
from routespace.runtime.tree import BesideOp, ChainOp
from routespace.space.shape import Stride

TARGET: Stride = 2
SIZES = {TARGET: (7, 9)}


def chain(*parts: nn.Module) -> ChainOp:
    return ChainOp(parts, [isinstance(part, (ChainOp, BesideOp, ResizeTo, ResizeBy)) for part in parts])


def beside(merger: object, *parts: nn.Module) -> BesideOp:
    return BesideOp(parts, [isinstance(part, (ChainOp, BesideOp, ResizeTo, ResizeBy)) for part in parts], merger)  # type: ignore[arg-type]


def bottleneck(channels: int, stats: str = "active", groups: int = 2) -> ChainOp:
    def conv() -> nn.Conv2d:
        return nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    return chain(
        conv(),
        GroupNorm(groups, channels, 1e-5, stats),
        nn.ReLU(),
        conv(),
        GroupNorm(groups, channels, 1e-5, stats),
    )


def stirred(op: nn.Module, seed: int = 0) -> nn.Module:
    """The op in inference, with numbers of a size that rounding does not drown in."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in op.modules():
            if isinstance(part, nn.Conv2d):
                fan = part.weight[0].numel()
                part.weight.normal_(0, fan**-0.5, generator=generator)
                if part.bias is not None:
                    part.bias.normal_(0, 0.5, generator=generator)
            if isinstance(part, (nn.GroupNorm, nn.BatchNorm2d)):
                part.weight.uniform_(0.5, 1.5, generator=generator)
                part.bias.normal_(0, 0.3, generator=generator)
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(0, 0.2, generator=generator)
                part.running_var.uniform_(0.5, 2, generator=generator)
    return op.eval()


def maps(count: int, channels: int, size: tuple[int, int], seed: int = 1) -> Tensor:
    return torch.randn(count, channels, *size, generator=torch.Generator().manual_seed(seed))


def blobs(count: int, size: tuple[int, int], density: float, seed: int = 2) -> Tensor:
    """Masks (count, 1, *size) of connected patches that cover about `density` of each map."""
    noise = torch.rand(count, 1, *size, generator=torch.Generator().manual_seed(seed))
    smooth = nn.functional.avg_pool2d(noise, 9, 1, 4, count_include_pad=False).flatten(1)
    kept = round(density * size[0] * size[1])
    chosen = smooth.topk(kept, 1).indices
    return torch.zeros_like(smooth, dtype=torch.bool).scatter(1, chosen, True).view(count, 1, *size)


@st.composite
def masks(draw: st.DrawFn, count: int, size: tuple[int, int]) -> Tensor:
    """Masks (count, 1, *size); each image's is empty, full, of one position, or of any."""
    found = torch.zeros(count, 1, *size, dtype=torch.bool)
    for image in found:
        kind = draw(st.sampled_from(["empty", "one", "full", "any", "any"]))
        if kind == "one":
            image[0, draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))] = True
        elif kind == "full":
            image.fill_(True)
        elif kind == "any":
            generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
            image.copy_(torch.rand(image.shape, generator=generator) < draw(st.floats(0.02, 0.9)))
    return found


@st.composite
def leaf(draw: st.DrawFn, inputs: int, norms: bool = True) -> tuple[nn.Module, int]:
    """A leaf that keeps a map's size, and the channels it gives."""
    kinds = ["conv", "conv", "conv", "point", "maxpool", "avgpool", "batchnorm", "identity"]
    kind = draw(st.sampled_from([*kinds, "groupnorm"] if norms else kinds))
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (3, 1), (5, 3)]))
    dilation = draw(st.integers(1, 2))
    padding = tuple(dilation * (side - 1) // 2 for side in kernel)
    if kind == "conv":
        groups = draw(st.sampled_from([1, 2, inputs]))
        outputs = inputs if groups == inputs else draw(st.sampled_from([4, 6]))
        bias = draw(st.booleans())
        return nn.Conv2d(inputs, outputs, kernel, 1, padding, dilation, groups, bias), outputs  # type: ignore[arg-type]
    if kind == "point":
        acts = (nn.ReLU, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh)
        return draw(st.sampled_from(acts))(), inputs
    if kind == "maxpool":
        return MaxPool(3, 1, dilation, dilation), inputs
    if kind == "avgpool":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False), inputs
    if kind == "batchnorm":
        return BatchNorm(inputs, 1e-5, 0.1, "all"), inputs
    if kind == "groupnorm":
        return GroupNorm(2, inputs, 1e-5, draw(st.sampled_from(["all", "active"]))), inputs
    return nn.Identity(), inputs


@st.composite
def trees(draw: st.DrawFn, inputs: int = 4, norms: bool = True) -> nn.Module:
    """A chain of leaves, perhaps with a stride, a resize, or parts side by side."""
    parts: list[nn.Module] = []
    channels = inputs
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["leaf", "leaf", "leaf", "stride", "beside", "resize"]))
        if kind == "leaf":
            part, channels = draw(leaf(channels, norms))
        elif kind == "stride":
            kernel, pad = draw(st.sampled_from([(1, 0), (2, 1), (3, 1)]))
            part = nn.Conv2d(channels, channels, kernel, 2, pad, groups=draw(st.sampled_from([1, channels])))
        elif kind == "beside":
            one, width = draw(leaf(channels, norms))
            other = nn.Conv2d(channels, width, 1)
            merger = draw(st.sampled_from([total, maximum(), concat()]))
            part = beside(merger, chain(one, nn.ReLU()), other)
            channels = 2 * width if merger is concat() else width
        else:
            corners = draw(st.booleans())
            resizes = [ResizeTo(TARGET, corners), *(ResizeBy(Fraction(by), corners) for by in ("2", "1/2", "3/4"))]
            part = draw(st.sampled_from(resizes))
        parts.append(part)
    return stirred(chain(*parts), draw(st.integers(0, 100)))
