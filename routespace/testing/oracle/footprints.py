"""Which positions of its input an op reads for positions of its output, worked out one position at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TypeAlias

from routespace.graph.ir import Leaf, Op, Parallel, Sequential
from routespace.space.registry import OPS, ByMode
from routespace.testing.oracle.sizes import Extent, Step

Spot: TypeAlias = tuple[int, int]
"""A position: row and column."""

Wants: TypeAlias = dict[Spot, "Spot | None"]
"""Positions that are needed, each with the heaviest of the outputs that need it; None where statistics do."""

_POINTWISE = ("identity", "scale", "learned", "relu", "gelu", "silu", "sigmoid", "tanh")


class Footprints:
    """What the leaves of an op, by path, have to compute so that some of its outputs can be known.

    `weights` tell the heaviest of several outputs. `local_norms`: a norm wants the positions it is wanted at only.
    `loose`: an interpolated position that falls onto one of the input counts its neighbours too, since rounding may
    give them a share.
    """

    def __init__(
        self,
        steps: Mapping[str, Step],
        weights: Mapping[Spot, float],
        training: bool,
        local_norms: bool = False,
        loose: bool = False,
    ) -> None:
        self.steps, self.weights = steps, weights
        self.training, self.local_norms, self.loose = training, local_norms, loose
        self.makes: dict[str, Wants] = {}

    def back(self, op: Op, path: str, wants: Wants) -> Wants:
        """What is needed of the input of `op`, called `path`, for `wants` of its output; leaves are noted."""
        if isinstance(op, Sequential):
            for place in reversed(range(len(op.parts))):
                wants = self.back(op.parts[place], f"{path}.{place}", wants)
            return wants
        if isinstance(op, Parallel):
            found: Wants = {}
            for place, part in enumerate(op.parts):
                for spot, output in self.back(part, f"{path}.{place}", wants).items():
                    self._note(found, spot, output)
            return found
        self.makes[path] = wants
        return self._leaf(op, self.steps[path], wants)

    def worked(self, step: Step) -> Wants:
        """The positions that a leaf is charged for: those wanted of it, or where any is, all that an op from outside
        makes that reads more than the position it makes."""
        wants = self.makes[step.path]
        entry = OPS[step.leaf.entry]
        if not wants or not callable(entry.factory) or self._is_pointwise(step.leaf):
            return wants
        return dict.fromkeys(everything(step.output), max(wants.values(), key=self._weight))

    def _is_pointwise(self, leaf: Leaf) -> bool:
        rule = OPS[leaf.entry].window
        return rule is not None and rule(dict(leaf.args)) == (1, 1, 1, 0)

    def _leaf(self, leaf: Leaf, step: Step, wants: Wants) -> Wants:
        (entering,) = step.inputs
        found: Wants = {}
        if self._counts_everything(leaf):
            found = dict.fromkeys(everything(entering))
        for spot, output in wants.items():
            reads = self._reads(leaf, entering, step.output, spot)
            if reads is None:
                heaviest = max(wants.values(), key=self._weight)
                return dict.fromkeys(everything(entering), heaviest)
            for one in reads:
                self._note(found, one, output)
        return found

    def _counts_everything(self, leaf: Leaf) -> bool:
        """A batch norm in training counts all positions, wanted or not."""
        return leaf.entry == "batchnorm" and self.training and dict(leaf.args)["stats"] == "all"

    def _note(self, found: Wants, spot: Spot, output: Spot | None) -> None:
        if spot not in found or self._weight(output) > self._weight(found[spot]):
            found[spot] = output

    def _weight(self, output: Spot | None) -> float:
        return -1.0 if output is None else self.weights[output]

    def _reads(self, leaf: Leaf, entering: Extent, leaving: Extent, spot: Spot) -> Iterator[Spot] | None:
        """Positions that one output reads; None for all."""
        args = dict(leaf.args)
        match leaf.entry:
            case "conv" | "depthwise" | "maxpool" | "avgpool":
                rows, columns = (
                    windows(at, args, length)
                    for at, length in zip(spot, (entering.height, entering.width), strict=True)
                )
            case "groupnorm" if not self.local_norms and statistics(leaf, self.training) == "all":
                return None
            case "groupnorm" | "batchnorm":
                return iter((spot,))
            case "resize":
                rows, columns = self._between(args, entering, leaving, spot)
            case entry if entry in _POINTWISE:
                return iter((spot,))
            case _:
                rule = OPS[leaf.entry].window
                if rule is None or OPS[leaf.entry].opaque:
                    return None
                named = dict(zip(("kernel", "stride", "dilation", "pad"), rule(args), strict=True))
                rows, columns = (
                    windows(at, named, length)
                    for at, length in zip(spot, (entering.height, entering.width), strict=True)
                )
        return ((row, column) for row in rows for column in columns)

    def _between(self, args: Mapping[str, object], entering: Extent, leaving: Extent, spot: Spot) -> list[list[int]]:
        given, made = (entering.height, entering.width), (leaving.height, leaving.width)
        if given == made:
            return [[spot[0]], [spot[1]]]
        factor = None
        if args["by"] is not None and not args["corners"] and min(given) * Fraction(str(args["by"])) >= 1:
            factor = Fraction(str(args["by"]))
        return [
            interpolated(at, length, wanted, factor, bool(args["corners"]), self.loose)
            for at, length, wanted in zip(spot, given, made, strict=True)
        ]


def everything(extent: Extent) -> list[Spot]:
    return [(row, column) for row in range(extent.height) for column in range(extent.width)]


def statistics(leaf: Leaf, training: bool) -> str:
    """Whose positions a norm counts in a mode: "all" or the "active" ones."""
    stats = dict(leaf.args)["stats"]
    if isinstance(stats, ByMode):
        return str(stats.training if training else stats.inference)
    return str(stats)


def windows(at: int, args: Mapping[str, int | None], length: int) -> list[int]:
    """What the window of output `at` covers of a row of `length`."""
    kernel, stride, dilation = (int(args.get(name) or 1) for name in ("kernel", "stride", "dilation"))
    pad = args.get("pad")
    first = at * stride - (dilation * (kernel - 1) // 2 if pad is None else pad)
    return [place for place in (first + tap * dilation for tap in range(kernel)) if 0 <= place < length]


def interpolated(at: int, length: int, wanted: int, factor: Fraction | None, corners: bool, loose: bool) -> list[int]:
    """What output `at` of `wanted` bilinear ones lies between in a row of `length`."""
    if corners:
        place = Fraction(at * (length - 1), wanted - 1) if wanted > 1 else Fraction(0)
    else:
        step = Fraction(length, wanted) if factor is None else 1 / factor
        place = max(Fraction(0), (at + Fraction(1, 2)) * step - Fraction(1, 2))
    low = int(place)
    found = [low] if place == low else [low, low + 1]
    if loose and place == low and low > 0:
        found = [low - 1, low, low + 1]
    return sorted({min(one, length - 1) for one in found})
