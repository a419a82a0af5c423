"""What is derived follows what it is derived from, and what is closed cannot be seen."""

from __future__ import annotations

import math

import torch

from routespace.testing.laws.subject import FORMS, TOLERANCE, Form, Subject, distance
from routespace.testing.oracle.sizes import op_of


def weights_are_followed(subject: Subject) -> None:
    """A form that has run and gets other weights gives what a fresh one does: nothing folded stays behind."""
    changed = {name: x * 1.1 if x.is_floating_point() else x for name, x in subject.weights.items()}
    for form in subject.turn(subject.case.batch + subject.case.image_seed):
        module, fresh = subject.form(form), subject.made(form, changed)
        subject.outcome(form)
        try:
            module.load_state_dict(changed, strict=True)
            with torch.no_grad():
                found, wanted = module(subject.case.images), fresh(subject.case.images)
        finally:
            module.load_state_dict(subject.weights, strict=True)
        for key, output in subject.outputs(wanted).items():
            error = distance(subject.outputs(found)[key], output)
            if error > TOLERANCE[torch.float64]:
                raise subject.fail(
                    "weights are followed", f"output `{key}` of {form} is {error:.2g} off after its weights changed"
                )


def closed_paths_do_not_matter(subject: Subject, forms: tuple[Form, ...] = FORMS) -> None:
    """Whatever the weights of what no image needs are, NaN for one, every form gives the same outputs."""
    resting = {name for name, images in subject.oracle.computed.items() if not any(images)}
    spoiled = dict(subject.weights)
    for value in subject.graph.values:
        place = op_of(value)
        if value.name in resting and place is not None:
            for name, named in subject.names.items():
                if name.startswith(f"{place[0]}.") and spoiled[named].is_floating_point():
                    spoiled[named] = torch.full_like(spoiled[named], math.nan)
    if not resting:
        return
    for form in forms:
        wanted = subject.outcome(form)
        with torch.no_grad():
            found = subject.made(form, spoiled)(subject.case.images)
        for key, output in subject.outputs(wanted).items():
            if distance(subject.outputs(found)[key], output) > TOLERANCE[torch.float64]:
                raise subject.fail(
                    "closed paths do not matter", f"output `{key}` of {form} changes with weights that no image needs"
                )
