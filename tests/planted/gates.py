"""Ten activations, each with one defect."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import routespace as rs


class Bad(nn.Module):
    """max(0, tanh(v)) with something changed by a subclass."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(torch.tanh(logits)), ~(logits <= 0)


@rs.activation("leaves_its_range", range=(0.0, 1.0), closes=True)
class LeavesItsRange(Bad):
    """Grows without bound above 3."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(torch.where(logits > 3, logits / 3, torch.tanh(logits))), ~(logits <= 0)


@rs.activation("closes_silently", range=(0.0, 1.0), closes=True)
class ClosesSilently(Bad):
    """A logit that is NaN shuts the route."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(torch.tanh(logits)), logits > 0


@rs.activation("shuts_late", range=(0.0, 1.0), closes=True)
class ShutsLate(Bad):
    """Weights below 0.02 are not quite nothing, and shut."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(torch.tanh(logits)), ~(logits <= 0.02)

    def margin(self, logits: Tensor) -> Tensor:
        return (logits - 0.02).abs()


@rs.activation("never_shuts", range=(0.0, 1.0), closes=True)
class NeverShuts(Bad):
    """Declares that it closes and gives 0 through an open route."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(torch.tanh(logits)), torch.ones_like(logits, dtype=torch.bool)


@rs.activation("opens_ties", range=(0.0, 1.0), closes=True, support="one", straight_through=True)
class OpensTies(nn.Module):
    """Opens every largest route where several are."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        if not len(logits):
            return logits, torch.zeros_like(logits, dtype=torch.bool)
        soft = torch.softmax(logits, 1)
        best = ~(logits < logits.amax(1, keepdim=True))
        return best.to(soft) + soft - soft.detach(), best

    def margin(self, logits: Tensor) -> Tensor:
        if logits.shape[1] < 2:
            return torch.full_like(logits, math.inf)
        best = logits.topk(2, 1).values
        return (best[:, :1] - best[:, 1:]).expand_as(logits)


@rs.activation("centres_the_batch", range=(0.0, 1.0), closes=True)
class CentresTheBatch(Bad):
    """Logits less their mean over the batch."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(logits - logits.mean(0, keepdim=True) if len(logits) else logits)


@rs.activation("noisy_in_training", range=(0.0, 1.0), closes=True)
class NoisyInTraining(Bad):
    """Adds noise in training and does not declare it."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(logits + 0.1 * torch.randn_like(logits) if self.training else logits)


@rs.activation("learns_nothing", range=(0.0, 1.0), closes=True)
class LearnsNothing(Bad):
    """The weight is detached from its logit."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(logits.detach())


@rs.activation("endless_slope", range=(0.0, 100.0), closes=True)
class EndlessSlope(Bad):
    """The root of what is shut is taken before it is selected away: its gradient is NaN."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.where(logits <= 0, 0.0, torch.sqrt(logits)), ~(logits <= 0)


@rs.activation(
    "cold", range=(0.0, 1.0), closes=False, support="all", parameters=(rs.Parameter("temperature", "number", 1.0),)
)
class Cold(nn.Module):
    """A softmax that overflows where it is cold, or its logits large."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        powers = torch.exp(logits / self.temperature)
        return powers / powers.sum(1, keepdim=True), torch.ones_like(logits, dtype=torch.bool)

    def margin(self, logits: Tensor) -> Tensor:
        return torch.full_like(logits, math.inf)
