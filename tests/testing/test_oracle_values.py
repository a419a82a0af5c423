"""The oracle against numbers worked out by hand, and against torch where torch says the same."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from routespace.graph.build import build
from routespace.graph.ir import Gate, RouteGraph
from routespace.language.load import loads
from routespace.testing.cases import random_case, random_state
from routespace.testing.oracle import Oracle, OracleResult, leaf_work, plan
from routespace.testing.oracle.decide import decide
from routespace.testing.oracle.evaluate import graph_modules

FORK = """space fork {{
  input image: 1
  axis layer = 0..1
  axis side = left, right
  gate soft per image {{
    body       mean | conv(1, routes, bias)
    activation relu_tanh
  }}
  node at layer, side {{
    x = image if layer == 0 else {merge}
    send x by soft(x) {{
      keep: identity
      swap: identity
    }} {closed}
  }}
  output y[side] = keep[1, side]
  live {live}
}}
"""

KEEP_ALL = {f"layer1.{side}": {"keep": 1.0} for side in ("left", "right")}


def fork(
    live: str = "by_route", merge: str = "keep[layer - 1, side] + swap[layer - 1, 1 - side]", closed: str = ""
) -> RouteGraph:
    return build(loads(FORK.format(live=live, merge=merge, closed=closed)))


def run(
    graph: RouteGraph, forced: dict[str, dict[str, float]], images: Tensor, mode: str = "inference"
) -> OracleResult:
    oracle = Oracle(graph, random_state(graph, 0), mode)  # type: ignore[arg-type]
    with torch.no_grad():
        return oracle.run(images, forced)


def gate(activation: str, routes: int, below: float = 0.0, **args: float) -> Gate:
    names = tuple(f"r{place}" for place in range(routes))
    from routespace.graph.ir import IDENTITY

    return Gate("g", "n", ("x",), IDENTITY, activation, tuple(args.items()), names, None, below=below)


@pytest.mark.parametrize(
    ("activation", "args", "logits", "weights", "opened"),
    [
        ("relu_tanh", {}, [0.5, -0.5, 0.0], [math.tanh(0.5), 0.0, 0.0], [True, False, False]),
        ("geretanh", {"tau": 1.5}, [1.5, -3.0], [math.tanh(1.5) / (1 + math.tanh(1.5)), 0.0], [True, False]),
        ("geretanh", {"tau": 0.0}, [0.7, -0.1], [math.tanh(0.7), 0.0], [True, False]),
        ("sigmoid", {}, [0.0, -800.0], [0.5, 0.0], [True, True]),
        ("softmax", {"temperature": 2.0}, [2.0, 0.0], [math.e / (1 + math.e), 1 / (1 + math.e)], [True, True]),
        ("argmax", {}, [0.1, 0.3, 0.3], [0.0, 1.0, 0.0], [False, True, False]),
        ("threshold", {"at": 0.5}, [0.01, 0.0, -1.0], [1.0, 0.0, 0.0], [True, False, False]),
        ("threshold", {"at": 0.8}, [1.0, 2.0], [0.0, 1.0], [False, True]),
    ],
)
def test_activations(
    activation: str, args: dict[str, float], logits: list[float], weights: list[float], opened: list[bool]
) -> None:
    found = decide(gate(activation, len(logits), **args), torch.tensor(logits, dtype=torch.float64))
    torch.testing.assert_close(found.weights, torch.tensor(weights, dtype=torch.float64))
    assert list(found.open) == opened
    assert found.closed is (not any(opened))


def test_a_gate_of_nan_is_open() -> None:
    for activation, args in (("relu_tanh", {}), ("geretanh", {"tau": 1.5}), ("argmax", {}), ("threshold", {"at": 0.5})):
        found = decide(gate(activation, 2, **args), torch.tensor([math.nan, -1.0], dtype=torch.float64))
        assert found.open == (True, False), activation
        assert not found.closed


def test_small_sums_close_a_gate_and_its_weights() -> None:
    logits = torch.tensor([0.1, 0.1], dtype=torch.float64)
    assert decide(gate("relu_tanh", 2, below=0.3), logits).weights.tolist() == [0.0, 0.0]
    assert not decide(gate("relu_tanh", 2, below=0.1), logits).closed


def test_straight_through_gradients() -> None:
    logits = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    decide(gate("threshold", 2, at=0.5), logits).weights.sum().backward()
    assert logits.grad is not None
    slope = torch.sigmoid(logits.detach()) * (1 - torch.sigmoid(logits.detach()))
    torch.testing.assert_close(logits.grad, torch.stack([slope[0], torch.zeros_like(slope[0])]))


def test_open_routes_are_weighed_and_added() -> None:
    images = torch.full((1, 1, 64, 64), 3.0)
    layer0 = {"layer0.left": {"keep": 0.5}, "layer0.right": {"swap": 0.25}}
    result = run(fork(), {**layer0, **KEEP_ALL}, images)
    assert result.outputs["y.left"].unique().tolist() == [3 * 0.5 + 3 * 0.25]
    assert result.outputs["y.right"].unique().tolist() == [0.0]
    assert torch.isnan(result.weights["layer1.right"]["keep"]).all()


@pytest.mark.parametrize(("live", "wanted"), [("by_route", -3.0), ("by_node", 0.0), ("always", 0.0)])
def test_a_shut_route_of_a_running_node_sends_zeros_or_nothing(live: str, wanted: float) -> None:
    graph = fork(live, merge="max(keep[layer - 1, side], swap[layer - 1, 1 - side])")
    layer0 = {"layer0.left": {"keep": 1.0}, "layer0.right": {"keep": 1.0, "swap": 0.0}}
    result = run(graph, {**layer0, **KEEP_ALL}, torch.full((1, 1, 64, 64), -3.0))
    assert result.outputs["y.left"].unique().tolist() == [wanted]


@pytest.mark.parametrize(
    ("live", "reached", "zeros"), [("by_route", False, False), ("by_node", True, True), ("always", True, True)]
)
def test_who_is_reached(live: str, reached: bool, zeros: bool) -> None:
    layer0 = {"layer0.left": {"keep": 1.0}, "layer0.right": {"swap": 1.0}}
    result = run(fork(live), {**layer0, **KEEP_ALL}, torch.ones(1, 1, 64, 64))
    assert result.consulted["layer1.right.gate"] == (reached,)
    assert result.zero_reached == (zeros,)


def test_a_closed_node_passes_its_input_on() -> None:
    layer0 = {"layer0.left": {"keep": 0.0}, "layer0.right": {"keep": 0.0}}
    images = torch.full((1, 1, 64, 64), 5.0)
    passed = run(fork(closed="closed keep = x"), {**layer0, **KEEP_ALL}, images)
    assert passed.outputs["y.left"].unique().tolist() == [5.0]
    nothing = run(fork(), {**layer0, **KEEP_ALL}, images)
    assert nothing.outputs["y.left"].unique().tolist() == [0.0]
    assert nothing.present["layer1.left.x"] == (False,)


def test_a_gate_inside_a_closed_node_is_not_consulted() -> None:
    text = """space nested {
      input image: 2
      gate soft per image {
        body       mean | conv(1, routes, bias)
        activation relu_tanh
      }
      node tail {
        x = image | conv(1, 2, stride = 8)
        y = x + soft(x) * (x | conv(3))
        send y by soft(x) {
          out: identity
        }
      }
      output y = out
    }"""
    graph = build(loads(text))
    inner = next(gate for gate in graph.gates if gate.routes != ("out",))
    (outer,) = (gate for gate in graph.gates if gate.routes == ("out",))
    state = random_state(graph, 0)
    for bias, asked in ((-9.0, False), (9.0, True)):
        state[f"{outer.name}.body.1.bias"] = torch.tensor([bias], dtype=torch.float64)
        state[f"{outer.name}.body.1.weight"] = torch.zeros(1, 2, 1, 1, dtype=torch.float64)
        result = Oracle(graph, state).run(torch.ones(1, 2, 64, 64))
        assert result.consulted[inner.name] == (asked,)
        assert bool(torch.isnan(result.weights["tail"][inner.routes[0]])[0]) is not asked


def test_extents_are_those_of_torch() -> None:
    for seed in range(30):
        case = random_case(seed)
        with torch.no_grad():
            result = Oracle(case.graph, case.state).run(case.images)
        extents = result.planned.extents
        for name, stream in result.streams.items():
            for x in stream:
                if x is not None:
                    extent = extents[name]
                    assert x.shape == (1, extent.channels, extent.height, extent.width), (seed, name)


def test_work_is_what_torch_counts() -> None:
    for seed in range(30):
        case = random_case(seed)
        planned = plan(case.graph, case.size)
        modules = graph_modules(case.graph)
        for steps in planned.steps.values():
            for step in steps:
                if step.path not in modules:
                    continue
                inputs = [torch.zeros(1, x.channels, x.height, x.width) for x in step.inputs]
                with torch.no_grad(), FlopCounterMode(display=False) as counter:
                    if step.leaf.entry == "ladder_decoder":
                        modules[step.path].eval()(inputs, planned.sizes)
                    elif step.leaf.entry == "resize":
                        modules[step.path](inputs[0], planned.sizes)
                    else:
                        modules[step.path].eval()(inputs[0])
                assert leaf_work(step.leaf, step.inputs, step.output).macs == counter.get_total_flops() / 2, step


def test_a_state_dict_must_fit() -> None:
    graph = fork()
    state = random_state(graph, 0)
    name = next(iter(state))
    with pytest.raises(ValueError, match="lacks"):
        Oracle(graph, {key: value for key, value in state.items() if key != name})
    with pytest.raises(ValueError, match="beside"):
        Oracle(graph, {**state, "more": torch.zeros(1)})


@pytest.mark.parametrize("logit", [-800.0, -300.0, 0.0, 800.0])
def test_sigmoid_has_a_gradient_wherever_the_logit_is(logit: float) -> None:
    logits = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    decide(gate("sigmoid", 1), logits).weights.sum().backward()
    expected = torch.sigmoid(logits.detach())
    assert logits.grad is not None
    assert torch.allclose(logits.grad, expected * (1 - expected), rtol=1e-12, atol=1e-300)
