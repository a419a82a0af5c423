"""Static counts against the published ones, and against what torch counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

import routespace as rs
from routespace.cli.cost import known_convention
from routespace.cli.ending import Trouble
from routespace.cli.pricing import price_net, price_space
from routespace.graph.nets import hold
from routespace.graph.params import count_parameters
from routespace.graph.passes.fix import fix
from routespace.testing.cases import random_case
from tests.cli.conftest import EXAMPLES, Run

SEGMENTATION = str(EXAMPLES / "segmentation.route")


def cost_of(run: Run, *args: str) -> dict[str, Any]:
    ended = run("cost", SEGMENTATION, "--json", *args)
    assert ended.code == 0, ended.err
    found: dict[str, Any] = json.loads(ended.out)
    return found


@pytest.mark.parametrize(
    ("args", "parameters", "gflop"),
    [
        (["--input", "3x1024x2048"], 17_784_968, 118.085),
        (["--input", "512x512"], 17_784_968, 14.936),
        (["--input", "3x1024x2048", "--set", "depth=33"], 38_871_666, 244.62),
        (["--set", "cell=sep_conv_3x3_heavy"], 22_925_384, None),
    ],
)
def test_published_counts_of_the_segmentation_space(
    args: list[str], parameters: int, gflop: float | None, run: Run
) -> None:
    found = cost_of(run, *args)
    assert found["parameters"]["total"] == parameters
    assert found["convention"] == "dynamic_routing_code" and found["unit"] == "FLOP"
    if gflop is not None:
        assert found["cost"]["maximum"] / 1e9 == pytest.approx(gflop, abs=0.005)


def test_gates_are_told_apart(run: Run) -> None:
    assert cost_of(run)["parameters"]["without_gates"] == 15_261_843
    text = run("cost", SEGMENTATION, "--totals").out
    assert "17,784,968  of which gates 2,523,125, without them 15,261,843" in text and "118.085 GFLOP" in text


def test_a_classic_net_costs_what_its_modules_cost(run: Run) -> None:
    found = cost_of(run, "--net", "fcn_32s", "--convention", "dynamic_routing_table1")
    assert found["parameters"]["total"] / 1e6 == pytest.approx(2.880, abs=5e-4)
    assert found["cost"]["maximum"] / 1e9 == pytest.approx(26.46, abs=5e-3)


def test_the_nodes_add_up(run: Run) -> None:
    found = cost_of(run)
    assert sum(node["parameters"] for node in found["nodes"]) == found["parameters"]["total"]
    assert sum(node["total"] for node in found["nodes"]) == pytest.approx(found["cost"]["maximum"])
    assert sum(node["gate"] for node in found["nodes"]) == pytest.approx(found["cost"]["of_gates"])


@pytest.mark.parametrize("seed", range(12))
def test_parameters_are_those_of_the_module(seed: int) -> None:
    graph = rs.build(random_case(seed).space)
    module = rs.compile(graph)
    count = count_parameters(graph)
    assert count.total == sum(parameter.numel() for parameter in module.parameters()) and not count.uncounted
    assert set(count.by_value) >= {gate.name for gate in graph.gates}


@pytest.mark.parametrize("seed", [seed for seed in range(30) if "\nnet " in random_case(seed).text])
def test_parameters_of_a_net_are_those_of_its_fixed_form(seed: int) -> None:
    case = random_case(seed)
    assert case.net is not None
    module = rs.compile(case.graph, "fixed", net=case.net)
    count = count_parameters(fix(case.graph, hold(case.graph, case.net)))
    assert count.total == sum(parameter.numel() for parameter in module.parameters())
    assert price_net(case.graph, case.net, 3, (96, 96), "macs").parameters.total == count.total


def test_an_op_without_a_rule_is_named() -> None:
    @rs.op("has_no_rule")
    def has_no_rule(inputs: tuple[int, ...]) -> object:
        raise NotImplementedError

    graph = rs.build(rs.loads("space s {\n  input image: 3\n  output y = image | has_no_rule | conv(1, 2)\n}"))
    found = price_space(graph, 3, (64, 64), "macs")
    assert found.parameters.uncounted == ("has_no_rule",) and found.parameters.total == 6


def test_an_unknown_convention_gets_a_hint() -> None:
    assert known_convention("macs") == "macs"
    with pytest.raises(Trouble, match="no convention `mac`") as raised:
        known_convention("mac")
    assert raised.value.help == "did you mean `macs`?" and raised.value.code == 2


def test_totals_leave_out_the_nodes_of_json_too(run: Run) -> None:
    whole, totals = cost_of(run, "--set", "depth=2"), cost_of(run, "--set", "depth=2", "--totals")
    assert whole.pop("nodes") and totals == whole
