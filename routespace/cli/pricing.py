"""What a space costs before it is compiled: parameters and work, node by node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from routespace.graph.bounds import bounds
from routespace.graph.ir import Route, RouteGraph
from routespace.graph.ledger import ledger, price
from routespace.graph.nets import hold
from routespace.graph.params import ParameterCount, count_parameters
from routespace.graph.passes.fix import fix
from routespace.graph.passes.prune import prune
from routespace.graph.profile import Profile
from routespace.space.conventions import CONVENTIONS, Convention


@dataclass(frozen=True)
class NodeCost:
    """Parameters of a node and what running all of it is charged: `always` is work that no gate decides on."""

    node: str
    parameters: int = 0
    always: float = 0.0
    cell: float = 0.0
    gate: float = 0.0
    routes: float = 0.0

    @property
    def total(self) -> float:
        return self.always + self.cell + self.gate + self.routes


@dataclass(frozen=True)
class Pricing:
    """The static costs of a space, or of its net `net`, for an image of `size` (height, width).

    `pruned` counts routes that a profile took out, and `guard` is what gates cost that only watch over them.
    """

    space: str
    net: str | None
    channels: int
    size: tuple[int, int]
    convention: Convention
    nodes: tuple[NodeCost, ...]
    parameters: ParameterCount
    minimum: float
    maximum: float
    reference: float
    gates: float
    pruned: int = 0
    guard: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, costs in the unit of the convention."""
        parameters = self.parameters
        return {
            "space": self.space,
            "net": self.net,
            "input": [self.channels, *self.size],
            "convention": self.convention.name,
            "unit": self.convention.unit,
            "parameters": {
                "total": parameters.total,
                "gates": parameters.gates,
                "without_gates": parameters.without_gates,
                "uncounted_ops": list(parameters.uncounted),
            },
            "cost": {
                "minimum": self.minimum,
                "maximum": self.maximum,
                "of_gates": self.gates,
                "budget_reference": self.reference,
                **({"of_guards": self.guard} if self.pruned else {}),
            },
            **({"pruned_routes": self.pruned} if self.pruned else {}),
            "nodes": [{**asdict(node), "total": node.total} for node in self.nodes],
        }


def price_space(graph: RouteGraph, channels: int, size: tuple[int, int], convention: str) -> Pricing:
    """Costs of `graph` with every gate closed that can close, and with everything open that can be open."""
    limits = bounds(graph, size, convention)
    nodes = _nodes(graph, size, CONVENTIONS[convention], None)
    return Pricing(
        graph.name, None, channels, size, CONVENTIONS[convention], nodes, count_parameters(graph),
        limits.least, limits.most, limits.most_expected, sum(node.gate for node in nodes),
    )  # fmt: skip


def price_pruned(
    graph: RouteGraph, profile: Profile, share: float | Fraction, channels: int, size: tuple[int, int], convention: str
) -> Pricing:
    """Costs of `graph` without the routes that were open for less than `share` of the images of a profile."""
    used = profile.usual(graph, share)
    kept = prune(graph, frozenset(value.name for value in graph.values if isinstance(value, Route)) - used)
    rows = (row for row in ledger(kept, size) if row.part == "guard")
    return replace(
        price_space(kept, channels, size, convention),
        pruned=sum(isinstance(value, Route) and value.pruned for value in kept.values),
        guard=sum(price(row, CONVENTIONS[convention]).hard for row in rows),
    )


def price_net(graph: RouteGraph, net: str, channels: int, size: tuple[int, int], convention: str) -> Pricing:
    """Costs of the net `net`: of what its fixed form keeps of `graph`, each value charged as in the whole space."""
    fixed = fix(graph, hold(graph, net))
    nodes = _nodes(graph, size, CONVENTIONS[convention], {value.name for value in fixed.values})
    total = sum(node.total for node in nodes)
    return Pricing(
        graph.name, net, channels, size, CONVENTIONS[convention], nodes, count_parameters(fixed),
        total, total, total, 0.0,
    )  # fmt: skip


def _nodes(
    graph: RouteGraph, size: tuple[int, int], convention: Convention, kept: Iterable[str] | None
) -> tuple[NodeCost, ...]:
    columns = {"fixed": "always", "cell": "cell", "gate": "gate", "guard": "gate", "route": "routes"}
    parameters = count_parameters(graph).by_value
    found: dict[str, NodeCost] = {}
    for row in ledger(graph, size):
        if kept is not None and row.value not in kept:
            continue
        node, column = found.get(row.node, NodeCost(row.node)), columns[row.part]
        charged = getattr(node, column) + price(row, convention).hard
        found[row.node] = replace(node, parameters=node.parameters + parameters.pop(row.value, 0), **{column: charged})
    order = [*(node.name for node in graph.nodes), *found]
    return tuple(found[name] for name in dict.fromkeys(order) if name in found)
