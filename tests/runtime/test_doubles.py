"""Devices without float64: costs and budgets are float32 there, and agree with those of float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import routespace as rs


class NoDoubles(TorchDispatchMode):
    """The CPU as a device without float64, as Apple's GPUs are."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if any(isinstance(one, torch.Tensor) and one.dtype == torch.float64 for one in tree_leaves(made)):
            raise TypeError(f"{func} makes a float64 tensor, which this device does not have")
        return made


SPACES: dict[str, dict[str, Any]] = {"small": {"width": 8, "depth": 2}, "two_grains": {}, "dynamic_head": {"depth": 1}}


def given(name: str) -> Any:
    generator = torch.Generator().manual_seed(0)
    if name == "dynamic_head":
        return [torch.randn(2, 256, side, side, generator=generator) for side in (8, 4, 2, 1, 1)]
    return torch.rand(2, 3, 72, 64, generator=generator)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("name", SPACES)
def test_costs_and_budgets(name: str, form: Any, training: bool) -> None:
    module = rs.compile(rs.load(rs.example(name), **SPACES[name]), form, seed=1).train(training)
    wanted = module(given(name))
    loss = rs.budget_loss(module, wanted, 1.0)
    with NoDoubles():
        outcome = module(given(name))
        cost = outcome.routing.cost
        found = rs.budget_loss(module, outcome, 1.0)
        assert found.dtype == torch.float32
        if found.requires_grad:
            found.backward()
        parts = cost.under("macs").by_value()
        assert all(part.hard.dtype == torch.float32 for part in parts.values())
        outcome.routing.margins()
        with rs.replaying(module, outcome.routing):
            module(given(name))
    for kind in ("expected", "hard", "executed"):
        mine, theirs = getattr(cost, kind), getattr(wanted.routing.cost, kind)
        assert mine.dtype == torch.float32 and theirs.dtype == torch.float64
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=0)
    torch.testing.assert_close(found.double(), loss, rtol=1e-3, atol=1e-6)


def test_gradients_of_the_cost_reach_the_gates() -> None:
    module = rs.compile(rs.load(rs.example("small"), width=8, depth=1), "dense", seed=1)
    gradients = []
    for mode in (NoDoubles, torch.enable_grad):
        module.zero_grad()
        with mode():
            module(given("small")).routing.cost.expected.sum().backward()
        gradients.append({name: one.grad.clone() for name, one in module.named_parameters() if one.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and any(one.any() for one in gradients[0].values())
    for name, one in gradients[0].items():
        torch.testing.assert_close(one, gradients[1][name], rtol=1e-3, atol=1.0)


def test_recording() -> None:
    module = rs.compile(rs.load(rs.example("small"), width=8, depth=1), "sparse", seed=1)
    with NoDoubles():
        assert rs.record(module, [given("small")]).images == 2
