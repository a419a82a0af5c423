"""Steps of optimizers leave a mark on what they wrote.

What is derived from parameters is kept until a parameter changes, as its version tells. Kernels that update many
parameters at one go ("fused" optimizers, those of other libraries) write without counting versions on.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch.autograd.graph import increment_version
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook


@cache
def mark_steps() -> None:
    """From now on, let every step of an optimizer count the versions of the parameters on that it moves."""
    register_optimizer_step_post_hook(_mark)


def _mark(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and not parameter.is_inference():
                increment_version(parameter)
