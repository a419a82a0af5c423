"""Inference plans of op trees: normalisation folded into convolutions, activations and sums done in place.

A plan is derived from an op, which is run itself where it is more than its parameters; it is never saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.runtime.frame import Frame
from routespace.runtime.layers import BatchNorm, Ladder, ResizeBy, ResizeTo, Sizes, climb
from routespace.runtime.merges import add_up, total
from routespace.runtime.precise import unreduced, wide, widened
from routespace.runtime.tree import BesideOp, ChainOp, is_deciding, run
from routespace.runtime.watch import Kept

Step = Callable[[Any, Sizes], Tensor]


class Whole:
    """The way of an op that is run as it stands."""

    folded = fresh = shares = narrows = False

    def __init__(self, op: nn.Module, targets: bool) -> None:
        self.op, self.targets = op, targets

    def __call__(self, x: Any, frame: Frame) -> Tensor:
        return run(self.op, x, frame.sizes, self.targets)


class Folded:
    """The way of an op through its inference mode, on channels-last tensors.

    `fresh` tells that a result is surely a tensor of its own; `narrows` that the op ends in resizing what it made, so
    that a gain costs less before than behind; `shares` that it begins with a relu of its own, which others may share.
    """

    folded = True

    def __init__(self, targets: bool, op: nn.Module) -> None:
        parts = _solid(op)
        tail = len(parts)
        while tail and isinstance(parts[tail - 1], (ResizeBy, ResizeTo)):
            tail -= 1
        self.wide = len(parts) - tail
        self.shares = bool(parts) and type(parts[0]) is nn.ReLU and all(map(_keeps_input, parts[1:2]))
        self.fresh = len(parts) > self.shares and makes_new(parts[-1])
        self.narrows = self.wide > 0 and tail > self.shares and makes_new(parts[tail - 1])
        self.steps = list(_steps(op, targets, fresh=False))[self.shares :]

    def __call__(self, x: Any, frame: Frame, gain: float | None = None) -> Tensor:
        """The op's result; times `gain` where it `narrows`."""
        if self.shares:
            x = frame.rectified(x)
        for place, step in enumerate(self.steps):
            if gain is not None and place == len(self.steps) - self.wide:
                x = x.mul_(gain)
            x = step(x, frame.sizes)
        return x  # type: ignore[no-any-return]


Way: TypeAlias = Folded | Whole
"""What runs an op in a call."""


class Plan:
    """The ways of one op, which is called with the sizes of the frame if `targets`."""

    def __init__(self, targets: bool) -> None:
        self.targets = targets
        self.kept = Kept(partial(Folded, targets))

    def __call__(self, op: nn.Module, frame: Frame) -> Way:
        """How `op` is run in this call: as it stands where gradients are recorded, in training, and where it is more
        than its parameters."""
        return self.kept.get(op, frame) or Whole(op, self.targets)


def _solid(op: nn.Module) -> list[nn.Module]:
    """The parts that an op runs one after the other; identities are none."""
    if isinstance(op, ChainOp):
        return [solid for part in op.parts() for solid in _solid(part)]
    return [] if isinstance(op, nn.Identity) else [op]


def _keeps_input(op: nn.Module) -> bool:
    """Whether an op surely leaves its input as it is; one that was registered from outside may write into it."""
    return type(op) in (nn.Conv2d, BatchNorm, ResizeBy, ResizeTo)


def makes_new(op: nn.Module) -> bool:
    """Whether the result of an op is surely a tensor of its own, which may be written to."""
    if isinstance(op, ChainOp):
        parts = _solid(op)
        return bool(parts) and makes_new(parts[-1])
    if isinstance(op, BesideOp):
        return op.merger is total and len(op.parts()) > 1
    return type(op) in (nn.Conv2d, BatchNorm, nn.ReLU, Ladder)


def _steps(op: nn.Module, targets: bool, fresh: bool) -> Iterator[Step]:
    """Steps of an op; `fresh`: its input is nobody else's and may be overwritten."""
    if is_deciding(op) and not isinstance(op, ChainOp):
        yield _precise(op, targets)
    else:
        yield from _plain(op, targets, fresh)


def _precise(op: nn.Module, targets: bool) -> Step:
    """An op that runs in float32."""
    steps = list(_plain(widened(op), targets, fresh=False))

    def run(x: Tensor, sizes: Sizes) -> Tensor:
        with unreduced(x):
            x = x.to(wide(x.dtype))
            for step in steps:
                x = step(x, sizes)
            return x

    return run


