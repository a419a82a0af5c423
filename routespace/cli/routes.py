"""The route of one image: its weights, what is open, and how both are written and drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from routespace.draw.space import net_weights
from routespace.graph.ir import RouteGraph
from routespace.graph.nets import hold

if TYPE_CHECKING:
    from routespace.runtime.result import Outcome

NAN = "NaN"
"""How the weight of a gate that failed is written: JSON has no number for it, and null is a node not reached."""


class Taken(NamedTuple):
    """One route: its weight, of a gate per position the mean of the map, None where its gate was not reached, and
    whether it is open (anywhere)."""

    weight: float | None
    opened: bool


Route: TypeAlias = dict[str, dict[str, Taken]]


def route_taken(outcome: Outcome) -> Route:
    """The route of the one image of a call, by node and route."""
    routing = outcome.routing
    found: Route = {}
    for node, weights in routing.weights.items():
        for route, weight in weights.items():
            reached = bool(routing.reached_by(node, route).any())
            opened = bool(routing.opens(node, route)[0].any())
            found.setdefault(node, {})[route] = Taken(float(weight[0].mean()) if reached else None, opened)
    return found


def route_held(graph: RouteGraph, net: str) -> Route:
    """The route that a net of `graph` prescribes."""
    return {
        node: {route: Taken(None if math.isnan(weight) else weight, weight > 0) for route, weight in routes.items()}
        for node, routes in net_weights(graph, hold(graph, net)).items()
    }


def written(route: Route) -> dict[str, dict[str, float | str | None]]:
    """For JSON: null where a gate was not reached, "NaN" where it gave that."""
    return {
        node: {name: NAN if _is_nan(taken.weight) else taken.weight for name, taken in routes.items()}
        for node, routes in route.items()
    }


def drawn(route: Route) -> dict[str, dict[str, float]]:
    """For drawings: NaN where a gate was not reached; a route that is open at NaN is as thick as one can be."""
    return {
        node: {
            name: math.nan if taken.weight is None else 1.0 if _is_nan(taken.weight) else taken.weight
            for name, taken in routes.items()
        }
        for node, routes in route.items()
    }


def _is_nan(weight: float | None) -> bool:
    return weight is not None and math.isnan(weight)
