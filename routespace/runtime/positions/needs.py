"""How a mask of outputs grows backward through an op tree: which positions each leaf has to compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from torch import Tensor, nn

from routespace.runtime.layers import Sizes
from routespace.runtime.merges import Merger
from routespace.runtime.positions.geometry import Size, grow, is_aligned, size_after
from routespace.runtime.positions.places import Places
from routespace.runtime.tree import BesideOp, ChainOp


class Leaf(NamedTuple):
    """A leaf that computes the positions `makes` of its output from the positions `reads` of its input."""

    op: nn.Module
    reads: Places
    makes: Places


class Chain(NamedTuple):
    """Parts one after the other; `reads` of its input."""

    parts: tuple[Need, ...]
    reads: Places


class Beside(NamedTuple):
    """Parts side by side that all compute `makes`, merged; `reads` is what some part reads."""

    parts: tuple[Need, ...]
    merger: Merger
    reads: Places
    makes: Places


Need: TypeAlias = "Leaf | Chain | Beside"


def need(op: nn.Module, size: Size, makes: Places, sizes: Sizes) -> Need:
    """What an op on maps of `size` has to do so that its outputs at `makes` can be known, and nothing more."""
    if isinstance(op, ChainOp):
        given = []
        for part in op.parts():
            given.append(size)
            size = size_after(part, size, sizes)
        parts: list[Need] = []
        for part, size in zip(reversed(op.parts()), reversed(given), strict=True):
            parts.append(need(part, size, makes, sizes))
            makes = parts[-1].reads
        return Chain(tuple(reversed(parts)), makes)
    if isinstance(op, BesideOp):
        found = tuple(need(part, size, makes, sizes) for part in op.parts())
        return Beside(found, op.merger, _union([part.reads for part in found]), makes)
    return Leaf(op, _read(op, size, makes), makes)


def _read(op: nn.Module, size: Size, makes: Places) -> Places:
    """The positions that a leaf reads; those of a convolution are worked out only if its kernel asks for them."""
    if isinstance(op, nn.Conv2d) and not is_aligned(op):
        return Places.later(lambda: grow(op, makes.mask, size), makes.batch, size)
    mask = grow(op, makes.mask, size)
    return makes if mask is makes.mask else Places(mask)


def _union(sets: list[Places]) -> Places:
    first, *rest = sets
    rest = [one for one in rest if one is not first]
    if not rest:
        return first
    mask = first.mask
    for one in rest:
        mask = mask | one.mask
    return Places(mask)


def steps(found: Need) -> Iterator[Leaf]:
    """The leaves of a need, in the order they run."""
    if isinstance(found, Leaf):
        yield found
    else:
        for part in found.parts:
            yield from steps(part)


def demand(op: nn.Module, size: Size, mask: Tensor, sizes: Sizes) -> list[Tensor]:
    """Masks of the positions that are needed of an op's input and of the output of each leaf, in the order they run.

    `mask` (N, 1, H', W') bool holds the outputs of `op` that are wanted, `size` is that of its input, and `sizes` those
    that resizing leaves aim at. The first mask is the input's, the one behind it the first leaf's.
    """
    found = need(op, size, Places(mask), sizes)
    return [found.reads.mask, *(leaf.makes.mask for leaf in steps(found))]
