"""One space in two forms on one set of weights: dense where it learns, sparse where it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn

import routespace as rs
from routespace.runtime.result import Outcome
from routespace.space.model import Space


class TwoForms(nn.Module):
    """A compiled space that runs its `dense` form in training mode and its `sparse` form in evaluation mode.

    Both have the tensors of `dense`, which alone is a child: the state_dict, the optimizer and the device see one
    module. Takes the levels of a pyramid, finest first, and returns an `Outcome`.
    """

    def __init__(self, space: Space, seed: int = 0) -> None:
        super().__init__()
        self.dense = rs.compile(space, "dense", seed=seed)
        self._evaluating = (rs.compile(space, "sparse"),)
        self.in_evaluation: Literal["dense", "sparse"] = "sparse"
        self._share()

    @property
    def sparse(self) -> nn.Module:
        """The sparse form, on the tensors that the dense form has now."""
        self._share()
        return self._evaluating[0]

    def forward(self, levels: Sequence[Tensor]) -> Outcome:
        running = self.dense if self.training or self.in_evaluation == "dense" else self.sparse
        outcome: Outcome = running(levels)
        return outcome

    def _share(self) -> None:
        """Parameters and saved buffers of `dense` become those of the sparse form."""
        (sparse,) = self._evaluating
        for name, own in self.dense.named_modules():
            if own._parameters or own._buffers:
                other = sparse.get_submodule(name) if _has(sparse, name) else None
                if other is not None:
                    other._parameters.update(own._parameters)
                    kept = {key: one for key, one in own._buffers.items() if key not in own._non_persistent_buffers_set}
                    other._buffers.update(kept)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._evaluating[0]._apply(fn)  # type: ignore[no-untyped-call]
        self._share()
        return self


def _has(module: nn.Module, name: str) -> bool:
    try:
        module.get_submodule(name)
    except AttributeError:
        return False
    return True


@contextmanager
def evaluating_in(module: nn.Module, form: Literal["dense", "sparse"]) -> Iterator[nn.Module]:
    """Within the block, the compiled heads of `module` run in `form` in evaluation mode."""
    heads = [part for part in module.modules() if isinstance(part, TwoForms)]
    before = [part.in_evaluation for part in heads]
    try:
        for part in heads:
            part.in_evaluation = form
        yield module
    finally:
        for part, was in zip(heads, before, strict=True):
            part.in_evaluation = was
