"""Weights are loaded whole or not at all, and what does not fit is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import routespace as rs
from routespace.integrations.official import (
    dynamic_head_names,
    load_dynamic_head,
    load_segmentation,
    segmentation_names,
)
from routespace.runtime.weights import load_strictly

Loader = Callable[[nn.Module, dict[str, Tensor]], None]


def segmentation() -> tuple[nn.Module, dict[str, Tensor], Loader]:
    module = rs.compile(rs.load(rs.example("segmentation"), depth=2, width=8))
    names = dict(segmentation_names(rs.graph_of(module), {}))
    return module, {names[name]: tensor + 1 for name, tensor in module.state_dict().items()}, load_segmentation


def plain() -> tuple[nn.Module, dict[str, Tensor], Loader]:
    module = rs.compile(rs.load(rs.example("small"), depth=2, width=8), form="sparse")
    return module, {name: tensor + 1 for name, tensor in module.state_dict().items()}, load_strictly


@pytest.mark.parametrize("make", [segmentation, plain])
@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda tensor: tensor.to("meta"), "on `meta`, which has no numbers"),
        (lambda tensor: tensor.to_sparse(), "sparse_coo; a plain tensor is needed"),
        (lambda tensor: tensor.to(torch.int64), r"int64, \([\d, ]+\) float32 is needed"),
        (lambda tensor: tensor.to(torch.complex64), r"complex64, \([\d, ]+\) float32 is needed"),
        (lambda tensor: None, r"None, \([\d, ]+\) float32 is needed"),
    ],
    ids=["meta", "sparse", "whole", "complex", "none"],
)
def test_nothing_is_half_loaded(
    make: Callable[[], tuple[nn.Module, dict[str, Tensor], Loader]], harm: Callable[[Tensor], Tensor], says: str
) -> None:
    module, weights, load = make()
    last = [name for name, tensor in weights.items() if tensor.is_floating_point()][-1]
    weights[last] = harm(weights[last])
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(rs.WeightsError, match=says):
        load(module, weights)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_dtypes_of_a_kind_are_converted() -> None:
    module, weights, load = plain()
    load(module, {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in weights.items()})
    assert all(torch.equal(tensor, weights[name]) for name, tensor in module.state_dict().items())


def test_a_module_on_meta_is_refused() -> None:
    module, weights, load = plain()
    with pytest.raises(rs.WeightsError, match="own entry is on `meta`"):
        load(module.to("meta"), weights)


@pytest.mark.parametrize("load", [load_segmentation, load_strictly, load_dynamic_head])
def test_what_is_no_state_dict_is_refused(load: Loader) -> None:
    module, weights, _ = segmentation()
    with pytest.raises(TypeError, match="a mapping from names to tensors, not None"):
        load(module, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="are strings; 3 is a int"):
        load(module, {**weights, 3: torch.ones(1)})  # type: ignore[dict-item]


def test_what_weights_are_wrapped_in_is_told() -> None:
    module, weights, load = segmentation()
    with pytest.raises(rs.WeightsError, match=r"help: .* give that entry, `checkpoint\['model'\]`"):
        load(module, {"iteration": 3, "model": weights})  # type: ignore[dict-item]
    with pytest.raises(rs.WeightsError, match=r"help: every name begins with `module\.`"):
        load(module, {f"module.{name}": tensor for name, tensor in weights.items()})


PREFIXES = (
    "module.",
    "_orig_mod.",
    "_orig_mod.module.",
    "module._orig_mod.",
    "model.",
    "net.",
    "model.module._orig_mod.",
)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("beside", [{}, {"n_averaged": torch.tensor(3)}, {"criterion.weight": torch.ones(2)}])
def test_every_prefix_of_wrappers_is_told_whole(prefix: str, beside: dict[str, Tensor]) -> None:
    for module, weights, load in (segmentation(), plain(), head()):
        given = beside | {f"{prefix}{name}": tensor for name, tensor in weights.items()}
        for checkpoint in (given, {"epoch": 3, "state_dict": given}):
            with pytest.raises(rs.WeightsError) as caught:
                load(module, checkpoint)  # type: ignore[arg-type]
            told = str(caught.value).rpartition("help: ")[2]
            assert f"removeprefix({prefix!r})" in told
            assert ("checkpoint['state_dict']" in told) == (checkpoint is not given)
            assert ("leave the others out" in told) == bool(beside)


def head() -> tuple[nn.Module, dict[str, Tensor], Loader]:
    module = rs.compile(rs.load(rs.example("fcos_dynamic_head"), depth=1, width=32, classes=3))
    own = module.state_dict()
    return (
        module,
        {f"head.{name}": own[ours] for ours, name in dynamic_head_names(rs.graph_of(module))},
        load_dynamic_head,
    )


def test_what_fits_is_loaded_and_the_rest_told() -> None:
    space = rs.load(rs.example("small"), depth=1, width=8, classes=5)
    module, other = (
        rs.compile(space, seed=1),
        rs.compile(rs.load(rs.example("small"), depth=1, width=8, classes=7), seed=2),
    )
    weights = dict(other.state_dict()) | {"surprise": torch.ones(1)}
    gone = weights.pop("layer0.s4.keep.op.0.weight", None)
    first = next(name for name in weights if name.endswith("weight"))
    if gone is None:
        weights.pop(first)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    report = rs.load_weights(module, weights, partial=True)
    assert report.unexpected == ("surprise",) and len(report.missing) == 1
    assert {name.rpartition(".")[2] for name, _ in report.other_shapes} == {"weight", "bias"}
    assert all("is needed" in why for _, why in report.other_shapes)
    kept = {*report.missing, *(name for name, _ in report.other_shapes)}
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name] if name in kept else weights[name])
    assert str(report) == f"{len(report.loaded)} entries loaded; 1 missing, 1 unexpected, 2 of other shapes"
    with pytest.raises(rs.WeightsError, match="extra"):
        rs.load_weights(module, weights)


def test_what_fits_nowhere_is_no_partial_load() -> None:
    module = rs.compile(rs.load(rs.example("small"), depth=1))
    wrapped = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    with pytest.raises(rs.WeightsError, match=r"help: every name begins with `module\.`"):
        rs.load_weights(module, wrapped, partial=True)


def test_the_weights_of_a_space_are_those_of_its_nets() -> None:
    space = rs.load(rs.example("segmentation"), depth=4, width=8)
    module = rs.compile(space, "sparse", seed=1)
    net = {
        gate.node: dict.fromkeys(gate.routes, 1.0)
        for gate in rs.build(space).gates
        if not gate.node.startswith("layer1")
    }
    for one in (net, {gate.node: dict.fromkeys(gate.routes, 1.0) for gate in rs.build(space).gates}):
        fixed = rs.compile(space, "fixed", net=one).eval()
        report = rs.load_weights(fixed, module.state_dict())
        assert len(report.loaded) == len(fixed.state_dict()) < len(module.state_dict()) and not report.unexpected
        assert rs.load_weights(fixed, fixed.state_dict()).missing == ()
        x = torch.rand(1, 3, 64, 64)
        held = {gate.node: one.get(gate.node, "closed") for gate in rs.build(space).gates}
        with torch.no_grad(), rs.forcing(module, held):
            assert torch.allclose(fixed(x).output, module(x).output, atol=1e-4)
    with pytest.raises(rs.WeightsError, match=r"extra \(1\):\n +surprise"):
        rs.load_weights(fixed, {**module.state_dict(), "surprise": torch.ones(1)})


@pytest.mark.parametrize("name", ["small", "two_grains"])
def test_a_module_of_another_space_says_so(name: str) -> None:
    module = rs.compile(rs.load(rs.example(name), width=16))
    with pytest.raises(ValueError, match="this module is of space"):
        load_segmentation(module, segmentation()[1])


def test_a_net_lists_what_belongs_to_no_space() -> None:
    space = rs.load(rs.example("segmentation"), depth=2, width=8)
    weights = segmentation()[1]
    net = {"layer0.s4": {"keep": 1.0}, "layer1.s4": {"keep": 1.0}, "layer2.s4": {"keep": 1.0}}
    module = rs.compile(space, form="fixed", net=net)
    load_segmentation(module, weights)
    with pytest.raises(rs.WeightsError, match=r"extra \(1\):\n +backbone\.surprise"):
        load_segmentation(module, {**weights, "backbone.surprise": torch.ones(1)})


def test_own_names_are_no_official_ones() -> None:
    module, weights, load = segmentation()
    with pytest.raises(rs.WeightsError, match=r"extra \(1\):\n +layer0\.s4\.x\.op\.0\.weight"):
        load(module, {**weights, "layer0.s4.x.op.0.weight": torch.ones(64, 3, 3, 3)})
    with pytest.raises(rs.WeightsError) as caught:
        load(module, dict(module.state_dict()))
    assert "backbone.stem.stem_1.weight" in caught.value.missing and not caught.value.misshapen


def test_a_network_without_gates_has_weights_of_1_for_them() -> None:
    space = rs.load(rs.example("segmentation"), depth=2, width=8)
    routes = {gate.node: gate.routes for gate in rs.build(space).gates}
    weights = {name: tensor for name, tensor in segmentation()[1].items() if "gate_conv_beta" not in name}
    biases = {name: tensor for name, tensor in segmentation()[1].items() if name.endswith("gate_conv_beta.2.bias")}
    assert len(biases) == len(routes)
    ones = {
        name.replace("gate_conv_beta.2.bias", "gate_weights_beta"): torch.ones(1, len(bias), 1, 1)
        for name, bias in biases.items()
    }
    module = rs.compile(space, form="fixed", net={node: dict.fromkeys(names, 1.0) for node, names in routes.items()})
    load_segmentation(module, {**weights, **ones})
    names = dict(segmentation_names(rs.graph_of(module), weights))
    assert all(torch.equal(tensor, weights[names[name]]) for name, tensor in module.state_dict().items())
    halves = {name: tensor / 2 for name, tensor in ones.items()}
    flat = {name: tensor.flatten() for name, tensor in ones.items()}
    away = {name: tensor.to("meta") for name, tensor in ones.items()}
    for target, given in ((module, halves), (module, flat), (module, away), (rs.compile(space), ones)):
        with pytest.raises(rs.WeightsError) as caught:
            load_segmentation(target, {**weights, **given})
        assert set(caught.value.extra) == set(ones)
