"""Replays with live weights: what a record opened is open, and gates learn from it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from routespace.runtime.control import forcing, replaying
from routespace.runtime.leaves import GateLeaf
from routespace.runtime.result import Outcome, Routing
from routespace.testing.laws.skip import gradients
from routespace.testing.laws.subject import FORMS, TOLERANCE, Form, Subject, distance
from routespace.testing.laws.training import TRAINED

LAW = "live replays teach"


def live_replays_teach(subject: Subject) -> None:
    """Replayed with live weights, a run in training gives the outputs, costs and gradients of the free run. When gates
    have moved, what was recorded is open all the same, forms agree, and what was forced stays forced."""
    form = TRAINED[subject.case.weight_seed % 2]
    module = subject.form(form).train()
    try:
        free = module(subject.case.images)
        wanted = _told(subject, free, module)
        module.load_state_dict(subject.weights, strict=True)
        with replaying(module, free.routing, weights="live"):
            found = _told(subject, module(subject.case.images), module)
    finally:
        module.eval().load_state_dict(subject.weights, strict=True)
    _same(subject, f"{form} in training", found, wanted)
    if subject.graph.gates:
        _moved(subject)


def _told(subject: Subject, outcome: Outcome, module: nn.Module) -> dict[str, Tensor]:
    parameters = dict(module.named_parameters())
    ends = {**subject.outputs(outcome), "expected cost": outcome.routing.cost.expected}
    slopes = gradients(ends, parameters)
    return {**ends, **{f"gradient of {name}": slope for name, slope in slopes.items()}}


def _moved(subject: Subject) -> None:
    """The record of one form, replayed in all of them by gates that have become others."""
    first = subject.graph.gates[0].node
    with torch.no_grad(), forcing(subject.form("dense"), {first: 0.5}):
        record: Routing = subject.form("dense")(subject.case.images).routing
    wanted: dict[str, Tensor] = {}
    for form in FORMS:
        module = subject.made(form, subject.weights)
        _move(module)
        with torch.no_grad(), replaying(module, record, weights="live"):
            outcome = module(subject.case.images)
        _is_as_recorded(subject, form, first, outcome.routing, record)
        told = {**subject.outputs(outcome), "hard cost": outcome.routing.cost.hard}
        wanted = wanted or told
        _same(subject, f"{form} with gates that moved", told, wanted)


def _move(module: nn.Module) -> None:
    """Turn the logits of every gate round, and make them smaller."""
    owned = {one for part in module.modules() if isinstance(part, GateLeaf) for one in part.body.parameters()}
    with torch.no_grad():
        for parameter in owned:
            parameter.mul_(-0.5)


def _is_as_recorded(subject: Subject, form: Form, first: str, routing: Routing, record: Routing) -> None:
    for node, routes in record.weights.items():
        for route in routes:
            if not torch.equal(routing.opens(node, route), record.opens(node, route)):
                raise subject.fail(LAW, f"`{node}.{route}` of {form} is not open where it was recorded to be")
            shut = ~routing.opens(node, route) & routing.reached_by(node, route)
            if bool((routing.weights[node][route].masked_select(shut) != 0).any()):
                raise subject.fail(LAW, f"`{node}.{route}` of {form} has weights where it is shut")
            if node == first and distance(routing.weights[node][route], record.weights[node][route]) > 0:
                raise subject.fail(LAW, f"`{node}.{route}` of {form} was forced, and is no longer")


def _same(subject: Subject, where: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    for name, tensor in wanted.items():
        error = distance(found[name].detach(), tensor.detach())
        if error > TOLERANCE[torch.float64]:
            raise subject.fail(LAW, f"{name} of {where} is {error:.2g} off")
