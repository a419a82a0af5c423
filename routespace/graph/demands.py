"""What the leaves behind a leaf want of it: how a mask at the end of an op grows on its way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from routespace.graph.ir import Leaf, Op, Parallel, Sequential
from routespace.graph.params import leaves
from routespace.space.demand import Between, Branches, Demand, Everything, Size, Statistics, Window
from routespace.space.registry import OPS, ByMode

Demands = tuple[Demand, ...]
_POINT = (1, 1, 1, 0)


def demands(op: Op, entering: Sequence[Size], after: Demands = ()) -> Iterator[tuple[Leaf, Demands]]:
    """Every leaf of `op`, in order, with what stands between its result and the result of the whole.

    `entering` are the sizes of what the leaves read, in order.
    """
    if isinstance(op, Leaf):
        yield op, after
    elif isinstance(op, Sequential):
        found: list[list[tuple[Leaf, Demands]]] = []
        for part, sizes in reversed(_split(op, entering)):
            found.append(list(demands(part, sizes, after)))
            after = (*through(part, sizes), *after)
        for part_leaves in reversed(found):
            yield from part_leaves
    else:
        for part, sizes in _split(op, entering):
            yield from demands(part, sizes, after)


def is_opaque(op: Op) -> bool:
    """Whether some leaf does not tell which positions it reads, so that all of `op` runs where any position is open."""
    return any(OPS[leaf.entry].opaque for leaf in leaves(op))


def runs_whole(leaf: Leaf) -> bool:
    """Whether a leaf makes whole maps whatever is wanted: an op from outside that reads more than one position."""
    entry = OPS[leaf.entry]
    return entry.outside and (entry.window is None or entry.window(dict(leaf.args)) != _POINT)


def through(op: Op, entering: Sequence[Size]) -> Demands:
    """What an op wants of its input, in order of its leaves."""
    if isinstance(op, Leaf):
        return _own(op, entering[0])
    found = [through(part, sizes) for part, sizes in _split(op, entering)]
    if isinstance(op, Sequential):
        return tuple(demand for part in found for demand in part)
    different = tuple(dict.fromkeys(found))
    return different[0] if len(different) == 1 else (Branches(different),)


def _split(op: Sequential | Parallel, entering: Sequence[Size]) -> list[tuple[Op, Sequence[Size]]]:
    """The parts of an op, each with the sizes of what its leaves read."""
    found: list[tuple[Op, Sequence[Size]]] = []
    first = 0
    for part in op.parts:
        last = first + sum(1 for _ in leaves(part))
        found.append((part, entering[first:last]))
        first = last
    return found


def _own(leaf: Leaf, size: Size) -> Demands:
    args = dict(leaf.args)
    if leaf.entry == "groupnorm":
        stats = args["stats"]
        return (Statistics(stats if isinstance(stats, ByMode) else ByMode(stats, stats), size),)
    if leaf.entry == "resize":
        by = args["by"]
        return (Between(None if by is None else Fraction(by), bool(args["corners"]), size),)
    rule = OPS[leaf.entry].window
    if rule is None:
        return (Everything(size),)
    window = rule(args)
    return () if window == _POINT else (Window(*window, size),)
