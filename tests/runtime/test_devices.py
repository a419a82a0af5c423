"""Every form makes its tensors where its images are: on a device that is not there it gives what it gives here."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import routespace as rs
from routespace.runtime.frame import Begin
from tests.runtime.elsewhere import CUDA, Elsewhere, Far, sent

SPACES: dict[str, dict[str, Any]] = {
    "segmentation": {"depth": 4, "width": 8, "classes": 3},
    "dynamic_head": {"depth": 2, "width": 32},
    "two_grains": {},
}


def of(name: str, form: str) -> nn.Module:
    module = rs.compile(rs.load(rs.example(name), **SPACES[name]), form=form, seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return module


def images(name: str, count: int) -> Any:
    generator = torch.Generator().manual_seed(7)
    if name == "dynamic_head":
        sizes = {"p3": (12, 16), "p4": (6, 8), "p5": (3, 4), "p6": (2, 2), "p7": (1, 1)}
        return {level: torch.randn(count, 32, *size, generator=generator) for level, size in sizes.items()}
    return torch.randn(count, 3, 67, 96, generator=generator)


def outputs(outcome: Any) -> list[Tensor]:
    found = outcome.output
    return list(found.values()) if isinstance(found, dict) else [found]


def near(found: Tensor, wanted: Tensor) -> bool:
    assert isinstance(found, Far)
    return torch.allclose(found.as_subclass(Tensor), wanted, rtol=1e-3, atol=1e-3, equal_nan=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
@pytest.mark.parametrize("name", SPACES)
def test_inference(name: str, form: str, count: int) -> None:
    module, x = of(name, form).eval(), images(name, count)
    far = sent(copy.deepcopy(module))
    with torch.no_grad():
        wanted = module(x)
        with Elsewhere():
            found = far(sent(x))
            with rs.replaying(far, found.routing):
                again = far(sent(x))
    for one, same, reference in zip(outputs(found), outputs(again), outputs(wanted), strict=True):
        assert near(one, reference)
        assert near(same, reference)
    for node, routes in wanted.routing.weights.items():
        assert all(near(found.routing.weights[node][route], weight) for route, weight in routes.items())
    with Elsewhere():
        costs = found.routing.cost
        for kind in ("expected", "hard", "executed"):
            assert near(getattr(costs, kind), getattr(wanted.routing.cost, kind)), kind


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("name", SPACES)
def test_training(name: str, form: str) -> None:
    module, x = of(name, form).train(), images(name, 2)
    far = sent(copy.deepcopy(module))
    losses = []
    for one, given in ((module, x), (far, sent(x))):
        with Elsewhere():
            outcome = one(given)
            loss = sum(output.square().mean() for output in outputs(outcome)) + rs.budget_loss(one, outcome, 1.0)
        loss.backward()
        losses.append(loss)
    assert near(losses[1].detach(), losses[0].detach())
    gradients = dict(far.named_parameters())
    for own, parameter in module.named_parameters():
        assert (parameter.grad is None) == (gradients[own].grad is None), own


def test_a_net_and_forced_gates() -> None:
    space = rs.load(rs.example("segmentation"), **SPACES["segmentation"])
    fixed = rs.compile(space, form="fixed", net={f"layer{layer}.s4": {"keep": 1.0} for layer in range(5)})
    x = images("segmentation", 2)
    module = of("segmentation", "sparse")
    far, fixed_far = sent(copy.deepcopy(module)), sent(copy.deepcopy(fixed.eval()))
    forced = {"layer0.s4": {"keep": torch.tensor([0.5, 0.0])}, "layer1.s4": "closed"}
    with torch.no_grad():
        with rs.forcing(module, forced):
            wanted = module(x)
        fixed_wanted = fixed(x)
        with Elsewhere(), rs.forcing(far, forced):
            found = far(sent(x))
        with Elsewhere():
            fixed_found = fixed_far(sent(x))
    assert near(found.output, wanted.output)
    assert near(fixed_found.output, fixed_wanted.output)


def test_images_of_another_device_are_refused() -> None:
    far = sent(of("segmentation", "sparse"))
    with torch.no_grad(), Elsewhere(), pytest.raises(rs.InputError, match=r"images are on cpu, .* on cuda:0"):
        far(images("segmentation", 1))


def test_a_tensor_left_behind_is_noticed() -> None:
    """The twin: a mistake that a GPU would refuse is refused here."""
    module = sent(of("segmentation", "sparse"))
    name, weight = next(iter(module.named_parameters()))
    holder = module.get_submodule(name.rpartition(".")[0])
    holder._parameters[name.rpartition(".")[2]] = nn.Parameter(weight.detach().as_subclass(Tensor))  # type: ignore[arg-type]
    begin = next(part for part in module.modules() if isinstance(part, Begin))
    begin.roots = ()
    with torch.no_grad(), Elsewhere(), pytest.raises(RuntimeError, match="same device"):
        module(sent(images("segmentation", 1)))


def test_places_from_the_cpu_may_index_and_nothing_else() -> None:
    x = sent(torch.arange(6.0))
    with Elsewhere():
        assert isinstance(x[torch.tensor([1])], Far)
        assert torch.zeros(2, device=x.device).device == CUDA
        assert x.cpu().device.type == "cpu"
        with pytest.raises(RuntimeError, match="same device"):
            x.index_select(0, torch.tensor([1]))
        with pytest.raises(RuntimeError, match="same device"):
            torch.arange(6.0)[x.long()]
