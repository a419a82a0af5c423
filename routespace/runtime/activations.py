"""Gate activations: logits (N, K) → weights (N, K) and which routes are open (N, K).

`margin` of an activation is how far a logit is from deciding otherwise, (N, K); infinite where it cannot. One without
it decides at logit 0.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def margin(activation: nn.Module, logits: Tensor) -> Tensor:
    """Distance (N, K) of each logit from the point where its route would open or shut."""
    own = getattr(activation, "margin", None)
    found: Tensor = logits.abs() if own is None else own(logits)
    return found


def _never(logits: Tensor) -> Tensor:
    return torch.full_like(logits, math.inf)


class ReluTanh(nn.Module):
    """max(0, tanh(v)); open where v > 0, so that no underflow closes a route. NaN is open."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return F.relu(torch.tanh(logits)), ~(logits <= 0)


class GeReTanh(nn.Module):
    """max(0, (tanh(v - τ) + tanh τ) / (1 + tanh τ)); open where v > 0. Song et al., NeurIPS 2020, equation 3."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau, self.shift = tau, math.tanh(tau)

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return F.relu((torch.tanh(logits - self.tau) + self.shift) / (1 + self.shift)), ~(logits <= 0)


class Sigmoid(nn.Module):
    """Never closes, underflow included."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.sigmoid(logits), torch.ones_like(logits, dtype=torch.bool)

    def margin(self, logits: Tensor) -> Tensor:
        return _never(logits)


class Softmax(nn.Module):
    """softmax(v / T) over the routes; never closes."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.softmax(logits / self.temperature, 1), torch.ones_like(logits, dtype=torch.bool)

    def margin(self, logits: Tensor) -> Tensor:
        return _never(logits)


class Argmax(nn.Module):
    """One route with weight 1, the first of the largest; the gradient is that of softmax. NaN logits are all open."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        if logits.shape[0] == 0:
            return logits, torch.zeros_like(logits, dtype=torch.bool)
        soft = torch.softmax(logits, 1)
        hard = F.one_hot(logits.argmax(1), logits.shape[1]).movedim(-1, 1).to(soft)
        open_ = (hard > 0) | torch.isnan(logits)
        return hard + (soft - soft.detach()), open_

    def margin(self, logits: Tensor) -> Tensor:
        if logits.shape[1] < 2:
            return _never(logits)
        best = logits.topk(2, 1).values
        return (best[:, :1] - best[:, 1:]).expand_as(logits)


class Threshold(nn.Module):
    """1 where sigmoid(v) > `at`, else closed; the gradient is that of the sigmoid."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        soft = torch.sigmoid(logits)
        open_ = ~(soft <= self.at)
        return open_.to(soft) + (soft - soft.detach()), open_

    def margin(self, logits: Tensor) -> Tensor:
        at = min(max(self.at, 0.0), 1.0)
        return (logits - math.log(at / (1 - at))).abs() if 0 < at < 1 else _never(logits)


def relu_tanh() -> nn.Module:
    return ReluTanh()


def geretanh(tau: float) -> nn.Module:
    return GeReTanh(tau)


def sigmoid() -> nn.Module:
    return Sigmoid()


def softmax(temperature: float) -> nn.Module:
    return Softmax(temperature)


def argmax() -> nn.Module:
    return Argmax()


def threshold(at: float) -> nn.Module:
    return Threshold(at)
