"""Which values an image needs, and by how much: read from the outputs back to the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from routespace.graph.ir import Gate, Output, Route, RouteGraph
from routespace.testing.oracle.decide import Decision
from routespace.testing.oracle.maps import MapDecision


@dataclass(frozen=True)
class Need:
    """What one image needs of one value.

    `share` is the largest weight it is needed with: that of a route that reads it, at its heaviest position if there
    are several, else that of what reads it, 1 for outputs. `counted`: one of those weights counts as open. `asked`: it
    is wanted, or runs for the gradient of a gate alone, whose route is shut.
    """

    wanted: bool
    counted: bool
    share: Tensor
    asked: bool

    def __or__(self, other: Need) -> Need:
        return Need(
            self.wanted or other.wanted,
            self.counted or other.counted,
            torch.maximum(self.share, other.share),
            self.asked or other.asked,
        )


def is_taught(graph: RouteGraph, route: Route, decision: Decision | MapDecision, training: bool) -> bool:
    """Whether a route that is shut teaches its gate."""
    gate = graph.by_name[route.gate]
    assert isinstance(gate, Gate)
    return training and gate.gradient == "all" and not decision.forced


def needs_of(
    graph: RouteGraph,
    image: int,
    decisions: Mapping[str, Sequence[Decision | MapDecision | None]],
    like: Tensor,
    open_above: float,
    training: bool,
) -> dict[str, Need]:
    """The need of one image by value name.

    A route needs its source where it is open, and what it passes on where its gate is closed; a gate that is consulted
    or forced and every other reader need what they read, be it only to find nothing there. A route that nobody reads,
    kept for a convention that charges it, needs as if it were read. A weight counts above `open_above`, where that is 0
    whenever its route is open. In training the source of a shut route that teaches its gate is asked for, and so is
    what that reads.
    """
    zero, one = like.new_zeros(()), like.new_ones(())
    none, whole, beside = Need(False, False, zero, False), Need(True, True, one, True), Need(False, False, zero, True)
    found = {value.name: none for value in graph.values}
    for value in reversed(graph.values):
        read = bool(graph.readers[value.name])
        mine = whole if isinstance(value, Output) or (isinstance(value, Route) and not read) else found[value.name]
        found[value.name] = mine
        if not mine.asked:
            continue
        if isinstance(value, Route):
            decision = decisions[value.gate][image]
            found[value.gate] |= mine
            if decision is None:
                continue
            if decision.is_open(value.index) and not mine.wanted:
                found[value.source] |= beside
            elif decision.is_open(value.index):
                weight = decision.share(value.index)
                counted = open_above == 0 or float(weight.detach()) > open_above
                found[value.source] |= Need(True, counted, weight, True)
            elif decision.closed and value.closed is not None:
                found[value.closed] |= mine
            if mine.wanted and is_taught(graph, value, decision, training):
                found[value.source] |= beside
        else:
            for arg in value.args:
                found[arg] |= mine
    return found
