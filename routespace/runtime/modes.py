"""Modes that hold for a while: evaluation of a module, and gradients as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within the block `module` is in evaluation mode, without gradients; then each part is in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for part, training in modes:
            part.training = training


def as_now() -> Callable[[], AbstractContextManager[None]]:
    """A context in which gradients are recorded, or are not, as they are now, wherever it is entered."""
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    @contextmanager
    def again() -> Iterator[None]:
        if (grad, inference) == (torch.is_grad_enabled(), torch.is_inference_mode_enabled()):
            yield
            return
        with torch.inference_mode(inference), torch.set_grad_enabled(grad):
            yield

    return again
