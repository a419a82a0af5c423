"""The numbers of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

_LEAST = {"steps": 1, "batch_size": 1, "seed": 0, "warmup": 0}


@dataclass(frozen=True)
class Recipe:
    """SGD with a polynomial decay, after Li et al., CVPR 2020; `steps` and `warmup` count optimizer steps.

    Two runs with the same recipe, space and data give the same weights, interrupted or not. Raises `ValueError` for
    numbers that no run can have.
    """

    steps: int
    batch_size: int = 16
    lr: float = 0.05
    seed: int = 0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    power: float = 0.9
    warmup: int = 0
    clip: float = 5.0
    ignore_index: int = 255

    def __post_init__(self) -> None:
        for name, value in ((one.name, getattr(self, one.name)) for one in fields(self)):
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if name in _LEAST and (not is_whole or value < _LEAST[name]):
                raise ValueError(f"`{name}` is {value!r}: a whole number of at least {_LEAST[name]} is needed")
            if name not in _LEAST and name != "ignore_index" and not 0.0 <= value < math.inf:
                raise ValueError(f"`{name}` is {value!r}: a finite number of at least 0 is needed")

    def lr_factor(self, step: int) -> float:
        """What `lr` is multiplied by at `step`: up linearly over `warmup` steps, and down as (1 - progress)^power.

        >>> recipe = Recipe(steps=100, warmup=10)
        >>> recipe.lr_factor(0), recipe.lr_factor(100)
        (0.1, 0.0)
        """
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return float(rise * (1.0 - min(step / self.steps, 1.0)) ** self.power)
