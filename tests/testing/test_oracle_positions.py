"""The oracle on gates per position, against numbers worked out by hand."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import routespace as rs
from routespace.graph.build import build
from routespace.graph.ir import IDENTITY, Gate, RouteGraph
from routespace.language.load import loads
from routespace.testing.cases import random_case, random_state
from routespace.testing.oracle import Oracle, OracleResult
from routespace.testing.oracle.footprints import interpolated, windows
from routespace.testing.oracle.maps import decide_forced_maps, decide_maps

SPACE = """space spot {{
  input image: 1
  gate fine per position {{ body conv(1, routes, bias); activation relu_tanh }}
  node {{ x = image | fine * ({op}) }}
  output y = x
}}"""


def graph(op: str) -> RouteGraph:
    return build(loads(SPACE.format(op=op)))


def run(op: str, mask: Tensor, images: Tensor, mode: str = "inference", **weights: float) -> OracleResult:
    """The oracle with the gate forced to `mask`; every weight whose name ends like that is filled with a number."""
    built = graph(op)
    state = random_state(built, 0)
    for name, tensor in state.items():
        for ending, value in weights.items():
            if name.endswith(ending):
                tensor.fill_(value)
    with torch.no_grad():
        return Oracle(built, state, mode).run(images, {"node": {"x": mask}})  # type: ignore[arg-type]


def spot(row: int, column: int, weight: float = 0.5, size: int = 64) -> Tensor:
    mask = torch.zeros(1, size, size, dtype=torch.float64)
    mask[0, row, column] = weight
    return mask


@pytest.mark.parametrize(
    ("args", "at", "covered"),
    [
        ({"kernel": 3, "stride": 1}, 0, [0, 1]),
        ({"kernel": 3, "stride": 1}, 9, [8, 9]),
        ({"kernel": 3, "stride": 2}, 2, [3, 4, 5]),
        ({"kernel": 3, "stride": 1, "dilation": 2}, 3, [1, 3, 5]),
        ({"kernel": 2, "stride": 2, "pad": 0}, 4, [8, 9]),
        ({"kernel": 3, "stride": 1, "pad": 2}, 0, [0]),
    ],
)
def test_windows(args: dict[str, int], at: int, covered: list[int]) -> None:
    assert windows(at, args, 10) == covered


def test_what_interpolated_positions_lie_between() -> None:
    """Doubling 4 positions: output 3 is a quarter of the way from 1 to 2; with aligned corners 4 to 7 ends on ends."""
    assert interpolated(3, 4, 8, Fraction(2), False, False) == [1, 2]
    assert interpolated(0, 4, 8, Fraction(2), False, False) == [0]
    assert interpolated(7, 4, 8, Fraction(2), False, False) == [3]
    assert interpolated(6, 4, 7, None, True, False) == [3]
    assert interpolated(6, 4, 7, None, True, True) == [2, 3]
    assert interpolated(1, 4, 7, None, True, False) == [0, 1]


@pytest.mark.parametrize(
    ("op", "needed"),
    [
        ("conv(3, 2) | conv(3, 2)", [9, 1]),
        ("conv(3, 2, dilation = 2) | maxpool(3)", [9, 1]),
        ("conv(1, 2) | conv(3, 2) + conv(3, 2, dilation = 2)", [17, 1, 1]),
        ("conv(3, 2) | groupnorm(1) | conv(1, 2)", [4096, 1, 1]),
        ("conv(3, 2) | groupnorm(1, stats = active) | conv(1, 2)", [1, 1, 1]),
        ("conv(3, 2) | resize(by = 2) | conv(2, 2, stride = 2, pad = 0)", [9, 4, 1]),
    ],
)
def test_positions_needed_for_one_output(op: str, needed: list[int]) -> None:
    result = run(op, spot(10, 20), torch.ones(1, 1, 64, 64))
    leaves = result.needed("node.x", 0)
    assert [len(leaves[path]) for path in sorted(leaves)] == needed


def test_cost_weighs_each_position_by_the_heaviest_output() -> None:
    """Two outputs side by side: 12 positions in front of the last window, 9 of them by the heavier one."""
    mask = spot(10, 20, 0.75) + spot(10, 21, 0.25)
    cost = run("conv(1, 2) | conv(3, 2)", mask, torch.ones(1, 1, 64, 64)).cost()
    assert float(cost.hard) == 2 * 12 + 36 * 2
    assert float(cost.expected) == 2 * (9 * 0.75 + 3 * 0.25) + 36 * (0.75 + 0.25)


def test_a_convolution_at_one_position() -> None:
    images = torch.arange(64.0 * 64, dtype=torch.float64).view(1, 1, 64, 64)
    result = run("conv(3, 1)", spot(10, 20), images, weight=1.0)
    wanted = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    wanted[0, 0, 10, 20] = 0.5 * 9 * (10 * 64 + 20)
    assert torch.equal(result.output, wanted)


def test_nothing_is_read_where_nothing_is_needed() -> None:
    images = torch.full((1, 1, 64, 64), torch.nan, dtype=torch.float64)
    images[..., 9:12, 19:22] = 1.0
    assert float(run("conv(3, 1)", spot(10, 20), images, weight=1.0).output.sum()) == 4.5


def test_active_statistics_of_a_single_value() -> None:
    """A single value has no variance: what is left is the bias."""
    images = torch.randn(1, 1, 64, 64, dtype=torch.float64)
    result = run("groupnorm(1, stats = active)", spot(3, 4, 1.0), images, bias=0.25)
    assert result.output[0, 0, 3, 4] == 0.25 and int((result.output != 0).sum()) == 1


def test_batch_statistics_in_training() -> None:
    """Under `all` every position counts, the open ones or not; under `active` the two open ones."""
    images = torch.zeros(2, 1, 64, 64, dtype=torch.float64)
    images[0, 0, 3, 4], images[1, 0, 5, 6] = 2.0, 4.0
    mask = torch.cat([spot(3, 4), spot(5, 6)])
    for stats, mean in (("all", 6.0 / 8192), ("active", 3.0)):
        result = run(f"batchnorm(stats = {stats})", mask, images, "training", running_mean=0.0)
        assert float(result.state["node.x.op.running_mean"]) == pytest.approx(0.1 * mean)


def test_a_map_that_is_shut_everywhere_is_there() -> None:
    result = run("conv(3, 1)", spot(0, 0, 0.0), torch.ones(1, 1, 64, 64))
    assert result.present["node.x"] == (True,) and result.computed["node.x"] == (False,)
    assert result.blank["node.x"] == [True] and not result.output.any()


def gate(activation: str, **args: float) -> Gate:
    return Gate("g", "n", ("x",), IDENTITY, activation, tuple(args.items()), ("a", "b"), None, "position")


@pytest.mark.parametrize(
    ("activation", "args", "weights", "opened"),
    [
        ("relu_tanh", {}, [math.tanh(0.5), 0.0], [True, False]),
        ("geretanh", {"tau": 0.0}, [math.tanh(0.5), 0.0], [True, False]),
        ("threshold", {"at": 0.5}, [1.0, 0.0], [True, False]),
        ("argmax", {}, [1.0, 0.0], [True, False]),
        ("sigmoid", {}, [1 / (1 + math.exp(-0.5)), 0.5], [True, True]),
        ("softmax", {"temperature": 1.0}, [1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(0.5))], [True, True]),
    ],
)
def test_maps_of_weights(activation: str, args: dict[str, float], weights: list[float], opened: list[bool]) -> None:
    logits = torch.tensor([0.5, 0.0], dtype=torch.float64).view(2, 1, 1).expand(2, 2, 3)
    found = decide_maps(gate(activation, **args), logits)
    assert found.weights.shape == (2, 2, 3) and found.margin.shape == (2, 3)
    assert found.weights[:, 1, 2].tolist() == pytest.approx(weights)
    assert found.masks[:, 1, 2].tolist() == opened


def test_a_position_of_nan_is_open() -> None:
    logits = torch.full((2, 1, 2), -1.0, dtype=torch.float64)
    logits[0, 0, 1] = torch.nan
    for activation, args in (("relu_tanh", {}), ("geretanh", {"tau": 1.5}), ("threshold", {"at": 0.5})):
        assert decide_maps(gate(activation, **args), logits).masks.tolist() == [[[False, True]], [[False, False]]]
    assert decide_maps(gate("argmax"), logits).masks[0].tolist() == [[True, True]]
    assert decide_forced_maps(logits).masks[0].tolist() == [[False, True]]


def test_shared_weights_are_one_entry() -> None:
    text = """space s {
      axis level = p3, p4 with stride = 8 * 2^level
      input pyramid[level]: 2
      node at level { x = pyramid | conv(3) }
      output y[level] = x[level]
      share across(level)
    }"""
    built = build(loads(text))
    state = random_state(built, 0)
    assert list(state) == ["shared.x.op.weight"]
    pyramid = {"p3": torch.ones(1, 2, 8, 8), "p4": torch.ones(1, 2, 4, 4)}
    oracle = Oracle(built, state)
    outputs = oracle.run(pyramid).outputs
    assert {key: tuple(x.shape) for key, x in outputs.items()} == {"y.p3": (1, 2, 8, 8), "y.p4": (1, 2, 4, 4)}
    assert torch.equal(outputs["y.p3"][..., 2, 2], outputs["y.p4"][..., 2, 2])
    module = rs.compile(built)
    module.load_state_dict({"shared.x.op.0.weight": state["shared.x.op.weight"]}, strict=True)


def test_levels_of_random_pyramids_are_shares_of_each_other() -> None:
    seen = 0
    for seed in range(80):
        images = random_case(seed).images
        if isinstance(images, Tensor):
            continue
        seen += 1
        sizes = [one.shape[2:] for one in images.values()]
        for finer, coarser in pairwise(sizes):
            assert all(half in (whole // 2, (whole + 1) // 2) for whole, half in zip(finer, coarser, strict=True))
    assert seen >= 5
