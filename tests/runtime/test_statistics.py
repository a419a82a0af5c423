"""Which images the batch statistics of training count, where a node has norms that count differently."""

from __future__ import annotations

from copy import deepcopy
from itertools import product

import pytest
import torch

import routespace as rs
from routespace.compiler import Form
from routespace.runtime.layers import BatchNorm, counting
from routespace.testing.oracle import Oracle

HIDDEN = (
    "conv(3, bias)",
    "conv(3, bias) | batchnorm(stats = active)",
    "conv(3, bias) | batchnorm | relu | batchnorm(stats = active)",
)
SENT = (
    "conv(1)",
    "conv(1) | batchnorm",
    "conv(1) | batchnorm(stats = active) | relu | batchnorm",
    "sum(conv(1) | batchnorm, conv(1) | batchnorm(stats = active))",
)
OPEN = (torch.tensor([1.0, 0.5, 0.0, 0.0]), torch.tensor([0.3, 0.0, 0.0, 1.0]), torch.zeros(4))


def written(hidden: str, sent: str) -> str:
    return f"""space mixed {{
      input image: 3
      gate soft per image {{ body mean | conv(1, routes, bias); activation relu_tanh }}
      node {{
        x = image | conv(3, 4, stride = 8)
        h = x | {hidden}
        k = h + (h | conv(1))
        send k by soft(x) {{
          a: relu
          b: {sent}
        }} closed a = x
      }}
      output y = a + b
    }}"""


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize(("hidden", "sent"), list(product(HIDDEN, SENT)))
def test_each_norm_counts_the_images_that_it_says(hidden: str, sent: str, form: Form) -> None:
    space = rs.loads(written(hidden, sent))
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    for first, second in product(OPEN, OPEN):
        forced = {"node": {"a": first, "b": second}}
        module = rs.compile(space, form=form).double().train()
        oracle = Oracle(rs.build(space), module.state_dict(), "training")
        with rs.forcing(module, forced):
            output = module(images.double()).output
        wanted = oracle.run(images, forced)
        torch.testing.assert_close(output, wanted.outputs["y"])
        for name, tensor in module.state_dict().items():
            torch.testing.assert_close(tensor, wanted.state[name], msg=name)
        output.square().sum().backward()
        wanted.outputs["y"].square().sum().backward()
        for name, parameter in oracle.parameters().items():
            given = module.get_parameter(name).grad
            if parameter.grad is not None and given is not None:
                torch.testing.assert_close(given, parameter.grad, rtol=1e-6, atol=1e-8)
            else:
                assert all(one is None or not one.any() for one in (given, parameter.grad)), name


@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("stats", ["all", "active"])
def test_images_whose_gate_is_not_asked_do_not_count(stats: str, form: Form) -> None:
    space = rs.loads(f"""space nested {{
      input image: 3
      gate soft  per image {{ body mean | conv(1, routes, bias); activation relu_tanh }}
      gate other per image {{ body mean | conv(1, routes, bias); activation relu_tanh }}
      node {{
        x = image | conv(3, 4, stride = 32)
        send x by other(x) {{ b: conv(1) | batchnorm(stats = {stats}) }}
        k = x + b
        send k by soft(x) {{ a: relu }}
      }}
      output y = a
    }}""")
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(3)).double()
    forced = {"node": {"a": torch.tensor([1.0, 1.0, 0.0, 0.0]), "b": torch.tensor([1.0, 0.5, 1.0, 1.0])}}
    module = rs.compile(space, form=form).double().train()
    state = {name.replace(".value.", "."): tensor for name, tensor in module.state_dict().items()}
    wanted = Oracle(rs.build(space), state, "training").run(images, forced)
    with rs.forcing(module, forced):
        torch.testing.assert_close(module(images).output, wanted.outputs["y"])
    for name, tensor in state.items():
        torch.testing.assert_close(tensor, wanted.state[name], msg=name)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_norms_that_count_some_images_keep_their_precision(dtype: torch.dtype) -> None:
    norm = BatchNorm(3, 1e-5, 0.1, "active").train()
    x = 1000 * torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    x = x.to(dtype)
    rows = torch.tensor([True, False, True, False])
    with counting(rows):
        made = norm.to(dtype)(x)
    assert made.dtype == dtype
    values = x[rows].double()
    mean, deviation = values.mean((0, 2, 3), keepdim=True), values.std((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(made.double(), (x.double() - mean) / deviation, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("grain", ["image", "position"])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_a_shared_norm_that_is_moved_later_leaves_earlier_gradients(form: Form, grain: str) -> None:
    """Where too few values count, the running statistics stand in as they are then."""
    body = "mean | conv(1, routes, bias)" if grain == "image" else "conv(1, routes, bias)"
    space = rs.loads(f"""space shared {{
      input image: 4
      axis step = 0..1
      gate g per {grain} {{ body {body}; activation relu_tanh }}
      node at step {{
        x = image if step == 0 else y[step - 1]
        y = g(x) * (x | conv(1) | batchnorm(stats = active)) + x
      }}
      share across(step)
      output y = y[1]
    }}""")
    module = rs.compile(space, form=form).double().train()
    one = torch.tensor([0.5, 0.0]) if grain == "image" else torch.tensor([0.5, 0.0]).view(2, 1, 1)
    forced = {"step0": {"y": one}, "step1": {"y": 0.7}}

    def run(images: torch.Tensor) -> torch.Tensor:
        fresh = deepcopy(module)
        with rs.forcing(fresh, forced):
            output: torch.Tensor = fresh(images).output
        return output

    images = torch.randn(2, 4, 1, 1, generator=torch.Generator().manual_seed(3)).double()
    assert torch.autograd.gradcheck(run, images.requires_grad_())
