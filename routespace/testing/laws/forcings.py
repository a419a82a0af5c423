"""Weights to force gates to: of gates per image numbers, of those per position maps of all kinds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from routespace.graph.ir import Gate
from routespace.testing.cases import Case
from routespace.testing.dice import SeededDice
from routespace.testing.oracle.sizes import Plan

Weights = dict[str, dict[str, "float | Tensor"]]

MAPS = ("blob", "one pixel", "empty", "full", "scattered", "by image", "number")
"""Kinds of maps: of one image each, or a number for each image, or for all."""


def forcings(case: Case, planned: Plan) -> list[Weights]:
    """Every route shut, every route open, one route open, and random weights, alike for all images and for each its
    own, behind gates that are shut or not; of gates per position random maps."""
    dice = SeededDice(case.weight_seed)
    routes = [(gate, route) for gate in case.graph.gates for route in gate.routes]
    one = dice.pick(routes) if routes else None
    choices: list[list[float | Tensor]] = [
        [0.0 for _ in routes],
        [1.0 for _ in routes],
        [float(route == one) for route in routes],
        [dice.pick((0.0, 1.0, 0.5, 0.25)) for _ in routes],
    ]
    apart = SeededDice(case.weight_seed + 1)
    gates = list(dict.fromkeys(gate.name for gate, _ in routes))
    shut = gates[: apart.pick(range(len(gates)))] if gates and apart.chance(50) else []
    choices.append([0.0 if gate.name in shut else _by_image(case, apart) for gate, _ in routes])
    if any(gate.granularity == "position" for gate, _ in routes):
        choices[3:4] = [
            [_weight(case, planned, gate, dice) for gate, _ in routes],
            [_weight(case, planned, gate, dice) for gate, _ in routes],
        ]
    found: list[Weights] = []
    for weights in choices:
        forced: Weights = {}
        for (gate, route), weight in zip(routes, weights, strict=True):
            forced.setdefault(gate.node, {})[route] = weight
        found.append(forced)
    return found


def _weight(case: Case, planned: Plan, gate: Gate, dice: SeededDice) -> float | Tensor:
    if gate.granularity != "position":
        return dice.pick((1.0, 0.5, 1.0, 0.0))
    extent, count = planned.extents[gate.name], case.batch
    kind = dice.pick(MAPS)
    if kind == "number":
        return dice.pick((0.5, 1.0, 0.0))
    if kind == "by image":
        return _by_image(case, dice)
    kinds = [kind if place == 0 else dice.pick(MAPS[:5]) for place in range(count)]
    maps = [one_map(one, extent.height, extent.width, dice) for one in kinds]
    return torch.stack(maps) if maps else torch.zeros(0, extent.height, extent.width, dtype=torch.float64)


def _by_image(case: Case, dice: SeededDice) -> Tensor:
    return torch.tensor([dice.pick((0.0, 0.5, 1.0)) for _ in range(case.batch)], dtype=torch.float64)


def one_map(kind: str, height: int, width: int, dice: SeededDice) -> Tensor:
    """Weights (height, width) of one image."""
    generator = torch.Generator().manual_seed(dice.number(0, 10**6))
    noise = torch.rand(height, width, generator=generator, dtype=torch.float64)
    weights = torch.zeros_like(noise)
    if kind == "full":
        return 0.1 + 0.9 * noise
    if kind == "scattered":
        return torch.where(noise < dice.pick((0.1, 0.5)), 0.5 + 0.5 * noise, 0.0)
    if kind in ("one pixel", "blob"):
        row, column = dice.number(0, height - 1), dice.number(0, width - 1)
        reach = 0 if kind == "one pixel" else dice.number(1, 3)
        rows, columns = (slice(max(0, at - reach), at + reach + 1) for at in (row, column))
        weights[rows, columns] = 0.2 + 0.8 * noise[rows, columns]
    return weights


def shown(weights: Mapping[str, Mapping[str, float | Tensor]]) -> str:
    """Forced weights in short: of maps how many positions of each image are open."""
    return ", ".join(
        f"{node}.{route}: {_said(one)}" for node, routes in weights.items() for route, one in routes.items()
    )


def _said(weight: float | Tensor) -> str:
    if isinstance(weight, Tensor) and weight.dim() > 1:
        return f"{(weight > 0).flatten(1).sum(1).tolist()} positions"
    return f"{weight.tolist() if isinstance(weight, Tensor) else weight}"
