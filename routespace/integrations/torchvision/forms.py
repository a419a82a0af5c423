"""One space in two forms on one set of weights: dense where it learns, sparse where it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn

import routespace as rs
from routespace.runtime.leaves import GateLeaf
from routespace.runtime.result import Outcome
from routespace.space.model import Space

OPS = {"op", "body", "activation"}
"""What values hold that is the same in every form."""


class TwoForms(nn.Module):
    """A compiled space that runs its `dense` form in training mode and its `sparse` form in evaluation mode.

    Both have the ops and gates of `dense`, which alone is a child: the state_dict, the optimizer, the device, hooks and
    blocks such as `rs.forcing` see one module. Takes the levels of a pyramid, finest first, and returns an `Outcome`.
    """

    def __init__(self, space: Space, seed: int = 0) -> None:
        super().__init__()
        self.dense = rs.compile(space, "dense", seed=seed)
        self._evaluating = (rs.compile(space, "sparse"),)
        self.in_evaluation: Literal["dense", "sparse"] = "sparse"
        self._share()

    @property
    def sparse(self) -> nn.Module:
        """The sparse form, on the ops that the dense form has now."""
        self._share()
        return self._evaluating[0]

    def forward(self, levels: Sequence[Tensor]) -> Outcome:
        running = self.dense if self.training or self.in_evaluation == "dense" else self.sparse
        outcome: Outcome = running(levels)
        return outcome

    def _share(self) -> None:
        """Ops and gates of `dense`, as they are now, become those of the sparse form: weights, hooks, parts that were
        put in others' place, and whatever blocks say of a gate."""
        (sparse,) = self._evaluating
        others = dict(sparse.named_modules())
        for name, own in self.dense.named_modules():
            other = others.get(name)
            if other is None:
                continue
            for part in OPS & own._modules.keys() & other._modules.keys():
                other._modules[part] = own._modules[part]
            if isinstance(own, GateLeaf) and isinstance(other, GateLeaf):
                other.control = own.control

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        shared = set(self.dense.modules())
        for part in self.sparse.modules():
            if part not in shared:
                part._apply(fn, recurse=False)  # type: ignore[no-untyped-call]
        return self


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