def _plain(op: nn.Module, targets: bool, fresh: bool) -> Iterator[Step]:
    if isinstance(op, ChainOp):
        yield from _chain(op, fresh)
    elif isinstance(op, BesideOp):
        yield _beside(op)
    elif isinstance(op, Ladder):
        yield _ladder(op)
    elif isinstance(op, nn.Identity):
        return
    elif _is_fused(op):
        yield from _fused([op], fresh)
    else:
        yield _call(op, targets)


def _is_fused(op: nn.Module) -> bool:
    """Whether an op is a step by its numbers alone. Classes of others that extend these may do more in `forward`."""
    return type(op) in (BatchNorm, nn.ReLU) or (type(op) is nn.Conv2d and op.padding_mode == "zeros")


def _call(op: nn.Module, targets: bool) -> Step:
    if targets:
        return lambda x, sizes: op(x, sizes)
    return lambda x, sizes: op(x)


def _chain(op: ChainOp, fresh: bool) -> Iterator[Step]:
    parts = list(zip(op.parts(), op.targets, strict=True))
    last = parts[len(parts) - is_deciding(op) :]
    del parts[len(parts) - is_deciding(op) :]
    place = 0
    while place < len(parts):
        part, targets = parts[place]
        run = [part]
        place += 1
        if _is_fused(part):
            wanted: tuple[type[nn.Module], ...] = (BatchNorm, nn.ReLU) if not isinstance(part, nn.ReLU) else ()
            while place < len(parts) and type(parts[place][0]) in wanted:
                run.append(parts[place][0])
                wanted = () if isinstance(run[-1], nn.ReLU) else (nn.ReLU,)
                place += 1
            yield from _fused(run, fresh)
            fresh = True
        elif not isinstance(part, nn.Identity):
            yield from _steps(part, targets, fresh)
            fresh = makes_new(part)
    for part, targets in last:
        yield _precise(part, targets)


def _beside(op: BesideOp) -> Step:
    parts = op.parts()
    branches = [list(_steps(part, targets, fresh=False)) for part, targets in zip(parts, op.targets, strict=True)]
    owns = [makes_new(part) for part in parts]
    merger = op.merger

    def run(x: Tensor, sizes: Sizes) -> Tensor:
        results: list[Tensor] = []
        for branch in branches:
            y = x
            for step in branch:
                y = step(y, sizes)
            results.append(y)
        if merger is total:
            return add_up([(y, 1.0, own) for y, own in zip(results, owns, strict=True)])
        return merger(results)

    return run


def _ladder(op: Ladder) -> Step:
    def folded(parts: list[nn.Module]) -> Callable[[Tensor], Tensor]:
        (step,) = _fused(parts, fresh=False)
        return lambda x: step(x, {})

    steps = [folded(list(step.children())) for step in op.steps]
    predict = folded([op.predict])
    return lambda streams, sizes: climb(streams, steps, predict, sizes)


def _fused(parts: list[nn.Module], fresh: bool) -> Iterator[Step]:
    """A convolution with the norm and the relu behind it; a norm or relu alone."""
    relu = isinstance(parts[-1], nn.ReLU)
    conv = parts[0] if isinstance(parts[0], nn.Conv2d) else None
    norm = next((part for part in parts if isinstance(part, BatchNorm)), None)
    if conv is not None:
        yield _conv(conv, norm, relu)
    elif norm is not None:
        yield _affine(norm, relu)
    else:
        yield (lambda x, sizes: F.relu_(x)) if fresh else (lambda x, sizes: F.relu(x))


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The affine map that a batch norm is in inference, per channel."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias


def _conv(conv: nn.Conv2d, norm: BatchNorm | None, relu: bool) -> Step:
    weight, bias = conv.weight, conv.bias
    if norm is not None:
        scale, shift = scale_and_shift(norm)
        weight = (weight * scale.view(-1, 1, 1, 1)).to(conv.weight.dtype)
        bias = (shift if bias is None else shift + bias * scale).to(conv.weight.dtype)
    weight = weight.detach().contiguous(memory_format=torch.channels_last)
    bias = None if bias is None else bias.detach()
    stride, padding, dilation, groups = conv.stride, conv.padding, conv.dilation, conv.groups

    def run(x: Tensor, sizes: Sizes) -> Tensor:
        y = F.conv2d(x, weight, bias, stride, padding, dilation, groups)
        return F.relu_(y) if relu else y

    return run


def _affine(norm: BatchNorm, relu: bool) -> Step:
    scale, shift = scale_and_shift(norm)
    scale, shift = scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1)

    def run(x: Tensor, sizes: Sizes) -> Tensor:
        y = torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype))
        return F.relu_(y) if relu else y

    return run
