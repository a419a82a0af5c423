"""What the leaves behind a leaf want of it: how a mask at the end of an op grows on its way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from routespace.graph.ir import Beside, Chain, Leaf, Op
from routespace.space.registry import OPS, ByMode

Demand: TypeAlias = "tuple[int, int, int, int] | ByMode"
"""(kernel, stride, dilation, padding) of a window, or whose positions a norm's statistics run over, by mode."""

EVERYTHING = ByMode("all", "all")


def demands(op: Op, after: tuple[Demand, ...] = ()) -> Iterator[tuple[Leaf, tuple[Demand, ...]]]:
    """Every leaf of `op`, in order, with what stands between its result and the result of the whole."""
    if isinstance(op, Leaf):
        yield op, after
    elif isinstance(op, Chain):
        found: list[list[tuple[Leaf, tuple[Demand, ...]]]] = []
        for part in reversed(op.parts):
            found.append(list(demands(part, after)))
            after = (*through(part), *after)
        for leaves in reversed(found):
            yield from leaves
    else:
        for part in op.parts:
            yield from demands(part, after)


def through(op: Op) -> tuple[Demand, ...]:
    """What an op wants of its input, in order of its leaves; of ops side by side, what the one that wants most does."""
    if isinstance(op, Leaf):
        return _own(op)
    if isinstance(op, Beside):
        return max((through(part) for part in op.parts), key=_reach)
    return tuple(demand for part in op.parts for demand in through(part))


def _own(leaf: Leaf) -> tuple[Demand, ...]:
    args = dict(leaf.args)
    if leaf.entry == "groupnorm":
        stats = args["stats"]
        return (stats if isinstance(stats, ByMode) else ByMode(stats, stats),)
    rule = OPS[leaf.entry].window
    if rule is None:
        return (EVERYTHING,)
    window = rule(args)
    return () if window == (1, 1, 1, 0) else (window,)


def _reach(found: tuple[Demand, ...]) -> float:
    """How far demands reach, for the comparison of branches."""
    if any(isinstance(one, ByMode) and "all" in (one.training, one.inference) for one in found):
        return float("inf")
    return sum(one[2] * (one[0] - 1) for one in found if not isinstance(one, ByMode))
