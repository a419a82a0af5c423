"""Which values an image needs, and by how much: read from the outputs back to the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from routespace.graph.ir import Output, Route, RouteGraph
from routespace.testing.oracle.decide import Decision
from routespace.testing.oracle.maps import MapDecision


@dataclass(frozen=True)
class Need:
    """What one image needs of one value.

    `share` is the largest weight it is needed with: that of a route that reads it, at its heaviest position if there
    are several, else that of what reads it, 1 for outputs. `counted`: one of those weights counts as open.
    """

    wanted: bool
    counted: bool
    share: Tensor

    def __or__(self, other: Need) -> Need:
        return Need(self.wanted or other.wanted, self.counted or other.counted, torch.maximum(self.share, other.share))


def needs_of(
    graph: RouteGraph,
    image: int,
    decisions: Mapping[str, Sequence[Decision | MapDecision | None]],
    like: Tensor,
    open_above: float,
) -> dict[str, Need]:
    """The need of one image by value name.

    A route needs its source where it is open, and what it passes on where its gate is closed; a gate that is consulted
    or forced and every other reader need what they read, be it only to find nothing there. A route that nobody reads,
    kept for a convention that charges it, needs as if it were read. A weight counts above `open_above`, where that is 0
    whenever its route is open.
    """
    zero, one = like.new_zeros(()), like.new_ones(())
    none, whole = Need(False, False, zero), Need(True, True, one)
    found = {value.name: none for value in graph.values}
    for value in reversed(graph.values):
        read = bool(graph.readers[value.name])
        mine = whole if isinstance(value, Output) or (isinstance(value, Route) and not read) else found[value.name]
        found[value.name] = mine
        if not mine.wanted:
            continue
        if isinstance(value, Route):
            decision = decisions[value.gate][image]
            found[value.gate] |= mine
            if decision is None:
                continue
            if decision.is_open(value.index):
                weight = decision.share(value.index)
                counted = open_above == 0 or float(weight.detach()) > open_above
                found[value.source] |= Need(True, counted, weight)
            elif decision.closed and value.closed is not None:
                found[value.closed] |= mine
        else:
            for arg in value.args:
                found[arg] |= mine
    return found
