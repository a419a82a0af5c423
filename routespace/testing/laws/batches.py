"""Laws 3 and 4: images do not see each other, and a recorded routing can be taken again."""

from __future__ import annotations

import torch
from torch import Tensor

from routespace.runtime.control import replaying
from routespace.runtime.result import Outcome
from routespace.testing.inputs import one_of, over
from routespace.testing.laws.subject import FORMS, TOLERANCE, Form, Subject, distance


def images_stand_alone(subject: Subject, forms: tuple[Form, ...] = ("dense", "sparse")) -> None:
    """A batch of N gives what N batches of one give; a permuted batch gives permuted results."""
    images = subject.case.images
    count = subject.case.batch
    order = torch.arange(count).flip(0)
    for form in forms:
        whole = _results(subject, subject.outcome(form))
        turned = _results(subject, subject.run(form, over(images, lambda x: x[order])))
        _same(subject, f"{form}, turned round", {name: x[order] for name, x in whole.items()}, turned)
        for image in range(count):
            alone = _results(subject, subject.run(form, one_of(images, image)))
            _same(subject, f"{form}, image {image} alone", {n: x[image : image + 1] for n, x in whole.items()}, alone)


def _results(subject: Subject, outcome: Outcome) -> dict[str, Tensor]:
    cost = outcome.routing.cost
    return {
        **{f"output {key}": output for key, output in subject.outputs(outcome).items()},
        **{
            f"weight {node}.{route}": weight
            for node, routes in outcome.routing.weights.items()
            for route, weight in routes.items()
        },
        "expected cost": cost.expected,
        "hard cost": cost.hard,
    }


def _same(subject: Subject, where: str, wanted: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    if any(float(margin.min()) < 1e-9 for margin in subject.oracle.margins.values() if margin.numel()):
        return
    for name, tensor in wanted.items():
        error = distance(found[name], tensor)
        if error > TOLERANCE[torch.float64]:
            raise subject.fail("images stand alone", f"{name} of {where} differs by {error:.2g}")


def replay_is_exact(subject: Subject, forms: tuple[Form, ...] = FORMS) -> None:
    """Replaying the routing that a form recorded gives that form's output bit by bit, and the same weights."""
    for form in forms:
        module = subject.form(form)
        first = subject.outcome(form)
        with torch.no_grad(), replaying(module, first.routing):
            second = module(subject.case.images)
        for key, output in subject.outputs(first).items():
            if not torch.equal(subject.outputs(second)[key], output):
                error = distance(subject.outputs(second)[key], output)
                raise subject.fail("replay is exact", f"output `{key}` of {form} differs by {error:.2g}")
        for node, routes in first.routing.weights.items():
            for route, weight in routes.items():
                again = second.routing.weights[node][route]
                if not torch.equal(again.nan_to_num(-1.0), weight.nan_to_num(-1.0)):
                    raise subject.fail(
                        "replay is exact", f"`{node}.{route}` of {form} was {weight.tolist()}, then {again.tolist()}"
                    )
