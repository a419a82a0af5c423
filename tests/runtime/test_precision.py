"""Gates decide in float32, whatever stands around them: half precision, autocast, in every form."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import nn

import routespace as rs
from routespace.runtime.result import Outcome

TEXT = """space s {
  input image: 3
  gate soft per image {
    body conv(3, 4, stride = 4) | batchnorm | relu | mean | conv(1, routes, bias)
    activation relu_tanh
  }
  gate hard per image { body mean | conv(1, routes, bias); activation argmax }
  gate fine per position { body conv(3, 4) | relu | conv(3, routes, bias); activation relu_tanh }
  gate thin per position { body conv(1, routes, bias); activation threshold(0.5) }
  node {
    x = image | conv(3, 8, stride = 4)
    m = x + fine(x) * (x | conv(3) | batchnorm | relu)
    n = m + thin(m) * (m | conv(1))
    o = n + (sum by soft(n) { a: n | conv(1); b: n | conv(3) | batchnorm })
    h = o + (sum by hard(n) { a: n | conv(1); b: n | relu })
  }
  output y = h
}"""
HALVES = (torch.bfloat16, torch.float16)


def module_of(form: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    module = rs.compile(rs.loads(TEXT), form=form, seed=1)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "gate" in name and name.endswith("bias"):
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.to(dtype)


def images(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(4, 3, 64, 72, generator=torch.Generator().manual_seed(0)).to(dtype)


def told(outcome: Outcome) -> dict[str, torch.Tensor]:
    routing = outcome.routing
    by_kind = {"weight": routing.weights, "logit": routing.logits}
    return {f"{kind} {n}.{r}": one for kind, by in by_kind.items() for n, of in by.items() for r, one in of.items()}


def autocast(dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    return nullcontext() if dtype is None else torch.autocast("cpu", dtype)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("around", HALVES)
@pytest.mark.parametrize("reduced", ["module", "autocast"])
@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
def test_logits_and_weights_are_float32(form: str, reduced: str, around: torch.dtype, training: bool) -> None:
    if training and form == "export":
        pytest.skip("the export form is for inference")
    dtype = around if reduced == "module" else torch.float32
    module = module_of(form, dtype).train(training)
    with autocast(None if reduced == "module" else around):
        outcome = module(images(dtype))
        if training:
            (outcome.output.float().square().mean() + outcome.routing.cost.expected.mean() * 1e-6).backward()
    assert all(one.dtype == torch.float32 for one in told(outcome).values())
    assert not outcome.routing.nan_gates()
    if reduced == "module":
        assert outcome.output.dtype == around
    if training:
        gates = [one for name, one in module.named_parameters() if "gate.body" in name]
        assert all(one.grad is not None and one.grad.dtype == dtype for one in gates)
        assert any(one.grad is not None and one.grad.any() for one in gates)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wider_numbers_stay_as_they_are(dtype: torch.dtype) -> None:
    for form in ("dense", "sparse", "export"):
        with torch.no_grad():
            assert all(one.dtype == dtype for one in told(module_of(form, dtype).eval()(images(dtype))).values())


@pytest.mark.parametrize("around", HALVES)
@pytest.mark.parametrize("reduced", ["module", "autocast"])
def test_forms_decide_alike(reduced: str, around: torch.dtype) -> None:
    """But for decisions that roundings of the streams before them may turn."""
    dtype = around if reduced == "module" else torch.float32
    found = {}
    for form in ("dense", "sparse", "export"):
        with torch.no_grad(), autocast(None if reduced == "module" else around):
            found[form] = module_of(form, dtype).eval()(images(dtype)).routing
    margins = found["dense"].margins()["node"]
    clear = {route: margin > 0.03 for route, margin in margins.items()}
    assert sum(float(one.float().mean()) for one in clear.values()) > len(clear) / 2
    for form in ("sparse", "export"):
        for route, sure in clear.items():
            one, other = (found[each].opens("node", route) for each in ("dense", form))
            assert torch.equal(one & sure, other & sure), (form, route)


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
def test_what_a_replay_was_given_is_not_rounded(form: str) -> None:
    module = module_of(form, torch.bfloat16).eval()
    weight = 1 + 2.0**-12
    with torch.no_grad(), rs.forcing(module, {"node": weight}):
        record = module(images(torch.bfloat16)).routing
    assert all((one == weight).all() for one in record.weights["node"].values())
    with torch.no_grad(), rs.replaying(module, record):
        again = module(images(torch.bfloat16)).routing
    assert all(torch.equal(one, record.weights["node"][route]) for route, one in again.weights["node"].items())


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_the_last_op_sees_more_than_its_weights_round_to(form: str) -> None:
    """Logits are those of a float32 convolution of what reaches it, not rounded to bfloat16."""
    module = module_of(form, torch.bfloat16).eval()
    with torch.no_grad():
        logits = module(images(torch.bfloat16)).routing.logits["node"]
    assert any((one != one.bfloat16().float()).any() for one in logits.values())


def test_statistics_of_a_last_norm_are_kept() -> None:
    text = """space s {
  input image: 3
  gate g per position { body conv(1, routes, bias) | batchnorm; activation sigmoid }
  node {
    x = image | conv(3, 4, stride = 4)
    y = x + g(x) * (x | conv(1))
  }
  output o = y
}"""
    module = rs.compile(rs.loads(text), form="dense").to(torch.bfloat16).train()
    norm = next(part for part in module.modules() if isinstance(part, nn.BatchNorm2d))
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    module(images(torch.bfloat16))
    assert norm.running_mean is not None and norm.running_mean.dtype == torch.bfloat16
    assert not torch.equal(before, norm.running_mean) and int(norm.num_batches_tracked) == 1  # type: ignore[arg-type]
