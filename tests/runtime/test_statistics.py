"""Which images the batch statistics of training count, where a node has norms that count differently."""

from __future__ import annotations

from itertools import product

import pytest
import torch

import routespace as rs
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
def test_each_norm_counts_the_images_that_it_says(hidden: str, sent: str, form: str) -> None:
    space = rs.loads(written(hidden, sent))
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    for first, second in product(OPEN, OPEN):
        forced = {"node": {"a": first, "b": second}}
        module = rs.compile(space, form=form).double().train()  # type: ignore[arg-type]
        oracle = Oracle(rs.build(space), module.state_dict(), "training")
        with rs.forcing(module, forced):
            output = module(images.double()).output
        wanted = oracle.run(images, forced)
        torch.testing.assert_close(output, wanted.outputs["y"])
        for name, tensor in module.state_dict().items():
            torch.testing.assert_close(tensor, wanted.state[name], msg=lambda text, name=name: f"{name}: {text}")  # type: ignore[misc]
        output.square().sum().backward()
        wanted.outputs["y"].square().sum().backward()
        for name, parameter in oracle.parameters().items():
            given = module.get_parameter(name).grad
            if parameter.grad is not None and given is not None:
                torch.testing.assert_close(given, parameter.grad, rtol=1e-6, atol=1e-8)
            else:
                assert all(one is None or not one.any() for one in (given, parameter.grad)), name
