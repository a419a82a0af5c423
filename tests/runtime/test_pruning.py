"""A pruned module answers as the whole one does: for any space, gates, images and batch."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import routespace as rs
from routespace.graph.ir import Gate, Route, RouteGraph
from routespace.graph.ledger import ledger
from routespace.graph.profile import Profile
from routespace.pruning import Pruned, prune
from routespace.recording import record
from routespace.runtime.result import Outcome
from routespace.space.conventions import CONVENTIONS
from routespace.testing.cases import Case, random_case
from routespace.testing.laws.subject import Subject

CASES = 60
RELATIVE = {torch.float64: 1e-9, torch.float32: 1e-5}


def random_profile(graph: RouteGraph, dice: random.Random) -> Profile:
    """A profile in which some routes were never open, whatever they are."""
    chance = dice.choice([0.0, 0.3, 0.6, 0.9, 1.0])
    opened: dict[str, dict[str, int]] = {}
    for gate in graph.gates:
        opened.setdefault(gate.node, {}).update({name: int(dice.random() < chance) for name in gate.routes})
    return Profile(1, opened)


def tensors(outcome: Outcome, convention: str) -> dict[str, Tensor]:
    """All that has to be alike, by name."""
    output = outcome.output if isinstance(outcome.output, dict) else {"output": outcome.output}
    routing = outcome.routing
    found = {f"output {key}": tensor for key, tensor in output.items()}
    for node, reached in routing.reached.items():
        found[f"reached {node}"] = reached.double()
        for name, weight in routing.weights[node].items():
            found[f"weight {node} {name}"] = weight
            found[f"logit {node} {name}"] = torch.where(torch.isnan(weight), weight, routing.logits[node][name])
            found[f"margin {node} {name}"] = routing.margins()[node][name]
    cost = routing.cost.under(convention)
    assert torch.allclose(sum((one.hard for one in cost.by_value().values()), torch.zeros_like(cost.hard)), cost.hard)
    return {**found, "expected": cost.expected, "hard": cost.hard}


def check(found: Outcome, wanted: Outcome, convention: str) -> None:
    first, second = tensors(found, convention), tensors(wanted, convention)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        near = RELATIVE[tensor.dtype]
        assert torch.allclose(tensor, second[name], near, near, equal_nan=True), name


def pruned_of(case: Case, dice: random.Random) -> tuple[Pruned, torch.nn.Module]:
    whole = Subject(case).form("sparse")
    other = Subject(case).form("sparse")
    return prune(whole, random_profile(case.graph, dice)), other


@pytest.mark.parametrize("first", range(0, CASES, 20))
def test_any_gates_any_images_any_batch(first: int) -> None:
    seen = {"missed": 0, "served": 0, "both": 0, "pruned": 0}
    for seed in range(first, first + 20):
        case, dice = random_case(seed), random.Random(seed)
        pruned, whole = pruned_of(case, dice)
        with torch.no_grad():
            found, wanted = pruned(case.images), whole(case.images)
        check(found, wanted, dice.choice(sorted(CONVENTIONS)))
        gone = set(pruned.pruning.routes)
        hits = {name for name in gone if opens(case.graph, name, wanted)}
        assert bool(hits) == bool(found.missed)
        for image in range(case.batch):
            is_missed = any(opens(case.graph, name, wanted, image) for name in gone)
            assert is_missed == (image in found.missed), (seed, image, gone)
        seen["missed"] += bool(found.missed)
        seen["served"] += case.batch > len(found.missed)
        seen["both"] += 0 < len(found.missed) < case.batch
        seen["pruned"] += bool(gone)
    assert seen["missed"] > 4 and seen["served"] > 4 and seen["pruned"] > 8


def opens(graph: RouteGraph, name: str, outcome: Outcome, image: int | None = None) -> bool:
    """Whether a route was open for an image, or for any."""
    route = graph.by_name[name]
    assert isinstance(route, Route)
    gate = graph.by_name[route.gate]
    assert isinstance(gate, Gate)
    weight = outcome.routing.weights[gate.node][gate.routes[route.index]]
    is_open = ~(weight <= 0) & outcome.routing.reached[gate.node].view(-1, *[1] * (weight.dim() - 1))
    return bool((is_open if image is None else is_open[image]).any())


@pytest.mark.parametrize("seed", range(10))
def test_replaying_and_forcing_reach_both_forms(seed: int) -> None:
    case, dice = replace(random_case(seed), batch=3), random.Random(seed)
    pruned, whole = pruned_of(case, dice)
    with torch.no_grad():
        free = whole(case.images)
        nodes = sorted(free.routing.weights)
        forced = {node: dice.choice(["open", "closed", 0.5]) for node in nodes if dice.random() < 0.4}
        with rs.replaying(pruned, free.routing), rs.replaying(whole, free.routing):
            check(pruned(case.images), whole(case.images), "macs")
        with rs.forcing(pruned, forced), rs.forcing(whole, forced):
            check(pruned(case.images), whole(case.images), "macs")
        check(pruned(case.images), whole(case.images), "macs")


SMALL = """space small {
  input image: 3
  axis layer = 0..2
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer {
    x = image | conv(3, 4, stride = 4) if layer == 0 else keep[layer - 1] + wide[layer - 1]
    h = x | conv(3) | relu
    send h by soft(x) { keep: relu; wide: conv(3) }
  }
  output y = keep[2] + wide[2]
}
"""


def opened(module: torch.nn.Module, **bias: tuple[float, float]) -> None:
    """Set what the gates decide, whatever they see."""
    for layer, values in bias.items():
        conv = module.get_submodule(f"{layer}.gate.body.1")
        assert isinstance(conv, torch.nn.Conv2d) and conv.bias is not None
        with torch.no_grad():
            conv.weight.zero_()
            conv.bias.copy_(torch.tensor(values))


@pytest.fixture
def module() -> torch.nn.Module:
    found = rs.compile(rs.loads(SMALL), form="sparse")
    opened(found, layer0=(1.0, -1.0), layer1=(1.0, -1.0), layer2=(1.0, -1.0))
    return found


IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_ops_and_cells_that_are_not_used_are_gone(module: torch.nn.Module) -> None:
    pruned = prune(module, record(module, [IMAGES]))
    report = pruned.pruning
    assert report.routes == tuple(f"layer{at}.wide" for at in range(3))
    assert report.parameters - report.parameters_kept == 3 * (4 * 4 * 9)
    assert report.guards == tuple(f"layer{at}.gate" for at in range(3))
    assert pruned.guard_cost((64, 64)) == 0
    with rs.forcing(module, {"layer0": {"wide": 1.0}}):
        other = prune(module, record(module, [IMAGES]))
    assert [row.value for row in ledger(other.graph, (64, 64)) if row.part == "guard"] == []
    never = prune(module, Profile(5, {"layer2": {"keep": 5}}))
    assert [row.value for row in ledger(never.graph, (64, 64)) if row.part == "guard"] == ["layer0.gate", "layer1.gate"]
    assert never.guard_cost((64, 64)) == 2 * (4 * 2)
    assert "layer0.h" not in never.graph.by_name and "layer2.h" in never.graph.by_name
    assert never.pruning.guards[2:] == ("layer2.gate",)


def test_what_was_seen_is_not_run_twice_and_the_rest_is(module: torch.nn.Module) -> None:
    pruned = prune(module, record(module, [IMAGES]))
    with torch.no_grad():
        before, whole = pruned(IMAGES), module(IMAGES)
        assert not before.missed and torch.equal(before.routing.cost.executed, whole.routing.cost.executed)
        opened(module, layer1=(1.0, 1.0))
        after, whole = pruned(IMAGES), module(IMAGES)
    assert after.missed == {0, 1}
    assert bool((after.routing.cost.executed > whole.routing.cost.executed).all())
    torch.testing.assert_close(after.output, whole.output)


def test_one_image_of_a_batch_is_served_by_the_whole_space(module: torch.nn.Module) -> None:
    pruned = prune(module, record(module, [IMAGES]))
    wide = {"layer1": {"keep": 1.0, "wide": torch.tensor([0.0, 0.7])}}
    with torch.no_grad(), rs.forcing(pruned, wide):
        found = pruned(IMAGES)
    with torch.no_grad(), rs.forcing(module, wide):
        wanted = module(IMAGES)
    assert found.missed == {1}
    check(found, wanted, "macs")


def test_nan_of_a_gate_opens_a_pruned_route(module: torch.nn.Module) -> None:
    pruned = prune(module, record(module, [IMAGES]))
    opened(module, layer1=(1.0, float("nan")))
    with torch.no_grad():
        assert pruned(IMAGES).missed == {0, 1}
        assert pruned(IMAGES).routing.nan_gates() == module(IMAGES).routing.nan_gates() != []


def test_it_has_the_weights_of_the_whole(module: torch.nn.Module) -> None:
    pruned = prune(module, Profile(1, {"layer0": {"keep": 1}}))
    assert list(pruned.state_dict()) == list(module.state_dict())
    other = rs.compile(rs.loads(SMALL), form="sparse", seed=3)
    pruned.load_state_dict(other.state_dict())
    pruned.double()
    other.double()
    with torch.no_grad():
        check(pruned(IMAGES.double()), other(IMAGES.double()), "macs")
    pruned.train()
    other.train()
    torch.testing.assert_close(pruned(IMAGES.double()).output, other(IMAGES.double()).output)


def test_gradients_are_those_of_the_whole(module: torch.nn.Module) -> None:
    other = rs.compile(rs.loads(SMALL), form="sparse")
    other.load_state_dict(module.state_dict())
    pruned = prune(module, Profile(1, {"layer0": {"keep": 1}, "layer1": {"keep": 1}}))
    for one in (pruned, other):
        one(IMAGES).output.square().sum().backward()
    wanted = dict(other.named_parameters())
    for name, parameter in pruned.named_parameters():
        assert (parameter.grad is None) == (wanted[name].grad is None), name
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, wanted[name].grad)


def test_share_decides_what_goes(module: torch.nn.Module) -> None:
    used = {f"layer{at}": {"keep": 10, "wide": at} for at in range(3)}
    gone = {share: len(prune(module, Profile(10, used), share).pruning.routes) for share in (0.0, 0.1, 0.2, 0.5)}
    assert gone == {0.0: 1, 0.1: 1, 0.2: 2, 0.5: 3}


def test_what_cannot_be_pruned(module: torch.nn.Module) -> None:
    with pytest.raises(TypeError, match="sparse"):
        prune(rs.compile(rs.loads(SMALL)), Profile(1, {}))
    with pytest.raises(TypeError):
        prune(torch.nn.Linear(1, 1), Profile(1, {}))
    for profile, code in ((Profile(0, {}), "RS715"), (Profile(1, {"layer9": {"keep": 1}}), "RS702")):
        with pytest.raises(rs.RouteError) as error:
            prune(module, profile)
        assert [one.code for one in error.value.diagnostics] == [code]


@pytest.mark.parametrize("name", ["two_grains", "dynamic_head"])
@pytest.mark.parametrize("seed", range(2))
def test_gates_per_position(name: str, seed: int) -> None:
    given = {"width": 4} if name == "two_grains" else {"depth": 1, "width": 32}
    whole = rs.compile(rs.load(rs.example(name), **given), form="sparse", seed=seed).double()
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=dice, dtype=torch.float64))
    images: Tensor | list[Tensor] = torch.rand(3, 3, 64, 64, generator=dice, dtype=torch.float64)
    if name == "dynamic_head":
        sides = (8, 4, 2, 1, 1)
        images = [torch.randn(3, 32, side, side, generator=dice, dtype=torch.float64) for side in sides]
    pruned = prune(whole, random_profile(rs.build(rs.load(rs.example(name), **given)), random.Random(seed)))
    with torch.no_grad():
        check(pruned(images), whole(images), "macs")
    with rs.forcing(pruned, dict.fromkeys(whole(images).routing.weights, "closed")):
        assert not pruned(images).missed
