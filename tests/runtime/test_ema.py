"""What is derived of weights that were written to without a trace is given up by a change of mode and when asked."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import routespace as rs
from routespace.compiler import Form

IMAGES = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def run(module: nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = module(IMAGES).output
    return found


WAYS: dict[str, Callable[[nn.Module], object]] = {
    "eval": lambda module: module.eval(),
    "train and eval": lambda module: module.train().eval(),
    "refresh": lambda module: rs.refresh(module),
    "refresh of a wrapper": lambda module: rs.refresh(nn.DataParallel(module)),
}


@pytest.mark.parametrize("name", ["small", "two_grains"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
def test_averages_through_data_are_seen(form: Form, way: str, name: str) -> None:
    space = rs.load(rs.example(name))
    live, average = rs.compile(space, seed=2), rs.compile(space, form, seed=1).eval()
    with rs.exactly(average):
        run(average)
        weights = dict(live.named_parameters())
        for path, parameter in average.named_parameters():
            parameter.data.mul_(0.5).add_(weights[path].data, alpha=0.5)
        WAYS[way](average)
        fresh = rs.compile(space, form).eval()
        fresh.load_state_dict(average.state_dict())
        with rs.exactly(fresh):
            torch.testing.assert_close(run(average), run(fresh))


def test_averages_of_routes_and_nets_are_seen() -> None:
    space = rs.load(rs.example("small"))
    module = rs.compile(space, "sparse", seed=1)
    net = {gate.node: dict.fromkeys(gate.routes, 1.0) for gate in rs.build(space).gates}
    for one in (rs.prune(module, rs.record(module, [IMAGES])), rs.compile(space, "fixed", net=net).eval()):
        before = run(one)
        for parameter in one.parameters():
            parameter.data.mul_(0.5)
        one.eval()
        assert not torch.allclose(run(one), before)


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_an_averaged_model_follows(form: Form) -> None:
    space = rs.load(rs.example("small"))
    module = rs.compile(space, form, seed=1)
    for averaged in (AveragedModel(module), AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.5))):
        averaged.eval()
        averaged.update_parameters(module)
        run(averaged)
        live = copy.deepcopy(module)
        with torch.no_grad():
            for parameter in live.parameters():
                parameter.mul_(3.0)
        averaged.update_parameters(live)
        fresh = rs.compile(space, form).eval()
        fresh.load_state_dict(averaged.module.state_dict())
        torch.testing.assert_close(run(averaged), run(fresh))
