"""Replayed records decide as they did where weights alone do not tell."""

from __future__ import annotations

import math
import pickle
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import routespace as rs

TEXT = """space s {
  input image: 3
  axis layer = 0..1
  gate g per image { body mean | conv(1, routes, bias); activation ACTIVATION }
  node at layer {
    x = image | conv(3, 4, stride = 4) if layer == 0 else keep[layer - 1]
    h = x | conv(3, bias)
    send h by g(x) { keep: relu } closed keep = x
  }
  output o = keep[1]
  live by_node
}"""


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
@pytest.mark.parametrize(
    ("activation", "logit"),
    [("sigmoid", -200.0), ("geretanh", 1e-9), ("relu_tanh", math.nan), ("sigmoid", math.nan), ("relu_tanh", -1.0)],
)
def test_open_gates_of_no_weight_and_of_nan_stay_open(form: str, activation: str, logit: float) -> None:
    module = rs.compile(rs.loads(TEXT.replace("ACTIVATION", activation)), form=form).eval()  # type: ignore[arg-type]
    gate = module.get_submodule("layer0.gate.body")
    with torch.no_grad():
        for name, parameter in gate.named_parameters():
            parameter.fill_(logit if name.endswith("bias") else 0.0)
        first = module(torch.rand(2, 3, 64, 64))
        assert first.routing.opened["layer0"]["keep"].tolist() == [not logit < -0.5 or activation == "sigmoid"] * 2
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        first = module(images)
        with rs.replaying(module, first.routing):
            again = module(images)
        free = module(images)
    assert torch.allclose(first.output, again.output, rtol=0, atol=0, equal_nan=True)
    assert torch.allclose(first.output, free.output, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(first.routing.opened["layer1"]["keep"], again.routing.opened["layer1"]["keep"])


def test_records_of_other_spaces_are_refused() -> None:
    text = TEXT.replace("ACTIVATION", "relu_tanh")
    small = rs.compile(rs.loads(text))
    large = rs.compile(rs.loads(text.replace("0..1", "0..2").replace("keep[1]", "keep[2]")))
    with torch.no_grad():
        outcome = small(torch.rand(1, 3, 64, 64))
        with (
            pytest.raises(rs.GateError, match="another space: it has nothing of route `keep` of `layer2`"),
            rs.replaying(large, outcome.routing),
        ):
            pass
        with pytest.raises(rs.GateError, match=r"`outcome\.routing`, not a Outcome"), rs.replaying(small, outcome):
            pass


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ({"layer0": {"keep": "open"}}, "a number or a tensor, not to 'open'"),
        ({"layer0": torch.ones(2)}, "a mapping of weights by route, not to a Tensor"),
        ({"layer0": SimpleNamespace()}, "not to a SimpleNamespace"),
    ],
)
def test_what_is_no_weight_is_refused(gates: object, said: str) -> None:
    module = rs.compile(rs.loads(TEXT.replace("ACTIVATION", "relu_tanh")))
    with pytest.raises(rs.GateError, match=said), rs.forcing(module, gates):  # type: ignore[arg-type]
        pass


def test_assigned_weights_say_what_images_have_to_be() -> None:
    module = rs.compile(rs.loads(TEXT.replace("ACTIVATION", "relu_tanh")), form="sparse")
    weights = {name: tensor.double() for name, tensor in module.state_dict().items()}
    module.load_state_dict(weights, assign=True)
    with torch.no_grad():
        assert module(torch.rand(1, 3, 64, 64).double()).output.dtype == torch.float64
        with pytest.raises(rs.InputError, match=r"torch\.float32, the module's weights torch\.float64"):
            module(torch.rand(1, 3, 64, 64))


def test_what_is_forced_within_a_replay_is_forced() -> None:
    module = rs.compile(rs.loads(TEXT.replace("ACTIVATION", "relu_tanh")), form="sparse")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad(), rs.forcing(module, {"layer0": "open", "layer1": "open"}):
        routing = module(images).routing
    with torch.no_grad(), rs.replaying(module, routing):
        with rs.forcing(module, {"layer0": "closed"}):
            inner = module(images).routing
        after = module(images).routing
    assert inner.opened["layer0"]["keep"].tolist() == [False, False]
    assert after.opened["layer0"]["keep"].tolist() == [True, True]


LEARNS = """space s {
  input image: 3
  gate g per image { body mean | conv(1, routes, bias); activation relu_tanh }
  gate fine per position { body conv(3, routes, bias); activation relu_tanh }
  node {
    x = image | conv(3, 4, stride = 4)
    m = x + fine(x) * (x | conv(3))
    h = m + (sum by g(m) { a: m | conv(1); b: m | conv(3) })
    send h by g(h) { keep: relu; more: conv(3) } closed keep = x below 0.2
  }
  output y = keep + more
}"""


def learning(form: str) -> nn.Module:
    module = rs.compile(rs.loads(LEARNS), form=form, seed=1)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "gate" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.numel() ** 0.5 + 0.1)
    return module


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_gates_learn_while_their_decisions_are_held(form: str) -> None:
    module, images = learning(form).train(), torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    record = module(images).routing
    gates = [one for name, one in module.named_parameters() if "gate" in name]
    before = [one.detach().clone() for one in gates]
    optimizer = torch.optim.SGD(gates, 0.1)
    for _ in range(3):
        with rs.replaying(module, record, weights="live"):
            outcome = module(images)
        optimizer.zero_grad()
        (outcome.output.square().mean() + outcome.routing.cost.expected.mean() * 1e-6).backward()
        optimizer.step()
    assert any(not torch.equal(one, other) for one, other in zip(gates, before, strict=True))
    routes = [(node, route) for node, of in record.weights.items() for route in of]
    assert all(torch.equal(outcome.routing.opens(*one), record.opens(*one)) for one in routes)
    assert any(not torch.equal(outcome.routing.weights[n][r], record.weights[n][r]) for n, r in routes)
    free = module(images).routing
    assert torch.equal(outcome.routing.cost.hard, record.cost.hard)  # gates are charged
    assert all(one.isinf().all() for of in outcome.routing.margins().values() for one in of.values())
    assert not all(one.isinf().all() for of in free.margins().values() for one in of.values())


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
def test_what_was_forced_stays_forced_in_a_live_replay(form: str) -> None:
    module, images = learning(form).eval(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        with rs.forcing(module, {"node": {"h.2_a": 0.3}}):
            record = module(images).routing
        with rs.replaying(module, record, weights="live"):
            again = module(images).routing
        with rs.replaying(module, pickle.loads(pickle.dumps(again)), weights="live"):
            third = module(images).routing
    assert record.forced == again.forced == third.forced != frozenset()
    assert again.weights["node"]["h.2_a"].tolist() == pytest.approx([0.3, 0.3])
    assert torch.equal(third.weights["node"]["h.2_a"], record.weights["node"]["h.2_a"])


def test_weights_are_recorded_or_live() -> None:
    module = learning("dense").eval()
    record = module(torch.rand(1, 3, 64, 64)).routing
    with pytest.raises(rs.GateError, match="`recorded`, or are `live`, not 'new'"), rs.replaying(module, record, "new"):  # type: ignore[arg-type]
        pass
