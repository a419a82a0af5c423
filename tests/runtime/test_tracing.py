"""Tracers and compilers of PyTorch take compiled modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

import routespace as rs
from routespace.compiler import Form
from routespace.integrations.vision import load_torchvision

SPACE = rs.loads("""space tiny {
  input image: 3
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh; start bias(1) }
  node n { x = image | conv(3, 4, stride = 4); y = x + soft(x) * (x | conv(3) | batchnorm | relu) }
  output y = y | conv(1, 5)
}""")
X = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class Outer(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Conv2d(5, 2, 1)

    def forward(self, images: Tensor) -> Any:
        return self.head(self.inner(images).output)


@pytest.mark.parametrize("form", ["dense", "sparse", "export", "pruned"])
def test_a_module_in_another_is_traced_as_a_leaf(form: Any) -> None:
    module: nn.Module = rs.compile(SPACE, "sparse" if form == "pruned" else form)
    if form == "pruned":
        module = rs.prune(module, rs.record(module, [X, X + 1]))
    outer = Outer(module).eval()
    traced = fx.symbolic_trace(outer)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["inner", "head"]
    assert torch.equal(traced(X), outer(X))


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_a_module_by_itself_is_traced_to_its_leaves(form: Form) -> None:
    module = rs.compile(SPACE, form).eval()
    traced = fx.symbolic_trace(module)
    assert torch.equal(traced(X).output, module(X).output)
    with pytest.raises(TypeError, match="is not traced through"):
        fx.symbolic_trace(rs.prune(rs.compile(SPACE, "sparse"), rs.record(module, [X, X + 1])))


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_features_are_extracted(form: Form) -> None:
    if load_torchvision() is None:
        pytest.skip("torchvision is not installed")
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    outer = Outer(rs.compile(SPACE, form)).eval()
    assert "inner" in get_graph_node_names(outer)[1]
    found = create_feature_extractor(outer, {"inner": "outcome", "head": "y"})(X)
    assert torch.equal(found["y"], outer(X)) and isinstance(found["outcome"], rs.Outcome)
    assert "begin" in get_graph_node_names(outer.inner)[1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["eager", pytest.param("aot_eager", marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", ["dense", "sparse", "fixed", "export"])
def test_every_form_runs_compiled(form: Form, backend: str) -> None:
    net = {"n": {"y": 1.0}} if form == "fixed" else None
    for dynamic in (None, True):
        torch._dynamo.reset()
        module, other = (rs.compile(SPACE, form, net=net).eval() for _ in range(2))
        compiled = torch.compile(module, backend=backend, dynamic=dynamic)
        with torch.no_grad():
            for images in (X, X.repeat(3, 1, 1, 1)):
                torch.testing.assert_close(compiled(images).output, other(images).output)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_compiled_forms_learn(form: Form) -> None:
    torch._dynamo.reset()
    module, other = (rs.compile(SPACE, form).train() for _ in range(2))
    for one in (torch.compile(module, backend="eager"), other):
        one(X.repeat(2, 1, 1, 1)).output.square().mean().backward()
    for own, wanted in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own.grad, wanted.grad)


def test_outcomes_are_shown_in_a_line() -> None:
    found = rs.compile(SPACE)(X)
    assert repr(found) == "Outcome(output (1, 5, 16, 16); Routing(1 nodes, 1 routes))"
    assert repr(found.routing.cost) == "Cost(1 images, in macs)"
