"""Checkpoints of the authors' released code.

`load_segmentation`: "Learning Dynamic Routing for Semantic Segmentation" (Li et al., CVPR 2020), for modules compiled
from `examples/segmentation.route`. `load_dynamic_head`: "Fine-Grained Dynamic Head for Object Detection" (Song et al.,
NeurIPS 2020), for those from `examples/dynamic_head.route`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from routespace.compiler import graph_of
from routespace.graph.build import build
from routespace.graph.ir import Apply, Gate, Input, Leaf, Op, Parallel, Route, RouteGraph, Sequential
from routespace.integrations.official_head import dynamic_head_names, load_dynamic_head
from routespace.runtime.weights import check_mapping, load_strictly, unfit
from routespace.runtime.wrapped import inside
from routespace.targets import targets_of

__all__ = ["dynamic_head_names", "load_dynamic_head", "load_segmentation", "segmentation_names"]

_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_STEM = ("stem_1", "stem_2.0", "stem_2.1", "stem_3.0", "stem_3.1")


def load_segmentation(module: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Load an official state_dict into a module compiled from `segmentation.route`, in any form.

    A fixed form takes what its net keeps of a whole checkpoint; it also takes that of a network without gates, which
    has weights of 1 in their places. Raises `WeightsError` listing the official names that are missing, extra or
    mis-shaped, and `ValueError` for a module of another space; nothing has been loaded then.
    """
    check_mapping(state_dict)
    graph = graph_of(module)
    _check_space(graph)
    official = dict(segmentation_names(graph, state_dict))
    whole = _whole(graph)
    others = {name for _, name in segmentation_names(whole, state_dict)}.difference(official.values())
    if not graph.gates:
        others.update(_ungated(whole, state_dict))
    load_strictly(inside(module), state_dict, official, others)


def _check_space(graph: RouteGraph) -> None:
    """Raises `ValueError` unless nodes stand on layers and scales between the released stem and a ladder decoder."""
    axes = {tuple(axis for axis, _ in node.index) for node in graph.nodes}
    inputs = {value.name for value in graph.values if isinstance(value, Input)}
    applied = [value for value in graph.values if isinstance(value, Apply)]
    stems = [value for value in applied if value.args[0] in inputs and len(_units(value.op, "")) == len(_STEM)]
    ends = [value for value in applied if isinstance(value.op, Leaf) and value.op.entry == "ladder_decoder"]
    if axes != {("layer", "scale")} or len(stems) != 1 or len(ends) != 1:
        raise ValueError(
            f"this module is of space `{graph.name}`; released segmentation networks fit modules compiled from "
            "`segmentation.route`"
        )


def _whole(graph: RouteGraph) -> RouteGraph:
    """The graph of the space that a fixed graph is a net of; others are whole."""
    return build(graph.space) if not graph.gates and graph.space is not None else graph


def _ungated(graph: RouteGraph, state_dict: Mapping[str, Tensor]) -> Iterator[str]:
    """The entries that stand for a gate in a network without: a weight of 1 for each route."""
    routes = {gate.node: len(gate.routes) for gate in graph.gates}
    for node in graph.nodes:
        name = f"{_cell(node.index)}.gate_weights_beta"
        ones = torch.ones(1, routes.get(node.name, 0), 1, 1)
        if (
            name in state_dict
            and unfit(state_dict[name], ones) is None
            and torch.equal(state_dict[name].to(ones), ones)
        ):
            yield name


def segmentation_names(graph: RouteGraph, state_dict: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Pairs of (name in the compiled module, official name) for every parameter and buffer.

    `state_dict` is consulted only for the places of a cell's operations among the official candidates, which count
    those without parameters too.
    """
    cells = {node.name: _cell(node.index) for node in graph.nodes}
    targets = targets_of(graph)
    inputs = {value.name for value in graph.values if isinstance(value, Input)}
    for value in graph.values:
        target, last = targets[value.name], value.name.rsplit(".", 1)[-1]
        if isinstance(value, Gate):
            yield from _named(value.body, f"{target}.body", [f"{cells[value.node]}.gate_conv_beta.{i}" for i in (0, 2)])
        elif isinstance(value, Apply) and isinstance(value.op, Leaf) and value.op.entry == "ladder_decoder":
            yield from _decoder(f"{target}.op", len(value.args))
        elif isinstance(value, Apply) and value.args[0] in inputs:
            yield from _named(value.op, f"{target}.op", [f"backbone.stem.{stage}" for stage in _STEM])
        elif isinstance(value, (Apply, Route)) and last in ("keep", "up", "down"):
            yield from _named(value.op, f"{target}.op", [f"{cells[value.node]}.res_{last}.1"])
        elif isinstance(value, Apply):
            yield from _candidates(value.op, f"{target}.op", f"{cells[value.node]}.cell_ops._ops", state_dict)


def _cell(index: tuple[tuple[str, int], ...]) -> str:
    layer, scale = (ordinal for _, ordinal in index)
    return f"backbone.all_cell_list.{layer - 1}.{scale}" if layer else "backbone.init_layer"


def _candidates(op: Op, path: str, prefix: str, state_dict: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """A cell: its candidate ops side by side, each one convolution or a sequence of them."""
    parts = (
        [(part, f"{path}.{place}") for place, part in enumerate(op.parts)] if isinstance(op, Parallel) else [(op, path)]
    )
    learned = [(place, part, at) for place, (part, at) in enumerate(parts) if _units(part, at)]
    there = sorted({int(name[len(prefix) + 1 :].split(".")[0]) for name in state_dict if name.startswith(f"{prefix}.")})
    places = there if len(there) == len(learned) else [place for place, _, _ in learned]
    for place, (_, part, at) in zip(places, learned, strict=True):
        units = _units(part, at)
        name = f"{prefix}.{place}.op"
        yield from _named(part, at, [name] if len(units) == 1 else [f"{name}.{step}" for step in range(len(units))])


def _units(op: Op, path: str) -> list[tuple[str, bool, str | None]]:
    """Convolutions of a sequence in order: path, whether it has a bias, path of the norm behind it."""
    leaves = (
        [(part, f"{path}.{place}") for place, part in enumerate(op.parts)]
        if isinstance(op, Sequential)
        else [(op, path)]
    )
    units: list[tuple[str, bool, str | None]] = []
    for leaf, at in leaves:
        if not isinstance(leaf, Leaf):
            units.extend(_units(leaf, at))
        elif leaf.entry in ("conv", "depthwise"):
            units.append((at, bool(dict(leaf.args)["bias"]), None))
        elif leaf.entry == "batchnorm" and units:
            units[-1] = (*units[-1][:2], at)
    return units


def _named(op: Op, path: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for (conv, bias, norm), name in zip(_units(op, path), names, strict=False):
        yield f"{conv}.weight", f"{name}.weight"
        if bias:
            yield f"{conv}.bias", f"{name}.bias"
        if norm is not None:
            yield from ((f"{norm}.{entry}", f"{name}.norm.{entry}") for entry in _NORM)


def _decoder(path: str, steps: int) -> Iterator[tuple[str, str]]:
    for step in range(steps):
        name = f"sem_seg_head.layer_decoder_list.{step}"
        yield f"{path}.steps.{step}.0.weight", f"{name}.weight"
        yield from ((f"{path}.steps.{step}.1.{entry}", f"{name}.norm.{entry}") for entry in _NORM)
    for entry in ("weight", "bias"):
        yield f"{path}.predict.{entry}", f"sem_seg_head.predictor.{entry}"
