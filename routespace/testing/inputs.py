"""What a compiled module is called with: one tensor of images, or a pyramid of them by level."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

Inputs: TypeAlias = "Tensor | dict[str, Tensor]"


def over(images: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """`change` done to the tensor, or to that of every level.

    >>> import torch
    >>> over({"p3": torch.zeros(2, 4, 8, 8)}, lambda x: x[:1])["p3"].shape
    torch.Size([1, 4, 8, 8])
    """
    if isinstance(images, Tensor):
        return change(images)
    return {level: change(one) for level, one in images.items()}


def one_of(images: Inputs, image: int) -> Inputs:
    """A batch of one of the images."""
    return over(images, lambda x: x[image : image + 1])


def levels(images: Inputs) -> list[Tensor]:
    """The tensor, or those of all levels."""
    return [images] if isinstance(images, Tensor) else list(images.values())
