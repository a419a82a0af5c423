"""What a head cost: over all of its spaces, and level by level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import nn

import routespace as rs
from routespace.graph.infer import infer
from routespace.graph.ir import Input, RouteGraph
from routespace.integrations.torchvision.head import RoutedHead
from routespace.runtime.result import Cost, Outcome
from routespace.space.shape import Stride


def head_cost(outcomes: Mapping[str, Outcome], convention: str = "macs") -> Cost:
    """Cost (N,) of one recorded call, over all spaces of the head. Predictors behind a tower are not in it."""
    return _sum(outcome.routing.cost.under(convention) for outcome in outcomes.values())


def level_costs(head: RoutedHead, outcomes: Mapping[str, Outcome], convention: str = "macs") -> dict[str, Cost]:
    """The same cost by level of the pyramid, finest first."""
    found: dict[str, list[Cost]] = {}
    for name, outcome in outcomes.items():
        levels = levels_of(rs.graph_of(_dense(head, name)))
        found = {level: found.get(level, []) for level in dict.fromkeys(levels.values())}
        for value, cost in outcome.routing.cost.under(convention).by_value().items():
            found[levels[value]].append(cost)
    return {level: _sum(costs) for level, costs in found.items() if costs}


def levels_of(graph: RouteGraph) -> dict[str, str]:
    """The level of every value by its stride, that of what it reads where it has none, and by its name where levels
    have a stride in common."""
    strides = {name: shape.stride for name, shape in infer(graph, graph.probe).shapes.items()}
    labels: dict[Stride, list[str]] = {}
    for value in graph.values:
        if isinstance(value, Input):
            labels.setdefault(value.stride, []).append(value.name.partition(".")[2])
        elif not strides[value.name]:
            strides[value.name] = strides[value.args[0]]
    return {name: _label(name, labels[stride]) for name, stride in strides.items() if stride in labels}


def _label(name: str, labels: Sequence[str]) -> str:
    named = [label for label in labels if label in name.split(".")]
    return named[0] if len(named) == 1 else " and ".join(labels)


def _dense(head: RoutedHead, name: str) -> nn.Module:
    dense = head.spaces[name].dense
    assert isinstance(dense, nn.Module)
    return dense


def _sum(costs: Iterable[Cost]) -> Cost:
    parts = list(costs)
    expected, hard, executed = (
        sum((getattr(part, kind) for part in parts[1:]), start=getattr(parts[0], kind))
        for kind in ("expected", "hard", "executed")
    )
    return Cost(expected, hard, executed, parts[0].convention)
