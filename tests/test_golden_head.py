"""The released dynamic head, number by number, in every form."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import routespace as rs
from routespace.graph.bounds import bounds
from routespace.graph.params import count_parameters
from routespace.integrations.official import load_dynamic_head
from routespace.runtime.errors import WeightsError

GOLDEN = Path(__file__).parent / "golden" / "dynamic_head_D2_C32"
SPEC = Path(__file__).parent.parent / "examples" / "dynamic_head.route"
LEVELS = ("p3", "p4", "p5", "p6", "p7")


@cache
def golden() -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    recorded = json.loads(GOLDEN.with_suffix(".json").read_text())
    with np.load(GOLDEN.with_suffix(".npz")) as arrays:
        tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    weights = {key.removeprefix("weight/"): tensor for key, tensor in tensors.items() if key.startswith("weight/")}
    values = {key.removeprefix("tensor/"): tensor for key, tensor in tensors.items() if key.startswith("tensor/")}
    return recorded, weights, values


def head(form: str) -> nn.Module:
    config = golden()[0]["config"]
    module = rs.compile(rs.load(SPEC, depth=config["depth"], width=config["channels"], tau=config["tau"]), form=form)  # type: ignore[arg-type]
    load_dynamic_head(module, golden()[1])
    return module


def pyramid(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    return {level: golden()[2][f"input.{place}"].to(dtype) for place, level in enumerate(LEVELS)}


def error(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_outputs_and_costs(form: str, mode: str) -> None:
    recorded, _, values = golden()
    module = head(form).train(mode == "train")
    with torch.no_grad():
        outcome = module(pyramid())
    for place, level in enumerate(LEVELS):
        assert error(outcome.output[f"features.{level}"], values[f"{mode}.output.{place}"]) < 1e-5
    cost, wanted = outcome.routing.cost, recorded[f"{mode}_cost"]
    assert cost.convention == "dynamic_head_code"
    assert cost.expected.item() == pytest.approx(wanted["soft"], rel=1e-6)
    assert cost.hard.item() == wanted["used"]
    assert bounds(rs.graph_of(module), outcome.size).most == wanted["full"]


def test_gradients() -> None:
    """In float64: the recorded gradients are met to 1e-6. In float32 a rounding of the inputs alone moves them by 3e-4,
    where one relu stands at its kink."""
    recorded, _, values = golden()
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float32, 1e-3)):
        module = head("dense").to(dtype).train()
        outcome = module(pyramid(dtype))
        outputs = [outcome.output[f"features.{level}"].square().mean() for level in LEVELS]
        loss = sum(outputs) + rs.budget_loss(module, outcome, 1.0)
        assert float(loss.detach()) == pytest.approx(recorded["train_loss"], rel=1e-6)
        loss.backward()  # type: ignore[union-attr]
        ours = {name: own for own, name in rs.integrations.official.dynamic_head_names(rs.graph_of(module))}
        parameters = dict(module.named_parameters())
        for key, wanted in values.items():
            if key.startswith("train.grad."):
                grad = parameters[ours[key.removeprefix("train.grad.")]].grad
                assert grad is not None and error(grad.reshape(wanted.shape), wanted) < tolerance, key


def test_what_does_not_fit_is_listed_and_nothing_is_loaded() -> None:
    module = head("dense")
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    weights = dict(golden()[1])
    weights["2.scale_weight"] = weights.pop("1.scale_weight")
    weights["0.depth_module.bottleneck.conv1.weight"] = torch.zeros(3)
    with pytest.raises(WeightsError) as caught:
        load_dynamic_head(module, weights)
    message = str(caught.value)
    for name in ("1.scale_weight", "2.scale_weight", "0.depth_module.bottleneck.conv1.weight"):
        assert name in message
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_tower_of_a_whole_detector() -> None:
    weights = {f"head.cls_subnet.{name}": tensor for name, tensor in golden()[1].items()}
    module = rs.compile(rs.load(SPEC, depth=2, width=32))
    load_dynamic_head(module, {**weights, "backbone.weight": torch.zeros(1)}, tower="cls_subnet")
    assert all(
        torch.equal(a, b)
        for a, b in zip(module.state_dict().values(), head("dense").state_dict().values(), strict=True)
    )


def whole_checkpoint(classes: int) -> dict[str, Tensor]:
    """A detector's: the recorded tower twice, with predictors and scales of noise, and a backbone."""
    generator = torch.Generator().manual_seed(0)
    weights = {
        f"head.{tower}.{name}": one for tower in ("cls_subnet", "bbox_subnet") for name, one in golden()[1].items()
    }
    for name, channels in (("cls_score", classes), ("bbox_pred", 4), ("centerness", 1)):
        weights[f"head.{name}.weight"] = 0.1 * torch.randn(channels, 32, 3, 3, generator=generator)
        weights[f"head.{name}.bias"] = torch.randn(channels, generator=generator)
    scales = {f"head.scales.{place}.scale": torch.tensor([1.0 + place]) for place in range(5)}
    return {**weights, **scales, "backbone.weight": torch.zeros(1)}


