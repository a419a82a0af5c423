"""Gates per position as the oracle reads them: maps of logits to weights, openness and margins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from routespace.graph.ir import Gate
from routespace.space.registry import ACTIVATIONS
from routespace.testing.oracle.decide import geretanh, sigmoid, slopes, straight_through
from routespace.testing.oracle.factories import made


@dataclass(frozen=True)
class MapDecision:
    """What a gate per position says about one image: `weights` and `masks`, where each route is open, (K, H, W).

    `margin` (H, W) is how far the logits of a position are from another decision.
    """

    logits: Tensor
    weights: Tensor
    masks: Tensor
    margin: Tensor
    forced: bool = False

    @property
    def open(self) -> tuple[bool, ...]:
        """Which routes are open somewhere."""
        return tuple(bool(mask.any()) for mask in self.masks)

    @property
    def closed(self) -> bool:
        """Whether no route is open anywhere."""
        return not any(self.open)

    def is_open(self, index: int) -> bool:
        """Whether route `index` is open somewhere."""
        return self.open[index]

    def share(self, index: int) -> Tensor:
        """The largest weight of a route."""
        return self.weights[index].max()


def decide_maps(gate: Gate, logits: Tensor, training: bool = False) -> MapDecision:
    """The decision of `gate` for the logits (K, H, W) of one image."""
    args = dict(gate.activation_args)
    never = torch.full_like(logits[0], math.inf)
    match gate.activation:
        case "relu_tanh":
            weights, masks, margin = torch.clamp(torch.tanh(logits), min=0), ~(logits <= 0), logits.abs().amin(0)
        case "geretanh":
            weights, masks, margin = geretanh(logits, float(args["tau"])), ~(logits <= 0), logits.abs().amin(0)
        case "sigmoid":
            weights, masks, margin = sigmoid(logits), torch.ones_like(logits, dtype=torch.bool), never
        case "softmax":
            weights = _softmax(logits / float(args["temperature"]))
            masks, margin = torch.ones_like(logits, dtype=torch.bool), never
        case "argmax":
            weights, masks, margin = _argmax(logits)
        case "threshold":
            chance = sigmoid(logits)
            masks = ~(chance <= float(args["at"]))
            weights, margin = straight_through(masks, chance), (chance - float(args["at"])).abs().amin(0)
        case _:
            module = made(ACTIVATIONS[gate.activation].factory)(**args)
            weights, masks = (one[0] for one in module(logits[None]))
            margin = getattr(module, "margin", torch.abs)(logits[None])[0].amin(0)
    shut = weights - weights.detach() if slopes(gate, training) else torch.zeros_like(weights)
    return MapDecision(logits, torch.where(masks, weights, shut), masks, margin)


def decide_forced_maps(weights: Tensor) -> MapDecision:
    """The decision that given weights (K, H, W) stand for: a route is open where its weight is not 0 or less."""
    masks = ~(weights <= 0)
    never = torch.full_like(weights[0], math.inf)
    return MapDecision(torch.full_like(weights, math.nan), torch.where(masks, weights, 0.0), masks, never, forced=True)


def _softmax(logits: Tensor) -> Tensor:
    powers = torch.exp(logits - logits.amax(0).detach())
    return powers / powers.sum(0)


def _argmax(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """At each position the first largest is open with weight 1; NaN logits are open too. Gradient of the softmax."""
    best, top = torch.zeros_like(logits[0], dtype=torch.long), logits[0]
    for place in range(1, len(logits)):
        better = (logits[place] > top) | (logits[place].isnan() & ~top.isnan())
        best, top = torch.where(better, place, best), torch.where(better, logits[place], top)
    hard = torch.stack([best == place for place in range(len(logits))])
    margin = torch.full_like(top, math.inf)
    for one, chosen in zip(logits, hard, strict=True):
        margin = torch.where(chosen, margin, torch.minimum(margin, top - one))
    return straight_through(hard, _softmax(logits)), hard | logits.isnan(), margin
