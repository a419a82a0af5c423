"""Sets of active positions of a batch of maps, and where they lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from routespace.runtime.positions.geometry import Size, Window


class Places:
    """The positions of `mask` (N, 1, H, W) bool, in order of image, row and column. Indices are computed once."""

    def __init__(self, mask: Tensor) -> None:
        self._mask: Tensor | Callable[[], Tensor] = mask
        self.batch, self.size = mask.shape[0], (mask.shape[2], mask.shape[3])

    @classmethod
    def later(cls, mask: Callable[[], Tensor], batch: int, size: Size) -> Places:
        """The positions of a mask that is made when somebody asks for it."""
        places = cls.__new__(cls)
        places._mask, places.batch, places.size = mask, batch, size
        return places

    @cached_property
    def mask(self) -> Tensor:
        return self._mask if isinstance(self._mask, Tensor) else self._mask()

    @cached_property
    def index(self) -> Tensor:
        """Indices (K,) into the positions of all images."""
        return self.mask.reshape(-1).nonzero().view(-1)

    @cached_property
    def counts(self) -> list[int]:
        """Positions of each image."""
        if self.batch == 1:
            return [len(self.index)]
        found: list[int] = self.mask.flatten(1).sum(1).tolist()
        return found

    @property
    def total(self) -> int:
        return len(self.index)

    @property
    def extent(self) -> int:
        """Positions of all maps, active or not."""
        return self.batch * self.size[0] * self.size[1]

    @property
    def full(self) -> bool:
        return self.total == self.extent

    @cached_property
    def others(self) -> Tensor:
        """Indices of the positions that are not active."""
        return (~self.mask).reshape(-1).nonzero().view(-1)

    @cached_property
    def corner(self) -> tuple[Tensor, Tensor, Tensor]:
        """Image, row and column (K,) of each position."""
        line = self.index.div(self.size[1], rounding_mode="floor")
        image = line.div(self.size[0], rounding_mode="floor")
        return image, line - image * self.size[0], self.index - line * self.size[1]

    def inside(self, padding: Size) -> Tensor:
        """Indices (K,) of the positions in maps padded on all sides."""
        if padding == (0, 0):
            return self.index
        image, row, column = self.corner
        high, wide = (length + 2 * pad for length, pad in zip(self.size, padding, strict=True))
        return (image * high + row + padding[0]) * wide + column + padding[1]

    def starts(self, window: Window, size: Size) -> Tensor:
        """Indices (K, kernel rows), in padded maps of `size`, of the first tap of each line of each window."""
        image, row, column = self.corner
        high, wide = (length + 2 * pad for length, pad in zip(size, window.padding, strict=True))
        first = (image * high + row * window.stride[0]) * wide + column * window.stride[1]
        lines = torch.arange(window.kernel[0], device=first.device) * (window.dilation[0] * wide)
        return first[:, None] + lines

    def within(self, wider: Places) -> Tensor:
        """Places (K,) of these positions in the order of a set that holds them all."""
        return torch.searchsorted(wider.index, self.index)
