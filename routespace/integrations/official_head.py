"""Checkpoints of "Fine-Grained Dynamic Head for Object Detection" (Song et al., NeurIPS 2020), for modules compiled
from `examples/dynamic_head.route`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from routespace.compiler import graph_of
from routespace.graph.ir import Apply, Gate, Route, RouteGraph
from routespace.runtime.weights import load_strictly
from routespace.targets import shared_target

_AFFINE: tuple[str, ...] = ("weight", "bias")
_SENT = ("coarser", "finer")
_LEARNED = {"s.1": "scale_weight", "s.2": "output_weight"}


def load_dynamic_head(module: nn.Module, state_dict: Mapping[str, Tensor], tower: str | None = None) -> None:
    """Load one tower of an official head into a module compiled from `dynamic_head.route`, in any form.

    `tower` names it in a checkpoint of the whole detector ("cls_subnet", "bbox_subnet"), of which nothing else is
    looked at; without it `state_dict` is that of the tower by itself. Raises `WeightsError` listing the official names
    that are missing, extra or mis-shaped; nothing has been loaded then.
    """
    prefix = f"head.{tower}." if tower else ""
    official = {ours: f"{prefix}{name}" for ours, name in dynamic_head_names(graph_of(module))}
    own = {name: ours for ours, name in official.items()}
    given = {own.get(name, name): tensor for name, tensor in state_dict.items() if name.startswith(prefix)}
    load_strictly(module, given, official)


def dynamic_head_names(graph: RouteGraph) -> Iterator[tuple[str, str]]:
    """Pairs of (name in the compiled module, name in the official tower) for every parameter."""
    seen: set[str] = set()
    for value in graph.values:
        if not isinstance(value, (Apply, Gate, Route)) or not value.weights or value.weights in seen:
            continue
        seen.add(value.weights)
        _, layer, *stream = value.weights.split(".")
        at = int(layer.removeprefix("layer"))
        yield from _entries(shared_target(value.weights), ".".join(stream), at)


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
