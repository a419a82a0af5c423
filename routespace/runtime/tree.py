"""Op trees as torch modules. Children are numbered, so every form names its parameters alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from routespace.runtime.layers import BatchNorm, Sizes
from routespace.runtime.merges import Merger
from routespace.runtime.precise import give_back, unreduced, wide, widened


class Tree(nn.Module):
    """Parts of an op: its own, registered as children, and those `lent` to it, which another op registers."""

    def __init__(self, parts: Iterable[nn.Module], targets: Sequence[bool]) -> None:
        super().__init__()
        self.targets = tuple(targets)
        self.lent: dict[int, tuple[Tree]] = {}
        for place, part in enumerate(parts):
            self.add_module(str(place), part)

    def parts(self) -> list[nn.Module]:
        return [
            (self.lent[place][0] if place in self.lent else self)._modules[str(place)]  # type: ignore[misc]
            for place in range(len(self.targets))
        ]

    def lend(self, place: int, owner: Tree) -> None:
        """Use what `owner` has at `place`, whatever is put there later."""
        self._modules.pop(str(place), None)
        self.lent[place] = (owner,)


def every(op: nn.Module) -> Iterator[nn.Module]:
    """`op` and all modules below it, those lent to it included."""
    yield op
    lent = [owner.get_submodule(str(place)) for place, (owner,) in op.lent.items()] if isinstance(op, Tree) else []
    for part in (*op.children(), *lent):
        yield from every(part)


def active_norms(op: nn.Module) -> list[BatchNorm]:
    """The batch norms of an op, those lent to it included, whose statistics are those of active images."""
    return [part for part in every(op) if isinstance(part, BatchNorm) and part.stats == "active"]


def weights_of(op: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that an op runs with, those lent to it included."""
    for part in every(op):
        yield from part.parameters(recurse=False)


def borrow(op: nn.Module, owner: nn.Module) -> None:
    """Let `op` use the leaves with weights of `owner`, an op of the same make, instead of its own."""
    assert isinstance(op, Tree) and isinstance(owner, Tree)
    for place, (own, other) in enumerate(zip(op.parts(), owner.parts(), strict=True)):
        if isinstance(own, Tree):
            borrow(own, other)
        elif own.state_dict():
            op.lend(place, owner)


class ChainOp(Tree):
    """Parts one after the other; empty is the identity. The last part of one that is `deciding` runs in float32."""

    def forward(self, x: Tensor, sizes: Sizes) -> Tensor:
        parts = list(zip(self.parts(), self.targets, strict=True))
        for part, targets in parts[: len(parts) - is_deciding(self)]:
            x = part(x, sizes) if targets else part(x)
        for part, targets in parts[len(parts) - is_deciding(self) :]:
            x = precisely(part, x, sizes, targets)
        return x


class BesideOp(Tree):
    """Parts side by side on one input, merged."""

    def __init__(self, parts: Iterable[nn.Module], targets: Sequence[bool], merger: Merger) -> None:
        super().__init__(parts, targets)
        self.merger = merger

    def forward(self, x: Tensor, sizes: Sizes) -> Tensor:
        return self.merger(
            [part(x, sizes) if targets else part(x) for part, targets in zip(self.parts(), self.targets, strict=True)]
        )


def deciding(op: nn.Module) -> nn.Module:
    """`op`, from now on one whose last part, or which itself, runs in float32: its result is the logits of a gate."""
    op.decides = True  # type: ignore[assignment]
    return op


def is_deciding(op: nn.Module) -> bool:
    return getattr(op, "decides", False) is True


def precisely(op: nn.Module, x: Tensor, sizes: Sizes, targets: bool) -> Tensor:
    """Call an op module in float32, or float64 where that is given, also within autocast and with reduced weights."""
    with unreduced(x):
        twin = widened(op)
        made = _call(twin, x.to(wide(x.dtype)), sizes, targets)
    give_back(twin, op)
    return made


def run(op: nn.Module, x: Any, sizes: Sizes, targets: bool) -> Tensor:
    """Call an op module the way its entry says."""
    if is_deciding(op) and not isinstance(op, ChainOp):
        return precisely(op, x, sizes, targets)
    return _call(op, x, sizes, targets)


def _call(op: nn.Module, x: Any, sizes: Sizes, targets: bool) -> Tensor:
    return op(x, sizes) if targets else op(x)  # type: ignore[no-any-return]
