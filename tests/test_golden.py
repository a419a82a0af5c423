"""The released segmentation networks, number by number, in every form."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import routespace as rs
from routespace.integrations.official import load_segmentation, segmentation_names

GOLDEN = Path(__file__).parent / "golden"
SPEC = Path(__file__).parent.parent / "examples" / "segmentation.route"
NAMES = ("segmentation_L5_C8", "segmentation_L6_C16_smallgate")
SCALES = ("s4", "s8", "s16", "s32")


@lru_cache(maxsize=4)
def golden(name: str) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    recorded = json.loads((GOLDEN / f"{name}.json").read_text())
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    weights = {key.removeprefix("weight/"): tensor for key, tensor in tensors.items() if key.startswith("weight/")}
    values = {key.removeprefix("tensor/"): tensor for key, tensor in tensors.items() if key.startswith("tensor/")}
    return recorded, weights, values


def space_of(name: str, **policies: str) -> rs.Space:
    config = golden(name)[0]["config"]
    return rs.load(
        SPEC,
        depth=config["L"],
        width=config["C"],
        classes=config["classes"],
        small_gate=config["small_gate"],
        **policies,
    )


def error(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


def node_of(official: str) -> str:
    if official == "init_layer":
        return "layer0.s4"
    layer, scale = (int(part) for part in official.split(".")[1:])
    return f"layer{layer + 1}.{SCALES[scale]}"


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
@pytest.mark.parametrize("name", NAMES)
def test_inference(name: str, form: str) -> None:
    recorded, weights, values = golden(name)
    module = rs.compile(space_of(name), form=form).eval()
    load_segmentation(module, weights)
    with torch.no_grad():
        out = module(values["input"])
    assert error(out.output, values["output"]) < 1e-4
    cost = out.routing.cost
    assert cost.expected.tolist() == pytest.approx([one * 1e6 for one in recorded["expected_mflops"]], rel=1e-5)
    assert cost.hard.tolist() == pytest.approx([one * 1e6 for one in recorded["real_mflops"]], rel=1e-5)
    gates = {key.removeprefix("gate."): value for key, value in values.items() if key.startswith("gate.")}
    assert gates
    for official, wanted in gates.items():
        found = torch.stack(list(out.routing.weights[node_of(official)].values()), 1)
        assert torch.equal(found.isnan(), wanted.isnan()), official
        assert torch.allclose(found.nan_to_num(), wanted.nan_to_num(), atol=1e-4), official


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("name", NAMES)
def test_features(name: str, form: str) -> None:
    """Streams that the decoder reads, taken from the graph as outputs of their own."""
    _, weights, values = golden(name)
    text = SPEC.read_text()
    features = "".join(f"  output feature_{k} = keep[depth, {scale}]\n" for k, scale in enumerate(SCALES))
    config = golden(name)[0]["config"]
    space = rs.loads(
        text.replace("  output logits", features + "  output logits"),
        depth=config["L"],
        width=config["C"],
        classes=config["classes"],
        small_gate=config["small_gate"],
    )
    module = rs.compile(space, form=form).eval()
    load_segmentation(module, weights)
    with torch.no_grad():
        out = module(values["input"]).output
    for k in range(4):
        assert error(out[f"feature_{k}"], values[f"feature.layer_{k}"]) < 1e-4


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_training(form: str) -> None:
    recorded, weights, values = golden(NAMES[0])
    module = rs.compile(space_of(NAMES[0], live="always"), form=form).train()
    load_segmentation(module, weights)
    out = module(values["input"])
    assert error(out.output, values["train.output"]) < 1e-4
    loss = (out.output**2).mean()
    assert loss.item() == pytest.approx(recorded["train_loss"], rel=1e-5)
    loss.backward()
    own = {official: name for name, official in segmentation_names(rs.graph_of(module), weights)}
    parameters = dict(module.named_parameters())
    gradients = {key.removeprefix("train.grad."): value for key, value in values.items() if "train.grad." in key}
    assert len(gradients) == 4
    for official, wanted in gradients.items():
        found = parameters[own[official]].grad
        if found is None:
            assert wanted.abs().max() == 0, official
        else:
            assert (found - wanted).abs().max() <= 1e-4 * max(wanted.abs().max().item(), 1e-6), official


def test_decoder_slip_and_stem() -> None:
    """The released figures of the parts: a decoder priced on a square map, a stem priced as if padded."""
    from routespace.graph.ledger import ledger, price
    from routespace.space.conventions import CONVENTIONS

    for name in NAMES:
        recorded = golden(name)[0]
        graph = rs.build(space_of(name))
        convention = CONVENTIONS["dynamic_routing_code"]
        rows = {row.name: price(row, convention).hard for row in ledger(graph, tuple(recorded["config"]["hw"]))}
        assert rows["outputs.logits"] == pytest.approx(recorded["head_mflops"] * 1e6)
        assert rows["layer0.s4.x"] == pytest.approx(recorded["stem_mflops"] * 1e6)


def test_nothing_is_half_loaded() -> None:
    _, weights, _ = golden(NAMES[0])
    module = rs.compile(space_of(NAMES[0]), form="sparse")
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    wrong = dict(weights)
    wrong.pop("backbone.init_layer.res_down.1.weight")
    wrong["backbone.stem.stem_1.weight"] = torch.zeros(64, 3, 5, 5)
    wrong["backbone.surprise"] = torch.zeros(1)
    with pytest.raises(rs.WeightsError) as caught:
        load_segmentation(module, wrong)
    assert caught.value.missing == ["backbone.init_layer.res_down.1.weight"]
    assert caught.value.extra == ["backbone.surprise"]
    assert "backbone.stem.stem_1.weight: (64, 3, 5, 5)" in caught.value.misshapen[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize(
    "cells",
    [
        "sep_conv_3x3_heavy",
        "dil_conv_3x3",
        "sep_conv_5x5",
        "conv_3x3_basic",
        ["dil_conv_5x5", "sep_conv_7x7"],
        ["skip_connect", "mbconv_3x3", "bottleneck_3x3"],
        ["max_pool_3x3", "sep_conv_3x3", "avg_pool_3x3"],
    ],
)
def test_every_candidate_has_official_names(cells: str | list[str]) -> None:
    """A checkpoint written under official names comes back to the entries it was taken from."""
    space = rs.load(SPEC, depth=3, width=8, cell=cells)
    source = rs.compile(space, form="dense", seed=1)
    names = dict(segmentation_names(rs.graph_of(source), {}))
    own = source.state_dict()
    assert set(names) == set(own)
    assert len(set(names.values())) == len(names)
    target = rs.compile(space, form="sparse", seed=2)
    load_segmentation(target, {names[name]: tensor for name, tensor in own.items()})
    assert all(torch.equal(tensor, own[name]) for name, tensor in target.state_dict().items())
