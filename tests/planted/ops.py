"""Ten ops, each with one defect."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import routespace as rs
from routespace.space.shape import Cost, Shape


class Op(nn.Module):
    """A factory made of a class: `inputs` are the channels."""

    def __init__(self, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = inputs[0]


@rs.op("centred")
class Centred(Op):
    """Takes the mean over the batch away, and declares no statistics of it."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True) if len(x) else x


@rs.op("in_place")
class InPlace(Op):
    """Writes into what it reads."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp_(-1, 1)


@rs.op("dropping")
class Dropping(Op):
    """Drops out in training and does not declare it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, self.training)


@rs.op("counting")
class Counting(Op):
    """Remembers how often it was called."""

    def __init__(self, inputs: tuple[int, ...]) -> None:
        super().__init__(inputs)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


@rs.op("hiding", cost=lambda args, inputs, output: Cost(macs=inputs[0].channels * output.elements))
class Hiding(Op):
    """Its weights are no parameters: no state dict has them."""

    def __init__(self, inputs: tuple[int, ...]) -> None:
        super().__init__(inputs)
        self.weights = [torch.randn(self.channels, self.channels, 1, 1)]

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weights[0].to(x.dtype))


@rs.op("cheap", cost=lambda args, inputs, output: Cost(macs=output.elements))
class Cheap(Op):
    """Declares a ninth of its multiply-adds and less."""

    def __init__(self, inputs: tuple[int, ...]) -> None:
        super().__init__(inputs)
        self.conv = nn.Conv2d(self.channels, self.channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


@rs.op("far_sighted", window=lambda args: (3, 1, 1, 1))
class FarSighted(Op):
    """Declares a window of 3 and sees 5."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 5, 1, 2)


def _halved(args: object, inputs: tuple[Shape, ...]) -> Shape:
    (x,) = inputs
    return Shape(x.channels, x.stride * 2, -(-x.height // 2), -(-x.width // 2))


@rs.op("rounding_down", shape=_halved)
class RoundingDown(Op):
    """Declares sizes rounded up and rounds down."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2, 2, ceil_mode=False) if min(x.shape[2:]) > 1 else x


@rs.op("precise")
class Precise(Op):
    """Computes in float32 whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(x.float())


@rs.op("stopping")
class Stopping(Op):
    """No gradient comes through."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x).detach()
