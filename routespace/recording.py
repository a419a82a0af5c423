"""`record`: what the gates of a module do over a set of images."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from routespace.alike import Decisions, decide_alike
from routespace.compiler import graph_of
from routespace.graph.profile import Profile
from routespace.runtime.control import undecided
from routespace.runtime.modes import evaluating
from routespace.runtime.result import Routing
from routespace.runtime.wrapped import inside


class AlikeWarning(UserWarning):
    """Gates decide alike for every image of a set, so that their work could be saved or their training went wrong."""


def record(module: nn.Module, batches: Iterable[Any]) -> Profile:
    """For how many images each route is open: `module`, compiled with gates, is run on every batch it takes.

    Without gradients, in evaluation mode; the module is left in the mode it was in. A route that is decided per
    position is open for an image where it is open anywhere. A gate that was not consulted opened nothing. Warns with
    `AlikeWarning` of gates that decide alike for all images that asked them, three at least, if nothing forces them.
    Raises `TypeError` for one batch in the place of several.

    >>> import routespace as rs, torch
    >>> module = rs.compile(rs.load(rs.example("small"), depth=1, width=4), form="sparse")
    >>> record(module, [torch.zeros(1, 3, 64, 64)]).images
    1
    """
    graph, compiled = graph_of(module), inside(module)
    if isinstance(batches, (Tensor, Mapping)):
        raise TypeError(f"`batches` is an iterable of batches, not a {type(batches).__name__}: give `[images]`")
    found, seen = Profile(0, {}), Decisions.none(graph)
    with evaluating(compiled):
        for batch in batches:
            routing = compiled(batch).routing
            found, seen = found + tally(routing), seen + Decisions.of(graph, routing)
    remark = decide_alike(graph, seen, undecided(compiled))
    if remark is not None:
        warnings.warn(remark, AlikeWarning, stacklevel=2)
    return found


def tally(routing: Routing) -> Profile:
    """The profile of the images of one call."""
    opened = {
        node: {name: int(_somewhere(routing.opens(node, name)).sum()) for name in routes}
        for node, routes in routing.weights.items()
    }
    return Profile(routing.cost.hard.shape[0], opened)


def _somewhere(opened: Tensor) -> Tensor:
    """Images (N,) for which something is open, of maps (N, H, W) at some position."""
    return opened if opened.dim() == 1 else opened.flatten(1).any(1)
