"""The positions that the leaves of an op computed in a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn


@dataclass
class Work:
    """Positions of its output that each leaf computed, by leaf: a count for each image of the batch.

    A leaf that has not run is not there; one that ran twice is charged twice.
    """

    images: int
    positions: dict[nn.Module, list[int]] = field(default_factory=dict)

    def note(self, leaf: nn.Module, images: Sequence[int], counts: Sequence[int]) -> None:
        """Charge `leaf` with a count for each of `images`."""
        charged = self.positions.setdefault(leaf, [0] * self.images)
        for image, count in zip(images, counts, strict=True):
            charged[image] += count

    def of(self, leaf: nn.Module) -> list[int]:
        """Positions of each image that a leaf computed."""
        return self.positions.get(leaf, [0] * self.images)
