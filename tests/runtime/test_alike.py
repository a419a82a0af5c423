"""Gates that decide alike for every image of a set are told, and no others."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import routespace as rs

IMAGES = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
IMAGES[3:] *= 0.2


def space(gate: str, unit: str = "image", more: str = "") -> nn.Module:
    return rs.compile(
        rs.loads(f"""space s {{
          input image: 3
          gate g per {unit} {{ {gate} }}
          node n {{ x = image | conv(3, 4); {more} y = {"z" if more else "x"} + g(x) * (x | conv(3) | relu) }}
          output y = y
        }}"""),
        form="sparse",
    )


def decide(module: nn.Module, weight: float, bias: float) -> nn.Module:
    """Let the one gate give `weight` times the mean of what it reads, plus `bias`."""
    state = module.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            if "gate.body" in name:
                tensor.fill_(weight if name.endswith("weight") else bias)
            elif name.endswith("x.op.weight"):
                tensor.fill_(0.01)
    module.load_state_dict(state)
    return module


def remark(module: nn.Module, images: Tensor = IMAGES) -> str:
    """What `record` says, image by image and in two batches: the same."""
    told: set[str] = set()
    for batches in ([images[:2], images[2:]], list(images.split(1))):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            rs.record(module, batches)
        told.add("".join(str(one.message) for one in found))
        assert all(one.category is rs.AlikeWarning for one in found)
    (only,) = told
    return only


SOFT = "body mean | conv(1, routes, bias); activation relu_tanh"


@pytest.mark.parametrize(
    ("gate", "weight", "bias", "says"),
    [
        (SOFT, 0.0, -1.0, "`n` is always closed (6 images)"),
        (SOFT, 0.0, 1.0, "`n` is always open (6 images)"),
        (SOFT, 0.1, 1.0, "`n` is always open (6 images)"),
        (SOFT, 1.0, -0.3, ""),
        ("body mean | conv(1, routes, bias); activation sigmoid", 0.0, 0.0, "`n` always weighs y.2 0.5 (6 images)"),
        ("body mean | conv(1, routes, bias); activation sigmoid", 1.0, 0.0, ""),
    ],
)
def test_gates_that_decide_alike_are_named(gate: str, weight: float, bias: float, says: str) -> None:
    told = remark(decide(space(gate), weight, bias))
    assert says in told if says else not told
    assert not told or told.startswith("1 of 1 gates decide alike for every image: ")


@pytest.mark.parametrize(("weight", "bias", "says"), [(0.0, -1.0, "is always closed"), (30.0, -3.0, "")])
def test_gates_per_position_are_alike_where_all_positions_are(weight: float, bias: float, says: str) -> None:
    module = decide(space("body conv(1, routes, bias); activation relu_tanh", "position"), weight, bias)
    told = remark(module)
    assert says in told if says else not told


def test_one_branch_that_is_always_taken_is_named() -> None:
    module = rs.compile(rs.load(rs.example("small"), depth=1, width=4), form="sparse", seed=1)
    with rs.forcing(module, {"layer1.s8": "open"}):
        told = remark(module)
    assert "`layer1.s8`" not in told


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_images_are_no_set(count: int) -> None:
    assert bool(remark(decide(space(SOFT), 0.0, 1.0), IMAGES[:count])) == (count == 3)


def test_several_gates_of_a_node_are_told_apart() -> None:
    module = space(SOFT, more="z = x + g(x) * (x | conv(1));").cpu()
    told = remark(decide(module, 0.0, 1.0))
    assert "`n.y.2.gate` is always open" in told and "`n.z.2.gate` is always open" in told


def test_gates_that_nobody_asked_are_not_named() -> None:
    text = rs.example("small").read_text()
    module: Any = rs.compile(rs.loads(text, depth=2, width=4), form="sparse", seed=1)
    with rs.forcing(module, {"layer0.s4": "closed", "layer1.s4": "closed"}):
        reached = module(IMAGES).routing.reached
        told = remark(module)
    unasked = [node for node, images in reached.items() if not bool(images.any())]
    assert unasked and not any(f"`{node}`" in told for node in [*unasked, "layer0.s4", "layer1.s4"])


def test_many_gates_are_counted() -> None:
    module = rs.compile(rs.load(rs.example("small"), depth=4, width=4), form="sparse", seed=1)
    told = remark(module)
    gates = len(rs.graph_of(module).gates)
    assert gates > 8 and told.endswith(" more") == (int(told.split()[0]) > 8) and told.count("images)") <= 8
