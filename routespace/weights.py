"""`load_weights`: a state_dict into a compiled module, whole or as far as it fits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from routespace.compiler import graph_of
from routespace.emit import emit
from routespace.graph.passes.guard import guard
from routespace.runtime.weights import copy_in, held_against, load_strictly, unfitting
from routespace.runtime.wrapped import inside


@dataclass(frozen=True)
class Loaded:
    """What of a state_dict went into a module: names that were `loaded`, that are `missing` in it, that are
    `unexpected` by the module, and those of `other_shapes`, each with what stood against it."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    other_shapes: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        counts = (("missing", self.missing), ("unexpected", self.unexpected), ("of other shapes", self.other_shapes))
        beside = ", ".join(f"{len(names)} {what}" for what, names in counts if names)
        return f"{len(self.loaded)} entries loaded" + (f"; {beside}" if beside else "")


def load_weights(module: nn.Module, state_dict: Mapping[str, Tensor], *, partial: bool = False) -> Loaded:
    """Load a `state_dict` into a compiled `module` of any form, which may be wrapped.

    Every entry or none: raises `WeightsError` listing what is missing, extra or mis-shaped, and where wrappers or
    training programs put the names, if that is why. A fixed form takes what its net keeps of the weights of a whole
    space. With `partial` what fits is loaded and the rest told in the report; `WeightsError` where nothing fits.
    Raises `TypeError` for what is no state_dict. Nothing has been written where an error is raised.

    >>> import routespace as rs
    >>> small, other = (rs.load(rs.example("small"), depth=1, classes=classes) for classes in (5, 7))
    >>> report = rs.load_weights(rs.compile(other), rs.compile(small).state_dict(), partial=True)
    >>> print(report)
    97 entries loaded; 2 of other shapes
    """
    own = inside(module)
    others = _of_whole_space(own) if own.state_dict().keys() != getattr(state_dict, "keys", tuple)() else ()
    if not partial:
        load_strictly(own, state_dict, others=others)
        return Loaded(tuple(name for name in own.state_dict() if name in state_dict))
    fit = held_against(own, state_dict, None, others)
    if not fit.pairs:
        raise unfitting(fit)
    copy_in(fit)
    return Loaded(tuple(fit.pairs), tuple(fit.missing), tuple(fit.extra), tuple(fit.misshapen.items()))


def _of_whole_space(module: nn.Module) -> Collection[str]:
    """The names of the space that a module is a net of; none for other modules."""
    whole = graph_of(module).sizing
    if whole is None:
        return ()
    with torch.device("meta"):
        return emit(guard(whole), "dense").state_dict().keys()
