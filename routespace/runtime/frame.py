"""What one call of a compiled module carries along: sizes, batch, and what has been run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.runtime.blanks import BlankStore
from routespace.runtime.errors import InputError
from routespace.space.shape import Stride

Size = tuple[int, int]
SizesOf = Callable[[Size], tuple[dict[Stride, Size], Mapping[str, Size]]]


@dataclass
class Frame:
    """One call: the batch size, sizes of streams by stride and by name, and images that ran, by unit."""

    batch: int
    size: Size
    sizes: dict[Stride, Size]
    values: Mapping[str, Size]
    images: Tensor
    blanks: BlankStore
    ran: dict[int, list[int]] = field(default_factory=dict)
    latest: tuple[Tensor, Tensor] | None = None

    @property
    def dtype(self) -> torch.dtype:
        return self.images.dtype

    def rectified(self, x: Tensor) -> Tensor:
        """relu(x), computed once for the routes of a node that all begin with it; nobody writes into it."""
        if self.latest is None or self.latest[0] is not x:
            self.latest = (x, F.relu(x))
        return self.latest[1]

    def log(self, unit: int, images: tuple[int, ...]) -> None:
        """Note that a unit of the ledger ran for `images`."""
        self.ran.setdefault(unit, []).extend(images)


class Begin(nn.Module):
    """Checks the images and opens the frame of a call.

    `sizes_of` gives, for an image size, the sizes of streams by stride and by name; it raises `InputError` where a
    size does not fit. `like` holds a parameter whose device and dtype images must have, if the module has parameters.
    """

    def __init__(
        self,
        name: str,
        channels: int,
        smallest: int,
        sizes_of: SizesOf,
    ) -> None:
        super().__init__()
        self.name, self.channels, self.smallest = name, channels, smallest
        self.sizes_of = lru_cache(maxsize=64)(sizes_of)
        self.blanks = BlankStore()
        self.like: tuple[Tensor, ...] = ()

    def forward(self, images: Tensor) -> Frame:
        if not isinstance(images, Tensor) or images.dim() != 4:
            shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise InputError(f"input `{self.name}` must be (N, {self.channels}, H, W), not {shape}")
        if images.shape[1] != self.channels:
            raise InputError(f"input `{self.name}` has {images.shape[1]} channels; the space declares {self.channels}")
        if not images.is_floating_point():
            raise InputError(f"input `{self.name}` is {images.dtype}; a floating-point tensor is needed")
        size = (int(images.shape[2]), int(images.shape[3]))
        if min(size) < self.smallest:
            raise InputError(
                f"images of {size[0]}x{size[1]} are too small; {self.smallest} pixels a side are the minimum"
            )
        for parameter in self.like:
            check_against(images, parameter)
        return Frame(images.shape[0], size, *self.sizes_of(size), images, self.blanks)


def check_against(images: Tensor, parameter: Tensor) -> None:
    """Images must live where the weights live and have their dtype (autocast excepted)."""
    if images.device != parameter.device:
        raise InputError(f"images are on {images.device}, the module's weights on {parameter.device}")
    if images.dtype != parameter.dtype and not torch.is_autocast_enabled(images.device.type):
        raise InputError(f"images are {images.dtype}, the module's weights {parameter.dtype}")
