"""Costs as losses and as bounds."""

from __future__ import annotations

import torch

from routespace.graph.bounds import bounds
from routespace.space.registry import ACTIVATIONS
from routespace.testing.laws.skip import gradients
from routespace.testing.laws.subject import Form, Subject, distance
from routespace.testing.oracle import Oracle, gated

LEARNING: tuple[Form, ...] = ("dense", "sparse")
ALIKE = 1e-6
"""The share of the cost that gradients are no smaller than: those of images that are alike cancel out to roundings."""


def expected_cost_teaches(subject: Subject) -> None:
    """The gradient of the expected cost is the oracle's; asked where no gate stands behind another, and none gives
    weights above 1, or equal ones, between which a maximum has no gradient."""
    graph = subject.graph
    entries = [ACTIVATIONS[gate.activation] for gate in graph.gates]
    nested = any(gate.name in gated(graph) for gate in graph.gates)
    if not subject.case.batch or nested or any(one.straight_through or one.range[1] > 1 for one in entries):
        return
    oracle = Oracle(graph, subject.case.state)
    expected = oracle.run(subject.case.images).cost().expected
    wanted = gradients({"cost": expected}, oracle.parameters())
    scale = max((float(grad.abs().max()) for grad in wanted.values()), default=0.0)
    scale = max(scale, ALIKE * float(expected.detach().abs().max()))
    for form in LEARNING:
        module = subject.form(form)
        cost = module(subject.case.images).routing.cost.under("macs").expected
        found = subject.as_named(gradients({"cost": cost}, dict(module.named_parameters())))
        for name, grad in found.items():
            if not float((grad - wanted[name]).abs().max()) <= 1e-7 * max(scale, 1e-3):
                problem = f"the cost of {form} has a gradient by `{name}` {distance(grad, wanted[name]):.2g} off"
                raise subject.fail("expected cost teaches", problem)


def costs_are_bounded(subject: Subject) -> None:
    """No image costs more than the static maximum; none less than the static minimum where every gate decides per
    image and is free to close, and what is closed is nothing."""
    graph = subject.graph
    limits = bounds(graph, (subject.case.height, subject.case.width), "macs")
    outcome = subject.outcome("dense").routing.cost.under("macs")
    shares = all(ACTIVATIONS[gate.activation].range[1] <= 1 for gate in graph.gates)
    spent = torch.cat([outcome.hard, outcome.expected]) if shares else outcome.hard
    most = float(spent.max()) if subject.case.batch else 0.0
    slack = 1e-9 * max(limits.most, 1.0)
    if most > limits.most + slack:
        raise subject.fail("costs are bounded", f"an image costs {most:.0f}, the space {limits.most:.0f} at most")
    passes = any(getattr(value, "closed", None) is not None for value in graph.values)
    passes = passes or any(gate.granularity != "image" for gate in graph.gates)
    least = float(outcome.hard.min()) if subject.case.batch else limits.least
    if not passes and least < limits.least - slack:
        raise subject.fail("costs are bounded", f"an image costs {least:.0f}, the space {limits.least:.0f} at least")
