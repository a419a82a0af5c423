"""Initial weights: from the space's policy, seeded by name, so that no order of creation matters."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def initialise(module: nn.Module, policy: str, args: Mapping[str, Any], starts: Mapping[str, float], seed: int) -> None:
    """Set every parameter of `module`: convolutions by `policy`, norms to 1 and 0, biases to 0, others as torch does.

    `policy` is "kaiming" (normal, fan-in) or "normal" (with `std`). `starts` gives, by module name of a gate's body,
    the bias of its last convolution.
    """
    for name, part in module.named_modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            fan_in = part.weight[0].numel()
            std = math.sqrt(2.0 / fan_in) if policy == "kaiming" else float(args["std"])
            _normal(part.weight, std, f"{name}.weight", seed)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif list(part.parameters(recurse=False)) and not isinstance(part, _NORMS):
            _reset(part, name, seed)
    for name, start in starts.items():
        convs = [part for part in module.get_submodule(name).modules() if isinstance(part, nn.Conv2d)]
        bias = convs[-1].bias
        assert bias is not None
        nn.init.constant_(bias, start)


_NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def _reset(part: nn.Module, name: str, seed: int) -> None:
    """A module of another kind initialises itself, from its own seed."""
    reset = getattr(part, "reset_parameters", None)
    if callable(reset):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed_of(name, seed))
            reset()


def _seed_of(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little") >> 1


def _normal(parameter: torch.Tensor, std: float, name: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(_seed_of(name, seed))
    with torch.no_grad():
        parameter.copy_(torch.empty(parameter.shape).normal_(0.0, std, generator=generator))
