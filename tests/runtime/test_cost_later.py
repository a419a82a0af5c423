"""A cost that is read later is that of the call."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import routespace as rs

HEAD = rs.load(rs.example("dynamic_head"), depth=1, width=32)


def pyramid() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 32, side, side, generator=generator) for side in (16, 8, 4, 2, 1)]


def head() -> nn.Module:
    module = rs.compile(HEAD, seed=1)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "gate" in name and name.endswith("bias"):
                parameter.zero_()
    return module


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_has_the_gradients_of_the_call(mode: type[torch.no_grad]) -> None:
    module = head()
    outcome = module(pyramid())
    with mode():
        shown = outcome.routing.cost.expected.tolist()
        other = outcome.routing.cost.under("macs")
    assert outcome.routing.cost.expected.tolist() == shown
    for cost in (outcome.routing.cost, other):
        module.zero_grad()
        cost.expected.sum().backward(retain_graph=True)
        assert any(parameter.grad is not None for parameter in module.parameters())


def test_a_call_without_gradients_gives_a_cost_without() -> None:
    module = head()
    with torch.no_grad():
        outcome = module(pyramid())
    assert not outcome.routing.cost.expected.requires_grad


def test_it_keeps_the_mode_of_the_call() -> None:
    """Statistics over all positions in training need whole maps, those over active ones in inference do not."""
    module = head()
    in_training, again = module(pyramid()).routing, module(pyramid()).routing
    wanted = in_training.cost.under("macs").hard.tolist()
    module.eval()
    assert again.cost.under("macs").hard.tolist() == wanted
    assert module(pyramid()).routing.cost.under("macs").hard.tolist() != wanted
