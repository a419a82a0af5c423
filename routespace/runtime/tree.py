"""Op trees as torch modules. Children are numbered, so every form names its parameters alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from routespace.runtime.layers import Sizes
from routespace.runtime.merges import Merger


class ChainOp(nn.Module):
    """Parts one after the other; empty is the identity."""

    def __init__(self, parts: Iterable[nn.Module], targets: Sequence[bool]) -> None:
        super().__init__()
        self.targets = tuple(targets)
        for place, part in enumerate(parts):
            self.add_module(str(place), part)

    def parts(self) -> list[nn.Module]:
        return [self._modules[str(place)] for place in range(len(self.targets))]  # type: ignore[misc]

    def forward(self, x: Tensor, sizes: Sizes) -> Tensor:
        for part, targets in zip(self.parts(), self.targets, strict=True):
            x = part(x, sizes) if targets else part(x)
        return x


class BesideOp(nn.Module):
    """Parts side by side on one input, merged."""

    def __init__(self, parts: Iterable[nn.Module], targets: Sequence[bool], merger: Merger) -> None:
        super().__init__()
        self.targets, self.merger = tuple(targets), merger
        for place, part in enumerate(parts):
            self.add_module(str(place), part)

    def parts(self) -> list[nn.Module]:
        return [self._modules[str(place)] for place in range(len(self.targets))]  # type: ignore[misc]

    def forward(self, x: Tensor, sizes: Sizes) -> Tensor:
        return self.merger(
            [part(x, sizes) if targets else part(x) for part, targets in zip(self.parts(), self.targets, strict=True)]
        )


def run(op: nn.Module, x: Any, sizes: Sizes, targets: bool) -> Tensor:
    """Call an op module the way its entry says."""
    return op(x, sizes) if targets else op(x)  # type: ignore[no-any-return]
