"""NaN is open: a gate that reads NaN closes nothing, and nothing else is spoilt by it."""

from __future__ import annotations

import torch
from torch import Tensor

from routespace.testing.inputs import Inputs, levels, over
from routespace.testing.laws.subject import FORMS, TOLERANCE, Form, Subject, distance


def nan_is_open(subject: Subject, forms: tuple[Form, ...] = ()) -> None:
    """With a NaN in one place of one image, forms give the oracle's outputs and weights, NaN in the same places."""
    images = spoilt(subject.case.images, subject.case.image_seed)
    with torch.no_grad():
        wanted = subject.evaluator.run(images)
    if any(float(margin.nan_to_num(1.0).min()) < 1e-9 for margin in wanted.margins.values() if margin.numel()):
        return
    for form in forms or FORMS:
        outcome = subject.run(form, images)
        for key, output in subject.outputs(outcome).items():
            error = distance(output, wanted.outputs[key])
            if error > TOLERANCE[torch.float64]:
                raise subject.fail("nan is open", f"output `{key}` of {form} is {error:.2g} from the oracle")
        for node, routes in wanted.weights.items():
            for route, weight in routes.items():
                if distance(outcome.routing.weights[node][route], weight) > 10 * TOLERANCE[torch.float64]:
                    raise subject.fail("nan is open", f"the weights of `{node}.{route}` in {form} are not the oracle's")


def spoilt(images: Inputs, seed: int) -> Inputs:
    """The same images with a NaN in one position of one of them, and of one level."""
    chosen = levels(images)[seed % len(levels(images))]

    def spoil(x: Tensor) -> Tensor:
        if x is not chosen or not len(x):
            return x
        x = x.clone()
        x[seed % len(x), 0, seed % x.shape[2], (seed // 7) % x.shape[3]] = torch.nan
        return x

    return over(images, spoil)
