"""Modes that hold for a while: evaluation of a module, and gradients as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock

import torch
from torch import nn


class _Evaluation:
    """The blocks in which a module is evaluated: how many there are, and the modes that its parts were in before."""

    def __init__(self, module: nn.Module) -> None:
        self.blocks, self.modes = 0, [(part, part.training) for part in module.modules()]


_evaluations: dict[nn.Module, _Evaluation] = {}
_lock = Lock()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within the block `module` is in evaluation mode, without gradients; then each part is in the mode it was in.

    Where blocks of several threads overlap, the last that is left gives the modes back.
    """
    with _lock:
        evaluation = _evaluations.setdefault(module, _Evaluation(module))
        evaluation.blocks += 1
        module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        with _lock:
            evaluation.blocks -= 1
            if not evaluation.blocks:
                del _evaluations[module]
                for part, training in evaluation.modes:
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
