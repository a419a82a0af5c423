"""What a module keeps from call to call, and passes on of what it skipped, changes no later call."""

from __future__ import annotations

import pytest
import torch
from torch.optim import optimizer

import routespace as rs
from routespace.compiler import Form


@pytest.mark.parametrize("form", ["sparse", "fixed"])
def test_steps_of_fused_optimizers_are_seen(form: Form) -> None:
    """They update every parameter at one go, without a trace in its version."""
    space = rs.load(rs.example("segmentation"), depth=16, width=8)
    net = "fcn_32s" if form == "fixed" else None
    module = rs.compile(space, form=form, net=net).eval()
    other = rs.compile(space, form=form, net=net, seed=1).eval()
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        before = module(x).output
        for parameter in module.parameters():
            parameter.grad = torch.ones_like(parameter)
        torch.optim.AdamW(module.parameters(), lr=1e-2, fused=True).step()
        other.load_state_dict(module.state_dict())
        assert not torch.allclose(module(x).output, before)
        torch.testing.assert_close(module(x).output, other(x).output)


@pytest.mark.parametrize("form", ["sparse", "fixed"])
@pytest.mark.parametrize("zeroed", [False, True])
def test_steps_of_fused_optimizers_are_seen_between_calls(form: Form, zeroed: bool) -> None:
    space = rs.load(rs.example("segmentation"), depth=16, width=8)
    net = "fcn_32s" if form == "fixed" else None
    module = rs.compile(space, form=form, net=net).eval()
    other = rs.compile(space, form=form, net=net, seed=1).eval()
    stepper = torch.optim.AdamW(module.parameters(), lr=1e-2, fused=True)
    x = torch.randn(2, 3, 64, 96)
    for _ in range(2):
        with torch.no_grad():
            module(x)
        module(x).output.square().mean().backward()
        stepper.step()
        if zeroed:
            stepper.zero_grad()
        other.load_state_dict(module.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(module(x).output, other(x).output)


def test_compiling_hooks_nobody_s_optimizers() -> None:
    before = dict(optimizer._global_optimizer_post_hooks)
    rs.compile(rs.load(rs.example("small")), form="sparse")
    assert optimizer._global_optimizer_post_hooks == before


def test_what_is_kept_under_autocast_is_for_autocast() -> None:
    space, weights = rs.load(rs.example("small")), {"layer0.s4": {"keep": 1.0}}
    module, other = (rs.compile(space, form="sparse").eval() for _ in range(2))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad(), rs.forcing(module, weights), rs.forcing(other, weights):
        with torch.autocast("cpu", torch.bfloat16):
            module(x)
        assert torch.equal(module(x).output, other(x).output)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_what_inference_mode_leaves_behind_can_be_learnt_with(form: Form, training: bool) -> None:
    module = rs.compile(rs.load(rs.example("small")), form=form).eval()
    x = torch.randn(1, 3, 64, 64)
    with rs.forcing(module, {"layer0.s4": {"keep": 1.0}}):
        with torch.inference_mode():
            module(x)
        with torch.no_grad():
            calm = module(x).output
        out = module.train(training)(x)
        (out.output.square().sum() + out.routing.cost.expected.sum()).backward()
    assert not calm.is_inference()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize(("batch", "granularity"), [(0, "image"), (2, "image"), (0, "position")])
def test_a_loss_of_what_was_skipped_has_a_backward_pass(form: Form, batch: int, granularity: str) -> None:
    body = "mean | conv(1, routes, bias)" if granularity == "image" else "conv(1, routes, bias)"
    space = rs.loads(f"""space skipped {{
      input image: 3
      gate soft per {granularity} {{ body {body}; activation relu_tanh; start bias(-9) }}
      node {{
        x = image | conv(3, 4, stride = 4)
        send x by soft(x) {{ a: relu | conv(1) }}
      }}
      output y = a
      budget square(expected / maximum, 0.5)
    }}""")
    module = rs.compile(space, form=form).train()
    out = module(torch.zeros(batch, 3, 64, 64))
    assert not out.output.any()
    (out.output.sum() + rs.budget_loss(module, out, 1.0)).backward()
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in module.parameters())
