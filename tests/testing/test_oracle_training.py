"""Batch statistics in the oracle: who counts, and what happens where too few do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from routespace.graph.build import build
from routespace.graph.ir import RouteGraph
from routespace.language.load import loads
from routespace.testing.cases import random_state
from routespace.testing.oracle import Oracle, OracleResult

TEXT = """space one {{
  input image: 2
  gate soft per image {{
    body       mean | conv(1, routes, bias)
    activation threshold(0.5)
  }}
  node only {{
    x = image | conv(1, 2, stride = {stride})
    h = x | batchnorm({stats})
    send h by soft(x) {{
      out: identity
    }}
  }}
  output y = out
}}
"""


def space(stats: str, stride: int = 8) -> RouteGraph:
    return build(loads(TEXT.format(stats=f"stats = {stats}", stride=stride)))


def train(graph: RouteGraph, images: Tensor, forced: list[float]) -> tuple[OracleResult, dict[str, Tensor]]:
    state = random_state(graph, 1)
    oracle = Oracle(graph, state, mode="training")
    return oracle.run(images, {"only": {"out": torch.tensor(forced, dtype=torch.float64)}}), state


@pytest.mark.parametrize(("stats", "counted"), [("all", [0, 1, 2]), ("active", [0, 2])])
def test_closed_images_count_under_all_only(stats: str, counted: list[int]) -> None:
    graph = space(stats)
    images = torch.randn(3, 2, 64, 64, dtype=torch.float64)
    result, state = train(graph, images, [1.0, 0.0, 1.0])
    norm = nn.BatchNorm2d(2).double()
    norm.load_state_dict({name.removeprefix("only.h.op."): x for name, x in state.items() if ".h." in name})
    entering = torch.cat([x for i in counted if (x := result.streams["only.x"][i]) is not None])
    leaving = norm(entering)
    wanted = {image: leaving[place] for place, image in enumerate(counted)}
    torch.testing.assert_close(result.output[0], wanted[0])
    torch.testing.assert_close(result.output[2], wanted[2])
    assert not result.output[1].any()
    torch.testing.assert_close(result.state["only.h.op.running_mean"], norm.running_mean)
    torch.testing.assert_close(result.state["only.h.op.running_var"], norm.running_var)


@pytest.mark.parametrize("forced", [[1.0, 0.0], [0.0, 0.0]])
def test_a_single_value_takes_the_running_statistics(forced: list[float]) -> None:
    graph = space("active", stride=64)
    result, state = train(graph, torch.randn(2, 2, 64, 64, dtype=torch.float64), forced)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(result.state[f"only.h.op.{name}"], state[f"only.h.op.{name}"])
    if forced[0]:
        norm = nn.BatchNorm2d(2).double().eval()
        norm.load_state_dict({name.removeprefix("only.h.op."): x for name, x in state.items() if ".h." in name})
        entering = result.streams["only.x"][0]
        assert entering is not None
        torch.testing.assert_close(result.output[:1], norm(entering))


def test_runs_do_not_see_each_other() -> None:
    graph = space("all")
    oracle = Oracle(graph, random_state(graph, 1), mode="training")
    images = torch.randn(2, 2, 64, 64, dtype=torch.float64)
    first, second = oracle.run(images), oracle.run(images)
    assert torch.equal(first.output, second.output)
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)
