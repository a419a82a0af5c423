"""Spaces with gates per position: every form gives the dense form's numbers, and counts what it runs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import routespace as rs

OPS = (
    "conv(3) | groupnorm(2, stats = active) | relu | conv(3) | groupnorm(2, stats = active)",
    "conv(3, dilation = 2, bias) | silu",
    "depthwise(5) | conv(1, bias)",
    "conv(3) | batchnorm | relu",
    "(conv(3) | relu) + conv(1)",
    "conv(1, 8, groups = 2) | groupnorm(4, stats = active in inference, stats = all in training) | conv(3, 4)",
    "conv(3) | groupnorm(2)",
    "maxpool(3) | conv(3)",
)
ACTIVATIONS = ("geretanh(1.5)", "relu_tanh", "sigmoid", "threshold(0.6)")

TEXT = """space s {{
  input image: 3
  axis layer = 0..2
  gate fine per position {{ body conv(3, routes, bias); activation {activation} }}
  gate rough per position {{ body conv(3, routes, stride = 2, bias); activation {activation} }}
  gate whole per image {{ body mean | conv(1, routes, bias); activation relu_tanh }}
  op inner = {inner}
  op other = {other}
  node at layer {{
    x = image | conv(3, 4, stride = 2) | relu if layer == 0 else {arriving}
    h = x + (x | fine * inner)
    send h by fine(h) {{ keep: other }}
    send h by rough(h) {{ half: conv(3, stride = 2, bias) }}
    send h by whole(x) {{ pass: relu }} closed pass = h
  }}
  output y = keep[2] + pass[2]
  output z = half[1]
  live {live}
}}"""
ARRIVING = (
    "keep[layer - 1]",
    "pass[layer - 1]",
    "keep[layer - 1] + pass[layer - 1]",
    "max(keep[layer - 1], pass[layer - 1])",
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    return TEXT.format(
        activation=draw(st.sampled_from(ACTIVATIONS)),
        inner=draw(st.sampled_from(OPS)),
        other=draw(st.sampled_from(OPS)),
        arriving=draw(st.sampled_from(ARRIVING)),
        live=draw(st.sampled_from(("by_node", "by_route", "always"))),
    )


def forms(text: str, seed: int, tilt: float) -> dict[str, nn.Module]:
    """The forms of a space in float64, with gates that are open at some positions and some images."""
    graph = rs.build(rs.loads(text))
    dense = rs.compile(graph, form="dense").double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in dense.modules():
            if getattr(part, "node", ""):
                last = [one for one in part.body.modules() if isinstance(one, nn.Conv2d)][-1]  # type: ignore[union-attr]
                last.weight.normal_(0, 0.7, generator=generator)
                last.bias.normal_(tilt, 0.5, generator=generator)  # type: ignore[union-attr]
    found: dict[str, nn.Module] = {"dense": dense}
    for form in ("sparse", "export"):
        found[form] = rs.compile(graph, form=form).double().eval()  # type: ignore[arg-type]
        found[form].load_state_dict(dense.state_dict(), strict=True)
    return found


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-6)) if wanted.numel() else 0.0


@settings(max_examples=40, deadline=None)
@given(
    text=texts(),
    seed=st.integers(0, 10**6),
    tilt=st.sampled_from((0.0, -1.0, -3.0, 1.0, 9.0)),
    batch=st.sampled_from((1, 2, 3, 0)),
    size=st.sampled_from(((64, 64), (65, 70), (71, 66))),
)
def test_forms_agree(text: str, seed: int, tilt: float, batch: int, size: tuple[int, int]) -> None:
    modules = forms(text, seed, tilt)
    images = torch.randn(batch, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        wanted = modules["dense"](images)
        for form in ("sparse", "export"):
            found = modules[form](images)
            for key, output in wanted.output.items():
                assert output.shape == found.output[key].shape
                assert error(found.output[key], output) < 1e-9, (form, key)
            for convention in ("macs", "dynamic_head_code"):
                have, want = found.routing.cost.under(convention), wanted.routing.cost.under(convention)
                assert torch.allclose(have.hard, want.hard) and torch.allclose(have.expected, want.expected)
            for node, routes in wanted.routing.weights.items():
                for route, weight in routes.items():
                    assert torch.allclose(found.routing.weights[node][route], weight, atol=1e-9, equal_nan=True)
        with rs.replaying(modules["sparse"], wanted.routing):
            again = modules["sparse"](images)
        assert all(error(again.output[key], output) < 1e-9 for key, output in wanted.output.items())


@settings(max_examples=20, deadline=None)
@given(text=texts(), seed=st.integers(0, 10**6), tilt=st.sampled_from((-0.5, -2.0, 1.0)))
def test_executed_is_what_an_outside_counter_counts(text: str, seed: int, tilt: float) -> None:
    module = forms(text, seed, tilt)["sparse"]
    images = torch.randn(2, 3, 66, 71, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad(), rs.exactly(module), FlopCounterMode(display=False) as counter:
        cost = module(images).routing.cost.under("macs")
    assert float(cost.executed.sum()) == pytest.approx(counter.get_total_flops() / 2)
    with torch.no_grad():
        assert bool((module(images).routing.cost.under("macs").executed >= cost.executed - 1e-6).all())


@settings(max_examples=15, deadline=None)
@given(text=texts(), seed=st.integers(0, 10**6))
def test_images_do_not_meet(text: str, seed: int) -> None:
    module = forms(text, seed, -0.5)["sparse"]
    images = torch.randn(3, 3, 64, 70, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        together = module(images)
        for place in range(3):
            alone = module(images[place : place + 1])
            for key, output in alone.output.items():
                assert error(together.output[key][place : place + 1], output) < 1e-9


def test_training_agrees_with_gradients() -> None:
    for seed, inner in enumerate(OPS):
        text = TEXT.format(
            activation=ACTIVATIONS[seed % 2], inner=inner, other=OPS[-seed], arriving=ARRIVING[seed % 4], live="by_node"
        )
        modules = forms(text, seed, 0.0)
        images = torch.randn(2, 3, 64, 66, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        grads = {}
        for form in ("dense", "sparse"):
            outcome = modules[form].train()(images)
            sum(output.square().mean() for output in outcome.output.values()).backward()  # type: ignore[union-attr]
            grads[form] = {name: one.grad for name, one in modules[form].named_parameters() if one.grad is not None}
        for name, grad in grads["dense"].items():
            if bool(grad.any()):
                assert error(grads["sparse"][name], grad) < 1e-7, (inner, name)


def test_an_all_shut_gate_calls_nothing() -> None:
    module = forms(
        TEXT.format(activation="relu_tanh", inner=OPS[0], other=OPS[1], arriving=ARRIVING[1], live="by_node"), 0, -50.0
    )["sparse"]
    calls: list[str] = []
    for name, part in module.named_modules():
        if name.endswith(".op") and "h.fine" in name:
            for child in part.modules():
                child.register_forward_hook(lambda *_, name=name: calls.append(name))
    with torch.no_grad():
        cost = module(torch.randn(1, 3, 64, 64, dtype=torch.float64)).routing.cost.under("macs")
    assert not calls and float(cost.executed) == float(cost.hard)


def test_a_net_of_open_positions_is_the_space_held_open() -> None:
    text = TEXT.format(activation="geretanh", inner="conv(3, bias)", other=OPS[0], arriving=ARRIVING[2], live="by_node")
    modules = forms(text, 1, 0.0)
    graph = rs.graph_of(modules["dense"])
    weights = {gate.node: dict.fromkeys(gate.routes, 0.5) for gate in graph.gates}
    for gate in graph.gates:
        weights[gate.node].update(dict.fromkeys(gate.routes, 0.5))
    net = rs.compile(rs.build(rs.loads(text)), form="fixed", net=weights).double().eval()
    own = modules["dense"].state_dict()
    net.load_state_dict({name: own[name] for name in net.state_dict()}, strict=True)
    images = torch.randn(2, 3, 64, 70, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), rs.forcing(modules["sparse"], weights):
        wanted, found = modules["sparse"](images), net(images)
    assert all(error(found.output[key], output) < 1e-9 for key, output in wanted.output.items())


def test_an_op_registered_from_outside_runs_behind_a_gate_per_position() -> None:
    rs.op("flipped")(lambda inputs: Flipped())
    text = TEXT.format(
        activation="geretanh", inner="conv(3) | flipped", other="flipped", arriving=ARRIVING[2], live="by_node"
    )
    modules = forms(text, 3, -0.5)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        wanted, found = modules["dense"](images), modules["sparse"](images)
    assert all(error(found.output[key], output) < 1e-9 for key, output in wanted.output.items())
    cost = found.routing.cost.under("macs")
    assert bool((cost.executed >= cost.hard - 1e-6).all())


class Flipped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(3)
