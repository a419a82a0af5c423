"""Checkpoints of "Fine-Grained Dynamic Head for Object Detection" (Song et al., NeurIPS 2020), for modules compiled
from `examples/dynamic_head.route` and `examples/fcos_dynamic_head.route`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from routespace.compiler import graph_of
from routespace.graph.ir import Apply, Gate, Route, RouteGraph
from routespace.runtime.weights import check_mapping, load_strictly
from routespace.runtime.wrapped import inside
from routespace.targets import shared_target, targets_of

_AFFINE: tuple[str, ...] = ("weight", "bias")
_SENT = ("coarser", "finer")
_LEARNED = {"s.1": "scale_weight", "s.2": "output_weight"}
_IN_TOWER = re.compile(r"shared\.(?:(class|box)\.)?layer(\d+)\.(.+)")
_TOWERS = {"class": "cls_subnet.", "box": "bbox_subnet.", None: ""}
_PREDICTORS = {
    "shared.outputs.logits": "cls_score",
    "shared.sides": "bbox_pred",
    "shared.outputs.centerness": "centerness",
}
_SCALE = re.compile(r"outputs\.boxes\.place(\d+)")


def load_dynamic_head(module: nn.Module, state_dict: Mapping[str, Tensor], tower: str | None = None) -> None:
    """Load an official head into a module compiled from `fcos_dynamic_head.route`, or one tower of it into a module
    compiled from `dynamic_head.route`, in any form.

    A whole head is looked for below `head.` in the checkpoint of a detector. `tower` names a tower there
    ("cls_subnet", "bbox_subnet"); without it `state_dict` is that of the tower by itself. Nothing else of the
    checkpoint is looked at. Raises `WeightsError` listing the official names that are missing, extra or mis-shaped;
    nothing has been loaded then.
    """
    check_mapping(state_dict)
    names = list(dynamic_head_names(graph_of(module)))
    whole = any(name.startswith(_TOWERS["class"]) for _, name in names)
    if whole and tower:
        raise ValueError(f"the module is a whole head; it is not loaded from the tower `{tower}` alone")
    prefix = f"head.{tower}." if tower else "head." if whole else ""
    official = {ours: f"{prefix}{name}" for ours, name in names}
    others = {name for name in state_dict if not name.startswith(prefix)}
    load_strictly(inside(module), state_dict, official, others)


def dynamic_head_names(graph: RouteGraph) -> Iterator[tuple[str, str]]:
    """Pairs of (name in the compiled module, official name) for every parameter: the name behind `head.` for a whole
    head, behind that of the tower for a tower."""
    seen: set[str] = set()
    targets = targets_of(graph)
    for value in graph.values:
        if not isinstance(value, (Apply, Gate, Route)) or (value.weights and value.weights in seen):
            continue
        seen.add(value.weights)
        inside, scale = _IN_TOWER.fullmatch(value.weights), _SCALE.fullmatch(value.name)
        if inside is not None:
            tower, layer, stream = inside.groups()
            for own, name in _entries(shared_target(value.weights), stream, int(layer)):
                yield own, f"{_TOWERS[tower]}{name}"
        elif value.weights in _PREDICTORS:
            for entry in _AFFINE:
                yield f"{shared_target(value.weights)}.op.0.{entry}", f"{_PREDICTORS[value.weights]}.{entry}"
        elif scale is not None:
            yield f"{targets[value.name]}.op.weight", f"scales.{scale[1]}.scale"


def _entries(own: str, stream: str, layer: int) -> Iterator[tuple[str, str]]:
    """What a layer sends belongs to the router behind it; all else to the router before it."""
    name = stream.removesuffix(".gate")
    if name in _SENT:
        path = f"{layer}.dynamic_convs.{_SENT.index(name)}"
        parts = [(0, f"{path}.convs.0", _AFFINE), (1, f"{path}.convs.1", _AFFINE)]
    elif name in _LEARNED:
        yield f"{own}.op.0.weight", f"{layer - 1}.{_LEARNED[name]}"
        return
    else:
        path = f"{layer - 1}.depth_module"
        parts = []
        for place, at in ((0, f"{path}.bottleneck.conv1"), (3, f"{path}.bottleneck.conv2")):
            parts += [(place, at, ("weight",)), (place + 1, f"{at}.norm", _AFFINE)]
    if stream.endswith(".gate"):
        parts = [(0, f"{path}.gate.gate_conv", _AFFINE)]
    child = "body" if stream.endswith(".gate") else "op"
    for place, at, entries in parts:
        for entry in entries:
            yield f"{own}.{child}.{place}.{entry}", f"{at}.{entry}"
