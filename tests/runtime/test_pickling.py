"""Outcomes can be written and copied; modules can be copied, and say what to write instead."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

import routespace as rs
from routespace.runtime.result import ByRoute, Outcome, Routing

FORMS = ["dense", "sparse", "export"]
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def through_file(given: Any) -> Any:
    file = io.BytesIO()
    torch.save(given, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def assert_same(one: ByRoute, other: ByRoute) -> None:
    assert {node: list(routes) for node, routes in one.items()} == {
        node: list(routes) for node, routes in other.items()
    }
    for node, routes in one.items():
        for route, tensor in routes.items():
            torch.testing.assert_close(tensor, other[node][route], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("again", [through_file, lambda given: pickle.loads(pickle.dumps(given)), copy.deepcopy])
@pytest.mark.parametrize("space", ["small", "two_grains"])
@pytest.mark.parametrize("form", FORMS)
def test_outcomes_come_back(form: Any, space: str, again: Any) -> None:
    module = rs.compile(rs.load(rs.example(space), width=8), form=form).eval()
    with torch.no_grad():
        outcome = module(IMAGES)
        found: Outcome = again(outcome)
        routing: Routing = again(outcome.routing)
        with rs.replaying(module, routing):
            replayed = module(IMAGES)
    assert torch.equal(found.output, outcome.output) and found.size == outcome.size
    for one in (found.routing, routing):
        assert_same(one.weights, outcome.routing.weights)
        assert_same(one.margins(), outcome.routing.margins())
        for name in ("expected", "hard", "executed"):
            assert torch.equal(getattr(one.cost, name), getattr(outcome.routing.cost, name))
        with pytest.raises(ValueError, match="without its ledger"):
            one.cost.under("macs")
    assert outcome.routing.cost.under("macs").by_value()
    assert torch.equal(replayed.output, outcome.output)


@pytest.mark.parametrize("form", FORMS)
def test_modules_are_copied_and_not_pickled(form: Any, tmp_path: Path) -> None:
    module = rs.compile(rs.load(rs.example("small"), depth=2, width=8), form=form).eval()
    twin = copy.deepcopy(copy.deepcopy(module))
    for one in (module, twin):
        for write in (pickle.dumps, lambda given: torch.save(given, tmp_path / "module.pt")):
            with pytest.raises(TypeError, match=r"save `module\.state_dict\(\)` .* `.*save_artifact`"):
                write(one)
    with torch.no_grad(), rs.forcing(twin, {"layer0.s4": "closed"}):
        changed, kept = twin(IMAGES), module(IMAGES)
    assert not torch.equal(changed.output, kept.output)
    assert torch.equal(changed.routing.weights["layer0.s4"]["keep"], torch.zeros(2))


def test_a_pyramid_is_not_pickled() -> None:
    module = rs.compile(rs.load(rs.example("dynamic_head"), depth=1, width=32))
    with pytest.raises(TypeError, match="save_artifact"):
        pickle.dumps(copy.deepcopy(module))
