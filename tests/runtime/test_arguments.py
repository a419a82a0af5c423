"""What cannot be meant is told by name, where it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import routespace as rs

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
SPACE = rs.load(rs.example("small"), depth=2, width=8)
MODULE = rs.compile(SPACE, form="sparse")


def force(gates: Any) -> Any:
    with torch.no_grad(), rs.forcing(MODULE, gates):
        return MODULE(IMAGES)


def budget(progress: float) -> Any:
    return rs.budget_loss(MODULE, MODULE(IMAGES), progress)


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: rs.compile(SPACE, seed=1.5), TypeError, "`seed` is a whole number, not 1.5"),  # type: ignore[arg-type]
        (lambda: rs.compile(SPACE, seed=None), TypeError, "`seed` is a whole number, not None"),  # type: ignore[arg-type]
        (lambda: rs.compile(SPACE, "fixed", net=["a"]), TypeError, "not a list"),  # type: ignore[arg-type]
        (
            lambda: rs.compile(SPACE, "fixed", net={"layer0.s4": {"keep": torch.ones(2)}}),  # type: ignore[dict-item]
            rs.RouteError,
            "`keep` of `layer0.s4` is held at a Tensor, not a number",
        ),
        (lambda: rs.loads(b"space a {}"), TypeError, "`text` is a str, not bytes"),  # type: ignore[arg-type]
        (lambda: force(["layer0.s4"]), rs.GateError, "a mapping from nodes to weights, not a list"),
        (lambda: force({"layer0.s4": {"keep": torch.ones(4)}}), rs.GateError, "are for 4 images, the batch has 2"),
        (lambda: force({"layer0.s4": {"keep": torch.ones(2, 1)}}), rs.GateError, r"are \(2, 1\), one for each image"),
        (lambda: rs.freeze(MODULE, "layer1.s88"), rs.GateError, "did you mean `layer1.s8`"),
        (lambda: rs.freeze(MODULE, 5), rs.GateError, "no gate at a node `5`"),
        (lambda: force({5: "closed"}), rs.GateError, "`5`"),
        (lambda: force({None: None}), rs.GateError, "`None`"),
        (lambda: force({"layer0.s4": {1: 1.0}}), rs.GateError, "`1`"),
        (lambda: rs.record(MODULE, IMAGES), TypeError, r"an iterable of batches, not a Tensor: give `\[images\]`"),
        (lambda: rs.budget_loss(MODULE, IMAGES, 0.5), TypeError, "not a Tensor"),  # type: ignore[arg-type]
        (lambda: budget(float("nan")), ValueError, "`progress` is nan"),
        (lambda: budget(1.5), ValueError, "`progress` is 1.5"),
        (lambda: budget(-0.1), ValueError, "`progress` is -0.1"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        call()


@pytest.mark.parametrize("weight", [np.float32(0.5), np.float64(0.5), torch.tensor(0.5), 0.5])
def test_numbers_of_every_kind_are_forced(weight: Any) -> None:
    for gates in ({"layer0.s4": {"keep": weight}}, {"layer0.s4": float(weight)}):
        assert force(gates).routing.weights["layer0.s4"]["keep"].tolist() == [0.5, 0.5]
    if isinstance(weight, np.floating):
        assert force({"layer0.s4": weight}).routing.weights["layer0.s4"]["keep"].tolist() == [0.5, 0.5]


def test_weights_below_0_are_closed_and_those_above_1_are_not_cut_off() -> None:
    weights = force({"layer0.s4": {"keep": -1.0, "down": 2.0}}).routing.weights["layer0.s4"]
    assert weights["keep"].tolist() == [0.0, 0.0] and weights["down"].tolist() == [2.0, 2.0]


def test_seeds_of_numpy_are_whole_numbers() -> None:
    one, other = (rs.compile(SPACE, seed=seed).state_dict() for seed in (3, np.int64(3)))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
