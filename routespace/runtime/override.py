"""What a block says of one gate in the place of its body: weights of its routes, and which of them are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from routespace.runtime.entered import Handle
from routespace.runtime.errors import GateError

Weight: TypeAlias = float | Tensor


class Control(Handle):
    """The handle that a gate is overridden by, and the routes that it decides over."""

    def __init__(self, routes: tuple[str, ...]) -> None:
        self.routes = routes


@dataclass(frozen=True)
class Override:
    """Weights of the routes of a gate and where they are open (weights of 0 and NaN do not tell that of a record).

    Without `opened`, weights above 0 are open, and NaN. Without `weights`, the gate is asked for them; what is open is
    what was `opened` all the same.
    """

    routes: tuple[str, ...]
    weights: tuple[Weight, ...] | None
    opened: tuple[Tensor, ...] | None = None

    @property
    def asks(self) -> bool:
        """Whether the gate is asked all the same."""
        return self.weights is None

    def decided(self, batch: int, like: Tensor, size: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
        """The weights and which of them are open, on the device of `like`: (N, K), or (N, K, H, W) of a gate per
        position for maps of `size`."""
        assert self.weights is not None
        weights = self._columns(self.weights, batch, like, size)
        return weights, ~(weights <= 0) if self.opened is None else self.opens(weights)

    def opens(self, weights: Tensor) -> Tensor:
        """Which routes are open, shaped as the weights of the whole batch."""
        assert self.opened is not None
        size = (weights.shape[2], weights.shape[3]) if weights.dim() == 4 else None
        return self._columns(self.opened, weights.shape[0], weights, size) > 0

    def among(self, places: Sequence[int]) -> Override:
        """What is said of the images at `places` of the batch."""
        weights = None if self.weights is None else tuple(_taken(weight, places) for weight in self.weights)
        opened = None if self.opened is None else tuple(mask[list(places)] for mask in self.opened)
        return Override(self.routes, weights, opened)

    def _columns(self, given: Sequence[Weight], batch: int, like: Tensor, size: tuple[int, int] | None) -> Tensor:
        return self._numbers(given, batch, like) if size is None else self._maps(given, batch, size, like)

    def _numbers(self, given: Sequence[Weight], batch: int, like: Tensor) -> Tensor:
        """One number for each image and route (N, K)."""
        columns: list[Tensor] = []
        for route, weight in zip(self.routes, given, strict=True):
            column = torch.as_tensor(weight, dtype=like.dtype, device=like.device)
            if column.dim() > 1:
                raise GateError(f"weights forced on `{route}` are {tuple(column.shape)}, one for each image is needed")
            if column.dim() == 1 and column.shape[0] != batch:
                raise GateError(f"weights forced on `{route}` are for {column.shape[0]} images, the batch has {batch}")
            columns.append(column.expand(batch) if column.dim() == 0 else column)
        return torch.stack(columns, 1) if columns else like.new_zeros(batch, 0)

    def _maps(self, given: Sequence[Weight], batch: int, size: tuple[int, int], like: Tensor) -> Tensor:
        """A map for each image and route (N, K, H, W): of a number, of one for each image, or as given (N, H, W)."""
        columns: list[Tensor] = []
        for route, weight in zip(self.routes, given, strict=True):
            column = torch.as_tensor(weight, dtype=like.dtype, device=like.device)
            if column.dim() == 1:
                column = column.view(-1, 1, 1)
            try:
                columns.append(column.expand(batch, *size))
            except RuntimeError:
                shown = tuple(column.shape)
                raise GateError(f"weights forced on `{route}` are {shown}, {(batch, *size)} is needed") from None
        return torch.stack(columns, 1) if columns else like.new_zeros(batch, 0, *size)


def _taken(weight: Weight, places: Sequence[int]) -> Weight:
    return weight[list(places)] if isinstance(weight, Tensor) and weight.dim() > 0 else weight
