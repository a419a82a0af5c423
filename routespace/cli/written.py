"""Weights of routes in a JSON file, as `routespace run` writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routespace.cli.ending import Trouble
from routespace.cli.routes import NAN
from routespace.diagnostics import quoted
from routespace.files import read_file
from routespace.plain_json import MOST_BYTES, read_json
from routespace.space.registry import ACTIVATIONS

if TYPE_CHECKING:
    from routespace.graph.ir import RouteGraph

SHOWN = 5


def read_weights(path: Path, graph: RouteGraph) -> dict[str, dict[str, float]]:
    """`{node: {route: weight}}`: NaN for null, the weight of a node that was not reached, and 1 for "NaN", that of a
    gate that failed and counts as open. Raises `Trouble` for what is no number from 0 to 1, or in the range of the
    gates of `graph` where that is wider."""
    try:
        found = read_json(read_file(path, MOST_BYTES))
    except ValueError as error:
        raise Trouble(f"{quoted(path)} is not JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(routes, dict) for routes in found.values()):
        raise Trouble(f"{quoted(path)} does not say `{{node: {{route: weight}}}}`")
    ranges = [(0.0, 1.0), *(ACTIVATIONS[gate.activation].range for gate in graph.gates)]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)

    def weight_of(node: str, route: str, weight: Any) -> float:
        place = f"{quoted(path)}: `{_short(weight)}` at `{route}` of `{node}`"
        if weight is None or weight == NAN:
            return math.nan if weight is None else 1.0
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            raise Trouble(f"{place} is not a weight")
        if not low <= weight <= high or not abs(weight) < math.inf:
            raise Trouble(f"{place} is not a weight from {low:g} to {high:g}")
        return float(weight)

    return {
        node: {route: weight_of(node, route, weight) for route, weight in routes.items()}
        for node, routes in found.items()
    }


def gaps(graph: RouteGraph, weights: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Tells the routes behind gates of `graph` that have no weight, if there are any."""
    missing = [
        f"`{route}` of `{gate.node}`"
        for gate in graph.gates
        for route in gate.routes
        if route not in weights.get(gate.node, {})
    ]
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        yield f"no weight of {', '.join(missing[:SHOWN])}{more}; their nodes are drawn as not reached"


def _short(weight: object) -> str:
    text = json.dumps(weight)
    return text if len(text) <= 20 else f"{text[:17]}..."
