"""Gates that decide alike for every image of a set: what they cost is paid for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from routespace.graph.ir import Gate, RouteGraph
from routespace.runtime.result import Routing
from routespace.space.registry import ACTIVATIONS

_SAME = 1e-6
"""Weights that differ by less are taken for equal: those of one image differ so between batches."""
_FEWEST, _NAMED = 3, 8


@dataclass
class Decisions:
    """What the routes of all gates did over some images, gate by gate, in the order of their routes.

    `counts` (3, R) are the images for which the gate was asked, and of these those for which the route was open, and
    shut, at every position; `low` and `high` (R,) its lowest and highest weight for any of them.
    """

    counts: Tensor
    low: Tensor
    high: Tensor

    @staticmethod
    def none(graph: RouteGraph) -> Decisions:
        """Those over no images."""
        routes = sum(len(gate.routes) for gate in graph.gates)
        return Decisions(
            torch.zeros(3, routes, dtype=torch.int64),
            torch.full((routes,), float("inf")),
            torch.full((routes,), float("-inf")),
        )

    @staticmethod
    def of(graph: RouteGraph, routing: Routing) -> Decisions:
        """Those of one call."""
        keys = [(gate.node, route) for gate in graph.gates for route in gate.routes]
        if not keys or not routing.cost.hard.shape[0]:
            return Decisions.none(graph)
        asked = torch.stack([routing.reached_by(*key).reshape(-1) for key in keys])
        opened = [_flat(routing.opens(*key)) for key in keys]
        weights = [_flat(routing.weights[node][route].detach().float()) for node, route in keys]
        everywhere = torch.stack([one.all(1) for one in opened]) & asked
        nowhere = ~torch.stack([one.any(1) for one in opened]) & asked
        low, high = torch.stack([one.amin(1) for one in weights]), torch.stack([one.amax(1) for one in weights])
        return Decisions(
            torch.stack([asked.sum(1), everywhere.sum(1), nowhere.sum(1)]),
            low.masked_fill(~asked, float("inf")).amin(1),
            high.masked_fill(~asked, float("-inf")).amax(1),
        )

    def __add__(self, other: Decisions) -> Decisions:
        """Both sets of images together."""
        return Decisions(
            self.counts + other.counts.to(self.counts.device),
            torch.minimum(self.low, other.low.to(self.low.device)),
            torch.maximum(self.high, other.high.to(self.high.device)),
        )


def decide_alike(graph: RouteGraph, seen: Decisions, held: Collection[tuple[str, str]] = ()) -> str | None:
    """A remark on the gates that did the same for all images that asked them, three at least; None if there are none.

    That is, opened the same routes, or, where a gate never closes, gave the same weights. Gates of the nodes and routes
    that are `held` from outside decided nothing.
    """
    nodes = Counter(gate.node for gate in graph.gates)
    rows = zip(*seen.counts.tolist(), seen.low.tolist(), seen.high.tolist(), strict=True)
    found: list[str] = []
    for gate in graph.gates:
        routes = {name: next(rows) for name in gate.routes}
        asked = next(iter(routes.values()))[0]
        told = _told(gate, routes)
        if asked >= _FEWEST and told and not any((gate.node, name) in held for name in routes):
            found.append(f"`{gate.node if nodes[gate.node] == 1 else gate.name}` {told} ({asked} images)")
    if not found:
        return None
    more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    named = ", ".join([*found[:_NAMED], *more])
    return f"{len(found)} of {len(graph.gates)} gates decide alike for every image: {named}"


def _told(gate: Gate, routes: Mapping[str, tuple[int, int, int, float, float]]) -> str | None:
    """What a gate does for all images alike, from (asked, open, shut, low, high) of its routes."""
    if not ACTIVATIONS[gate.activation].closes:
        if any(high - low > _SAME for *_, low, high in routes.values()):
            return None
        return "always weighs " + ", ".join(f"{name} {low:.3g}" for name, (*_, low, _) in routes.items())
    opened = [name for name, (asked, everywhere, *_) in routes.items() if everywhere == asked]
    shut = [name for name, (asked, _, nowhere, *_) in routes.items() if nowhere == asked]
    if len(opened) + len(shut) < len(routes):
        return None
    if opened and shut:
        return f"always opens {', '.join(opened)} alone"
    return "is always open" if opened else "is always closed"


def _flat(values: Tensor) -> Tensor:
    """Values (N,), or of maps (N, H, W), as (N, P)."""
    return values.reshape(values.shape[0], -1)
