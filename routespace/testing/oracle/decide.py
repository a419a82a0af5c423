"""Gates as the oracle reads them: logits of one image to weights, openness and margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from routespace.graph.ir import Gate
from routespace.space.registry import ACTIVATIONS
from routespace.testing.oracle.factories import made


@dataclass(frozen=True)
class Decision:
    """What a gate says about one image: weights (K,), which routes are open, and whether the image is closed.

    Weights are 0 where no route is open, or where they sum to less than a declared ε: then all are. `margin` is how far
    the logits (or, for a declared ε, the sum of the weights) are from another decision.
    """

    logits: Tensor
    weights: Tensor
    open: tuple[bool, ...]
    closed: bool
    margin: float
    forced: bool = False

    def is_open(self, index: int) -> bool:
        """Whether route `index` delivers its weighted value."""
        return not self.closed and self.open[index]

    def share(self, index: int) -> Tensor:
        """The weight of a route."""
        return self.weights[index]


def decide(gate: Gate, logits: Tensor, training: bool = False) -> Decision:
    """The decision of `gate` for the logits (K,) of one image.

    An activation that the oracle does not know is asked itself; what it declares is a matter of other laws.
    """
    args = dict(gate.activation_args)
    margins: list[float] = []
    match gate.activation:
        case "relu_tanh":
            weights = torch.clamp(torch.tanh(logits), min=0)
            opened = [not v <= 0 for v in logits.tolist()]
            margins = [abs(v) for v in logits.tolist()]
        case "geretanh":
            weights = geretanh(logits, float(args["tau"]))
            opened = [not v <= 0 for v in logits.tolist()]
            margins = [abs(v) for v in logits.tolist()]
        case "sigmoid":
            weights = sigmoid(logits)
            opened = [True] * len(logits)
        case "softmax":
            weights = _softmax(logits / float(args["temperature"]))
            opened = [True] * len(logits)
        case "argmax":
            weights, opened, margins = _argmax(logits)
        case "threshold":
            chance = sigmoid(logits)
            opened = [not v <= float(args["at"]) for v in chance.tolist()]
            weights = straight_through(torch.tensor(opened), chance)
            margins = [abs(v - float(args["at"])) for v in chance.tolist()]
        case _:
            weights, opened, margins = _registered(gate, logits, training)
    return _settled(gate, logits, weights, tuple(opened), margins, forced=False, sloping=slopes(gate, training))


def decide_forced(gate: Gate, weights: Tensor) -> Decision:
    """The decision that given weights (K,) stand for: a route is open where its weight is not 0 or less."""
    opened = tuple(not v <= 0 for v in weights.tolist())
    return _settled(gate, torch.full_like(weights, math.nan), weights, opened, [], forced=True)


def _settled(
    gate: Gate,
    logits: Tensor,
    weights: Tensor,
    opened: tuple[bool, ...],
    margins: list[float],
    forced: bool,
    sloping: bool = False,
) -> Decision:
    total = sum(weight for weight, one in zip(weights.tolist(), opened, strict=True) if one)
    closed = not any(opened) or total < gate.below
    if gate.below > 0 and any(opened):
        margins = [*margins, abs(total - gate.below)]
    shut = weights - weights.detach() if sloping else torch.zeros_like(weights)
    delivered = torch.where(torch.tensor([one and not closed for one in opened]), weights, shut)
    return Decision(logits, delivered, opened, closed, min(margins, default=math.inf), forced)


def slopes(gate: Gate, training: bool) -> bool:
    """Whether weights of shut routes have a slope."""
    return training and (gate.gradient == "all" or ACTIVATIONS[gate.activation].straight_through)


def sigmoid(logits: Tensor) -> Tensor:
    """1 / (1 + e^-s), with a gradient where e^-s is too large for a number."""
    return 1 / (1 + torch.exp(-logits.clamp(min=-700)))


def geretanh(logits: Tensor, tau: float) -> Tensor:
    """Song et al., NeurIPS 2020: max(0, (tanh(v - τ) + tanh τ) / (1 + tanh τ))."""
    shifted = (torch.tanh(logits - tau) + math.tanh(tau)) / (1 + math.tanh(tau))
    return torch.where(logits <= 0, torch.zeros_like(shifted), shifted)


def _softmax(logits: Tensor) -> Tensor:
    powers = torch.exp(logits - logits.max().detach())
    return powers / powers.sum()


def _argmax(logits: Tensor) -> tuple[Tensor, list[bool], list[float]]:
    """The first largest is open with weight 1; NaN logits are open too. Gradient of the softmax."""
    values = logits.tolist()
    bad = [math.isnan(v) for v in values]
    best = bad.index(True) if any(bad) else values.index(max(values))
    opened = [place == best or bad[place] for place in range(len(values))]
    others = [v for place, v in enumerate(values) if place != best]
    margins = [values[best] - max(others)] if others else []
    weights = straight_through(torch.tensor([place == best for place in range(len(values))]), _softmax(logits))
    return weights, opened, margins


def _registered(gate: Gate, logits: Tensor, training: bool) -> tuple[Tensor, list[bool], list[float]]:
    module = made(ACTIVATIONS[gate.activation].factory)(**dict(gate.activation_args)).train(training)
    weights, opened = module(logits[None])
    own = getattr(module, "margin", torch.abs)
    return weights[0], opened[0].tolist(), own(logits[None])[0].tolist()


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Value of `hard`, gradient of `soft`."""
    return hard.to(soft) + (soft - soft.detach())
