"""Training: the same laws where batch statistics couple the images of a batch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from routespace.testing.laws.agree import routing_agrees
from routespace.testing.laws.skip import gradients
from routespace.testing.laws.subject import Form, Subject, distance, nudged, nudged_images
from routespace.testing.laws.ties import equal_in_pools, has_equal_maxima
from routespace.testing.oracle import Oracle

TOLERANCE = 1e-6
TOO_CLOSE = 1e-7
ULP = 2.0**-52
UNSURE = 16
"""A gradient may be off by this many times what it moves with roundings of images and weights."""
TRAINED: tuple[Form, ...] = ("dense", "sparse")
"""Forms that train; export and fixed do not."""


def training_agrees(subject: Subject, forms: tuple[Form, ...] = ()) -> None:
    """In training a form gives the oracle's outputs, decisions, running statistics and gradients; forms take turns
    where no shut route teaches.

    Gradients are not asked for where a maximum is taken of equal streams, or of equal values where shut routes teach.
    """
    images = subject.case.images
    oracle = Oracle(subject.graph, subject.case.state, mode="training")
    with equal_in_pools(oracle) as tied:
        wanted = oracle.run(images)
    teaches = any(gate.gradient == "all" for gate in subject.graph.gates)
    is_unsure = has_equal_maxima(wanted) or (teaches and any(tied))
    if any(float(margin.min()) < TOO_CLOSE for margin in wanted.margins.values() if margin.numel()):
        return
    slopes = gradients(wanted.outputs, oracle.parameters())
    for form in forms or (TRAINED if teaches else TRAINED[subject.case.weight_seed % 2 :][:1]):
        module = subject.form(form)
        module.train()
        try:
            outcome = module(images)
            found = subject.as_named(gradients(subject.outputs(outcome), dict(module.named_parameters())))
            state = {name: x.clone() for name, x in subject.as_named(module.state_dict()).items()}
        finally:
            module.eval()
            module.load_state_dict(subject.weights, strict=True)
        where = f"{form} in training"
        routing_agrees(subject, where, "weights", outcome.routing.weights, wanted.weights, None, TOLERANCE)
        _same(subject, f"outputs of {where}", subject.outputs(outcome), wanted.outputs)
        _same(subject, f"state after {where}", state, wanted.state)
        if is_unsure:
            continue
        scale = max((float(slope.abs().max()) for slope in slopes.values()), default=0.0)
        for name, slope in slopes.items():
            error = float((found[name] - slope).abs().max())
            if not error <= TOLERANCE * max(scale, 1e-3) and not error <= UNSURE * _drift(subject, slopes):
                shown = distance(found[name], slope)
                raise subject.fail("training agrees", f"the gradient of `{name}` in {form} is {shown:.2g} off")


def _drift(subject: Subject, slopes: Mapping[str, Tensor]) -> float:
    """How far the oracle's own gradients move when images and weights move by a rounding: statistics of images that are
    almost alike divide by almost nothing."""
    state = {name: nudged(tensor, ULP, place) for place, (name, tensor) in enumerate(subject.case.state.items(), 1)}
    oracle = Oracle(subject.graph, state, mode="training")
    moved = gradients(oracle.run(nudged_images(subject.case.images, ULP, 0)).outputs, oracle.parameters())
    return max((float((moved[name] - slope).abs().max()) for name, slope in slopes.items()), default=0.0)


def _same(subject: Subject, what: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    for name, tensor in wanted.items():
        error = distance(found[name].detach(), tensor.detach())
        if error > TOLERANCE:
            raise subject.fail("training agrees", f"`{name}` of the {what} is {error:.2g} from the oracle's")
