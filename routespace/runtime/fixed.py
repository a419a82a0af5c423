"""The fixed form: a net, its gates gone. A stream is a tensor of the whole batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from routespace.runtime.fold import Plan
from routespace.runtime.frame import Frame
from routespace.runtime.merges import Merger

tally = "all"


class Apply(nn.Module):
    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, atoms: object) -> None:
        super().__init__()
        self.op, self.plan = op, Plan(targets)

    def forward(self, frame: Frame, x: Tensor) -> Tensor:
        return self.plan(self.op, frame)(x, frame)


class Gather(nn.Module):
    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, widths: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.op, self.plan = op, Plan(targets)

    def forward(self, frame: Frame, *streams: Tensor) -> Tensor:
        return self.plan(self.op, frame)(list(streams), frame)


class Merge(nn.Module):
    def __init__(
        self,
        merger: Merger,
        neutral: float,
        always: tuple[bool, bool],
        ordered: bool,
        widths: Sequence[tuple[str, int]],
        zeros: bool,
    ) -> None:
        super().__init__()
        self.merger = merger

    def forward(self, frame: Frame, *streams: Tensor) -> Tensor:
        return self.merger(streams)


class Blank(nn.Module):
    """Zeros of the size that the value called `name` has."""

    def __init__(self, channels: int, name: str) -> None:
        super().__init__()
        self.channels, self.name = channels, name

    def forward(self, frame: Frame) -> Tensor:
        size = frame.values[self.name]
        return torch.zeros(frame.batch, self.channels, *size, dtype=frame.dtype, device=frame.images.device)


class Sink(nn.Module):
    def __init__(self, name: str, channels: int) -> None:
        super().__init__()

    def forward(self, frame: Frame, x: Tensor) -> Tensor:
        return x


class Source(nn.Module):
    """The input called `name`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, frame: Frame) -> Tensor:
        given = frame.inputs[self.name]
        return given if torch.is_grad_enabled() else given.contiguous(memory_format=torch.channels_last)


def presence(frame: Frame, stream: Tensor) -> Tensor | None:
    return None