def test_a_whole_head() -> None:
    weights = whole_checkpoint(classes=3)
    space = rs.load(SPEC.with_name("fcos_dynamic_head.route"), depth=2, width=32, classes=3)
    module = rs.compile(space).eval()
    load_dynamic_head(module, weights)
    with torch.no_grad():
        features, found = head("dense").eval()(pyramid()).output, module(pyramid()).output
        for place, level in enumerate(LEVELS):
            for output, name, factor in (
                (f"logits.{level}", "cls_score", 1.0),
                (f"centerness.{level}", "centerness", 1.0),
                (f"boxes.place{place}", "bbox_pred", 1.0 + place),
            ):
                predictor = (weights[f"head.{name}.weight"], weights[f"head.{name}.bias"])
                wanted = factor * torch.conv2d(features[f"features.{level}"], *predictor, padding=1)
                assert error(found[output], wanted) < 1e-5
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    del weights["head.scales.3.scale"]
    with pytest.raises(WeightsError, match=r"missing \(1\):\n +head\.scales\.3\.scale"):
        load_dynamic_head(module, weights)
    with pytest.raises(ValueError, match="whole head"):
        load_dynamic_head(module, weights, "cls_subnet")
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_counts_of_the_paper() -> None:
    """1,193,733 parameters a router; 198.58 and 397.17 for two towers at 800x1344, in units of 2^30."""
    for depth, published in ((4, 198.58), (8, 397.17)):
        graph = rs.build(rs.load(SPEC, depth=depth))
        assert count_parameters(graph).total == depth * 1_193_733
        assert 2 * bounds(graph, (800, 1344)).most / 2**30 == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize(("depth", "parameters", "published"), [(4, 9_745_794, 198.58), (8, 19_295_658, 397.17)])
def test_counts_of_the_detector(depth: int, parameters: int, published: float) -> None:
    graph = rs.build(rs.load(SPEC.with_name("fcos_dynamic_head.route"), depth=depth))
    assert count_parameters(graph).total == parameters
    assert bounds(graph, (800, 1344)).most / 2**30 == pytest.approx(published, abs=0.005)


def test_the_head_of_a_detector_runs_in_every_form() -> None:
    space = rs.load(SPEC.with_name("fcos_dynamic_head.route"), depth=1, width=32, classes=4)
    outputs = {}
    state = rs.compile(space).state_dict()
    for form in ("dense", "sparse", "export"):
        module = rs.compile(space, form=form).eval()  # type: ignore[arg-type]
        module.load_state_dict(state, strict=True)
        with torch.no_grad():
            outputs[form] = module(pyramid()).output
    assert set(outputs["dense"]) == {
        *(f"{kind}.{level}" for kind in ("logits", "centerness") for level in LEVELS),
        *(f"boxes.place{place}" for place in range(5)),
    }
    for form in ("sparse", "export"):
        assert all(error(outputs[form][key], one) < 1e-4 for key, one in outputs["dense"].items())
