"""Inference plans of op trees: normalisation folded into convolutions, activations done in place.

A plan is derived from parameters and rebuilt when one of them changes; it is never saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.runtime.layers import BatchNorm, Sizes
from routespace.runtime.tree import BesideOp, ChainOp

Step = Callable[[Tensor, Sizes], Tensor]


class Plan:
    """Runs the op module it was made for with the numbers of its inference mode, on channels-last tensors.

    With gradients enabled, or in training, the module itself is run.
    """

    def __init__(self, op: nn.Module, targets: bool) -> None:
        self.op, self.targets = op, targets
        self.state: tuple[object, ...] | None = None
        self.steps: list[Step] = []
        self.fresh = makes_new(op)

    def __call__(self, x: Tensor, sizes: Sizes) -> Tensor:
        if torch.is_grad_enabled() or self.op.training:
            return self.op(x, sizes) if self.targets else self.op(x)  # type: ignore[no-any-return]
        state = fingerprint(self.op)
        if state != self.state:
            self.rebuild(state)
        for step in self.steps:
            x = step(x, sizes)
        return x

    def rebuild(self, state: tuple[object, ...]) -> None:
        with torch.no_grad():
            self.steps = list(_steps(self.op, self.targets, fresh=False))
        self.state = state

    def __deepcopy__(self, memo: dict[int, object]) -> Plan:
        from copy import deepcopy

        return Plan(deepcopy(self.op, memo), self.targets)


def fingerprint(module: nn.Module) -> tuple[object, ...]:
    """Identity and version of every tensor of `module`: another one whenever a tensor is replaced, moved or written."""
    found: list[object] = []
    for part in module.modules():
        for tensor in (*part._parameters.values(), *part._buffers.values()):
            if tensor is not None:
                found.append(tensor.data_ptr())
                found.append(-1 if tensor.is_inference() else tensor._version)
    return tuple(found)


def _steps(op: nn.Module, targets: bool, fresh: bool) -> Iterator[Step]:
    """Steps of an op; `fresh`: its input is nobody else's and may be overwritten."""
    if isinstance(op, ChainOp):
        yield from _chain(op, fresh)
    elif isinstance(op, BesideOp):
        yield _beside(op)
    elif isinstance(op, nn.Identity):
        return
    elif isinstance(op, (nn.Conv2d, BatchNorm, nn.ReLU)):
        yield from _fused([op], fresh)
    else:
        yield _call(op, targets)


def makes_new(op: nn.Module) -> bool:
    """Whether the result of an op is surely a tensor of its own, which may be written to."""
    if isinstance(op, ChainOp):
        last = [part for part in op.parts() if not isinstance(part, nn.Identity)][-1:]
        return bool(last) and makes_new(last[0])
    return isinstance(op, (nn.Conv2d, BatchNorm, nn.ReLU))


def _call(op: nn.Module, targets: bool) -> Step:
    if targets:
        return lambda x, sizes: op(x, sizes)
    return lambda x, sizes: op(x)


def _chain(op: ChainOp, fresh: bool) -> Iterator[Step]:
    parts = list(zip(op.parts(), op.targets, strict=True))
    place = 0
    while place < len(parts):
        part, targets = parts[place]
        run = [part]
        place += 1
        if isinstance(part, (nn.Conv2d, BatchNorm, nn.ReLU)):
            wanted: tuple[type[nn.Module], ...] = (BatchNorm, nn.ReLU) if not isinstance(part, nn.ReLU) else ()
            while place < len(parts) and wanted and isinstance(parts[place][0], wanted):
                run.append(parts[place][0])
                wanted = () if isinstance(run[-1], nn.ReLU) else (nn.ReLU,)
                place += 1
            yield from _fused(run, fresh)
            fresh = True
        elif not isinstance(part, nn.Identity):
            yield from _steps(part, targets, fresh)
            fresh = False


def _beside(op: BesideOp) -> Step:
    branches = [list(_steps(part, targets, fresh=False)) for part, targets in zip(op.parts(), op.targets, strict=True)]
    merger = op.merger

    def run(x: Tensor, sizes: Sizes) -> Tensor:
        results: list[Tensor] = []
        for branch in branches:
            y = x
            for step in branch:
                y = step(y, sizes)
            results.append(y)
        return merger(results)

    return run


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


def scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
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
