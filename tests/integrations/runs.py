"""Short runs of a small space, for tests and for the processes that they start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

import routespace as rs

if TYPE_CHECKING:
    from routespace.integrations.train import TrainResult

GATED = """space seg(classes = 3, weight = 0.0) {
  input image: 3
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh; start value(0.6) }
  node n { x = image | conv(3, 4); y = x + soft(x) * (x | conv(3) | relu) }
  output o = y | conv(1, classes, bias)
  budget square(expected / maximum, 0.1, weight = weight)
}"""


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Crops with a label each; those at `void` hold ignored pixels only, those at `broken` a NaN."""

    def __init__(self, count: int, void: tuple[int, ...] = (), broken: tuple[int, ...] = ()) -> None:
        self.count, self.void, self.broken = count, void, broken

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(index))
        if index in self.broken:
            image[1, 5, 7] = float("nan")
        return image, torch.full((64, 64), 255 if index in self.void else index % 3)


def run(out: Path, text: str = GATED, **changes: Any) -> TrainResult:
    weight = {"weight": changes.pop("weight")} if "weight" in changes else {}
    settings: dict[str, Any] = {
        "steps": 6, "batch_size": 1, "classes": 3, "train_set": Crops(6), "val_set": Crops(2), "progress": False,
        "validations": 1,
    }  # fmt: skip
    from routespace.integrations.train import train

    return train(rs.loads(text, **weight), out, **(settings | changes))
