"""One decorator, and the name works in files, cost tables and all forms."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

import routespace as rs
from routespace.graph.bounds import bounds
from routespace.graph.ledger import ledger
from routespace.graph.params import count_parameters
from routespace.space.conventions import CONVENTIONS
from routespace.space.shape import Cost, Shape

TEXT = """
space marked(ratio = 2) {
  input image: 3
  axis layer = 0..2
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh; start value(0.9) }
  node at layer {
    x = image | conv(3, 8, stride = 4) if layer == 0 else y[layer - 1]
    h = x | conv(3) | squeeze(ratio)
    y = x + soft(x) * h
  }
  output y = y[2]
}
"""


class Squeeze(nn.Module):
    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, width // ratio, 1), nn.Conv2d(width // ratio, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))


@pytest.fixture
def squeeze() -> None:
    def cost(args: dict[str, int], inputs: tuple[Shape, ...], output: Shape) -> Cost:
        inner = output.channels // args["ratio"]
        return Cost(macs=2 * inner * output.channels, activation=inner + output.channels, pool=output.elements)

    def params(args: dict[str, int], channels: tuple[int, ...]) -> int:
        inner = channels[0] // args["ratio"]
        return 2 * inner * channels[0] + inner + channels[0]

    @rs.op("squeeze", parameters=(rs.Parameter("ratio", "integer", 4, least=1),), cost=cost, params=params)
    def make(inputs: tuple[int, ...], ratio: int) -> nn.Module:
        return Squeeze(inputs[0], ratio)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 64, 72, generator=torch.Generator().manual_seed(0))


@pytest.mark.usefixtures("squeeze")
class TestOp:
    def test_works_in_all_forms(self, images: Tensor) -> None:
        space = rs.loads(TEXT)
        dense = rs.compile(space).eval()
        routes = dense(images).routing.weights["layer1"]
        some = dict.fromkeys(routes, torch.tensor([0.0, 0.5, 1.0]))
        decided = {"layer0": 1.0, "layer1": some, "layer2": "open"}
        with torch.no_grad(), rs.forcing(dense, decided):
            wanted = dense(images)
        for form in ("sparse", "export"):
            module = rs.compile(space, form=form)
            module.load_state_dict(dense.state_dict(), strict=True)
            with torch.no_grad(), rs.forcing(module, decided):
                found = module(images)
            assert torch.allclose(found.output, wanted.output, atol=1e-5)
            assert torch.equal(found.routing.cost.hard, wanted.routing.cost.hard)
            assert torch.equal(found.routing.cost.executed, found.routing.cost.hard)

    def test_works_in_a_net(self, images: Tensor) -> None:
        space = rs.loads(TEXT)
        dense = rs.compile(space).eval()
        nodes = {node: dict.fromkeys(routes, 1.0) for node, routes in dense(images).routing.weights.items()}
        fixed = rs.compile(space, form="fixed", net=nodes).eval()
        fixed.load_state_dict({name: dense.state_dict()[name] for name in fixed.state_dict()}, strict=True)
        with torch.no_grad(), rs.forcing(dense, nodes):
            assert torch.allclose(fixed(images).output, dense(images).output, atol=1e-5)

    def test_is_counted_as_declared(self, images: Tensor) -> None:
        sparse = rs.compile(rs.loads(TEXT), form="sparse")
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            executed = sparse(images).routing.cost.executed.sum()
        assert counter.get_total_flops() / 2 == executed

    def test_a_wrong_cost_would_be_seen(self, images: Tensor) -> None:
        rs.op("squeeze", parameters=(rs.Parameter("ratio", "integer", 4),), replace=True)(
            lambda inputs, ratio: Squeeze(inputs[0], ratio)
        )
        sparse = rs.compile(rs.loads(TEXT), form="sparse")
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            executed = sparse(images).routing.cost.executed.sum()
        assert counter.get_total_flops() / 2 != executed

    def test_stands_in_the_ledger(self) -> None:
        graph = rs.build(rs.loads(TEXT))
        rows = {row.name: row.cost for row in ledger(graph, (64, 64))}
        assert Cost(8 * 9 * 8 * 256 + 2 * 4 * 8, 0, 4 + 8, 8 * 256, 0) in rows.values()

    def test_stands_in_the_cost_table(self, tmp_path: Path) -> None:
        from routespace.cli import app

        file = tmp_path / "marked.route"
        file.write_text(TEXT)
        result = CliRunner().invoke(app, ["cost", str(file), "--input", "64x64", "--json"])
        assert result.exit_code == 0, result.output
        module = rs.compile(rs.load(file))
        assert json.loads(result.output)["parameters"]["total"] == sum(p.numel() for p in module.parameters())

    def test_arguments_are_checked(self) -> None:
        assert codes(TEXT.replace("squeeze(ratio)", "squeeze(ratio = 0)")) == {"RS311"}
        assert codes(TEXT.replace("squeeze(ratio)", "squeeze(depth = 2)")) >= {"RS309"}
        assert codes(TEXT.replace("squeeze(ratio)", "squeeze(2, 3)")) >= {"RS309"}

    def test_a_misspelled_name_finds_it(self) -> None:
        with pytest.raises(rs.RouteError, match="did you mean `squeeze`"):
            rs.loads(TEXT.replace("squeeze(ratio)", "squeze(ratio)"))

    def test_a_name_is_given_once(self) -> None:
        with pytest.raises(ValueError, match="registered already"):
            rs.op("squeeze")(lambda inputs: nn.ReLU())
        rs.op("squeeze", replace=True)(lambda inputs: nn.ReLU())
        with pytest.raises(ValueError, match="not a name"):
            rs.op("squeeze and excite")(lambda inputs: nn.ReLU())


def codes(text: str) -> set[str]:
    with pytest.raises(rs.RouteError) as caught:
        rs.build(rs.loads(text))
    return {one.code for one in caught.value.diagnostics if one.severity == "error"}


def test_an_op_without_rules_says_that_it_is_not_counted() -> None:
    rs.op("mystery")(lambda inputs: nn.Conv2d(inputs[0], inputs[0], 1))
    graph = rs.build(rs.loads("space s { input image: 3; output y = image | mystery | conv(1, 2) }"))
    count = count_parameters(graph)
    assert (count.total, count.uncounted) == (6, ("mystery",))
    assert next(row.cost for row in ledger(graph, (64, 64))).activation == 3 * 64 * 64


def test_an_op_may_change_shapes(images: Tensor) -> None:
    def halved(args: dict[str, int], inputs: tuple[Shape, ...]) -> Shape:
        x = inputs[0]
        return Shape(4 * x.channels, x.stride * 2, x.height // 2, x.width // 2)

    rs.op("fold", shape=halved)(lambda inputs: nn.PixelUnshuffle(2))
    module = rs.compile(rs.loads("space s { input image: 3; output y = image | fold | conv(1, 2 * 5) }"))
    assert module(images).output.shape == (3, 10, 32, 36)


def test_an_activation_decides(images: Tensor) -> None:
    class HardSigmoid(nn.Module):
        def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
            return nn.functional.hardsigmoid(logits), ~(logits <= -3)

        def margin(self, logits: Tensor) -> Tensor:
            return (logits + 3).abs()

    rs.activation("hard_sigmoid", range=(0.0, 1.0), closes=True, inverse=lambda args, value: 6 * value - 3)(HardSigmoid)
    text = TEXT.replace("relu_tanh", "hard_sigmoid").replace(" | squeeze(ratio)", "").replace("(ratio = 2)", "")
    space = rs.loads(text)
    dense, sparse = rs.compile(space).eval(), rs.compile(space, form="sparse")
    bias = dense.get_parameter("layer1.y.2.gate.body.1.bias")
    assert abs(bias.item() - 2.4) < 1e-6
    with torch.no_grad():
        dense.get_parameter("layer1.y.2.gate.body.1.weight").zero_()
        bias.fill_(-4.0)
        sparse.load_state_dict(dense.state_dict())
        a, b = dense(images), sparse(images)
    assert torch.allclose(a.output, b.output, atol=1e-5)
    assert all(bool((weight == 0).all()) for weight in b.routing.weights["layer1"].values())
    assert all(torch.allclose(far, torch.ones(3)) for far in b.routing.margins()["layer1"].values())
    assert b.routing.cost.executed.sum() < a.routing.cost.executed.sum()


def test_a_convention_counts(images: Tensor) -> None:
    @rs.convention("with_relus", source="here")
    def with_relus(cost: Cost) -> float:
        return cost.macs + cost.activation

    space = rs.loads("space s { input image: 3; output y = image | conv(1, 2) | relu }", cost="with_relus")
    cost = rs.compile(space)(images).routing.cost
    assert cost.convention == "with_relus"
    assert (cost.hard - cost.under("macs").hard).tolist() == [2 * 64 * 72] * 3


@pytest.mark.parametrize("given", [-1.0, float("nan"), "dear", None])
def test_a_convention_counts_numbers(given: Any) -> None:
    with pytest.raises(ValueError, match=r"convention `odd` counts .* a number from 0 up is needed"):
        rs.convention("odd")(lambda cost: given)
    assert "odd" not in CONVENTIONS


def test_a_merge_merges(images: Tensor) -> None:
    rs.merge("least", neutral="zero")(lambda streams: torch.stack(list(streams)).amin(0))
    text = "space s { input image: 3; node { a = image | relu; b = least(a, image) }; output y = b }"
    for form in ("dense", "sparse"):
        assert torch.equal(rs.compile(rs.loads(text), form=form)(images).output, images.clamp_max(images.relu()))


def test_a_budget_is_a_loss(images: Tensor) -> None:
    rs.budget("cubed")(lambda ratio, target: (ratio - target) ** 3)
    text = (
        "space s { input image: 3; output y = image | conv(1, 2); budget cubed(expected / maximum, 0.5, weight = 2) }"
    )
    module = rs.compile(rs.loads(text))
    assert abs(float(rs.budget_loss(module, module(images), 1.0)) - 2 * 0.5**3) < 1e-6


def test_registering_does_not_load_torch() -> None:
    code = (
        "import sys, routespace as rs\n"
        "rs.op('later')(lambda inputs: None)\n"
        "rs.build(rs.loads('space s { input image: 3; output y = image | later }'))\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"shape": lambda args, inputs: None}, "the shape rule of `broken` fails: TypeError: it gives None"),
        ({"shape": lambda args, inputs: 1 / 0}, "the shape rule of `broken` fails: ZeroDivisionError"),
        ({"cost": lambda args, inputs, output: 1 / 0}, "the cost rule of `broken` fails: ZeroDivisionError"),
        ({"cost": lambda args, inputs, output: 3}, "the cost rule of `broken` fails: TypeError: it gives 3"),
    ],
)
def test_rules_that_fail_are_told_with_their_place(rules: dict[str, Any], said: str) -> None:
    rs.op("broken", **rules)(lambda inputs: torch.nn.ReLU())
    with pytest.raises(rs.RouteError, match=re.escape(said)) as error:
        rs.loads("space s {\n  input image: 3\n  output y = image | broken\n}")
    assert "<text>:3:22" in str(error.value) and error.value.diagnostics[0].code == "RS401"


def test_a_merge_from_outside_is_done_to_a_single_stream_too() -> None:
    rs.merge("length", neutral="zero")(lambda streams: sum(x.square() for x in streams).sqrt())
    space = rs.loads("""space s {
      input image: 3
      axis layer = 0..1
      gate g per image { body mean | conv(1, routes, bias); activation relu_tanh }
      node at layer {
        x = image | conv(3, 4, stride = 4) if layer == 0 else length(a[layer - 1], b[layer - 1])
        send x by g(x) { a: relu; b: conv(1) }
      }
      output y = length(a[1], b[1])
    }""")
    held = {"layer0": {"b": 1.0}, "layer1": {"b": 1.0}}
    dense, fixed = rs.compile(space).eval(), rs.compile(space, form="fixed", net=held).eval()
    fixed.load_state_dict({name: dense.state_dict()[name] for name in fixed.state_dict()})
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad(), rs.forcing(dense, held):
        assert torch.allclose(dense(images).output, fixed(images).output, atol=1e-5)


def test_a_gate_that_opens_two_routes() -> None:
    @rs.activation("two", range=(0.0, 1.0), closes=True, support=2)
    class Two(torch.nn.Module):
        def forward(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            places = logits.nan_to_num(torch.inf).topk(min(2, logits.shape[1]), 1).indices
            opened = torch.zeros_like(logits, dtype=torch.bool).scatter(1, places, True) | logits.isnan()
            return torch.where(opened, logits.sigmoid(), 0.0), opened

    graph = rs.build(
        rs.loads("""space s {
          input image: 3
          gate g per image { body mean | conv(1, routes, bias); activation two }
          node {
            x = image | conv(1, 4, stride = 4)
            y = sum by g(x) { a: x | conv(1); b: x | conv(3); c: x | conv(5) }
          }
          output o = y
        }""")
    )
    stem, gate, each = 3 * 4 * 256, 4 * 3, 4 * 4 * 256
    found = bounds(graph, (64, 64))
    assert (found.least, found.most) == (stem + gate + 10 * each, stem + gate + 34 * each)
