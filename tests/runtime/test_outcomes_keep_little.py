"""An outcome keeps neither images nor feature maps alive, and tells costs and margins all the same."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import routespace as rs
from routespace.graph import ledger
from routespace.runtime.result import Outcome

LARGE = 4096
"""Bytes: more than what gates say of three images, less than a map of them."""


class Noting(TorchDispatchMode):
    """Notes every large storage that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[StorageWeakRef] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, Tensor) and one.untyped_storage().nbytes() > LARGE:
                self.made.append(StorageWeakRef(one.untyped_storage()))
        return made


SPACES: dict[str, dict[str, Any]] = {"small": {"width": 8, "depth": 2}, "dynamic_head": {"depth": 1, "width": 32}}


def given(name: str, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if name == "dynamic_head":
        return [torch.randn(3, 32, side, side, generator=generator) for side in (16, 8, 4, 2, 1)]
    return [torch.rand(3, 3, 72, 64, generator=generator)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
@pytest.mark.parametrize("name", SPACES)
def test_nothing_large_is_kept(name: str, form: Any, training: bool) -> None:
    if training and form == "export":
        pytest.skip("the export form is for inference")
    module = rs.compile(rs.load(rs.example(name), **SPACES[name]), form, seed=1).train(training)
    calling: Any = (lambda x: module(x)) if name == "dynamic_head" else (lambda x: module(*x))
    with torch.no_grad():
        calling(given(name, 0))
        images = given(name, 1)
        wanted = calling(images).routing.cost
        noted = [StorageWeakRef(one.untyped_storage()) for one in images]
        with Noting() as noting:
            outcome: Outcome = calling(images)
        del images, outcome.output
    gc.collect()
    routing = outcome.routing
    told = [one for by in (routing.weights, routing.logits) for of in by.values() for one in of.values()]
    own = {one.untyped_storage()._cdata for one in told}
    kept = [one for one in (*noted, *noting.made) if not one.expired() and one.cdata not in own]
    assert len(noting.made) > 10
    if name == "small":
        assert not kept
    assert len({one.cdata for one in kept}) <= len(routing.weights)  # where maps are open, a bit for each position
    assert torch.equal(routing.cost.hard, wanted.hard)
    assert routing.cost.under("macs").by_value() and routing.margins()


def test_bounds_are_computed_once_for_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    module = rs.compile(rs.load(rs.example("small"), width=4, depth=1))
    images = given("small", 0)[0]
    rs.budget_loss(module, module(images), 1.0)
    asked: list[object] = []
    row = ledger.price
    monkeypatch.setattr("routespace.graph.bounds.price", lambda *given: asked.append(given) or row(*given))
    for _ in range(3):
        rs.budget_loss(module, module(images), 1.0)
    assert not asked
    rs.budget_loss(module, module(images[:, :, :64]), 1.0)
    assert asked
