"""Law 1: the same weights and images give the same outputs and the same routing in every form."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from routespace.compiler import compile as compile_space
from routespace.graph.nets import hold
from routespace.runtime.control import forcing
from routespace.runtime.result import Cost, Outcome
from routespace.space.registry import ACTIVATIONS
from routespace.testing.inputs import over
from routespace.testing.laws.forcings import shown
from routespace.testing.laws.subject import (
    FORMS,
    ROUNDING,
    TOLERANCE,
    Form,
    Subject,
    distance,
    nudged,
    nudged_images,
)
from routespace.testing.oracle import Costs, Oracle, gated

ByNode = dict[str, dict[str, Tensor]]

UNSURE = 4
"""In low precision an output may be off by this many times what it moves with roundings of images and weights."""


def forms_agree(subject: Subject, forms: tuple[Form, ...] = FORMS) -> None:
    """Every form agrees with the oracle in float64: outputs, weights, logits and costs, image by image."""
    routes = Counter((gate.node, route) for gate in subject.graph.gates for route in gate.routes)
    for (node, route), count in routes.items():
        if count > 1:
            raise subject.fail("forms agree", f"{count} gates of `{node}` decide over a route called `{route}`")
    for form in forms:
        agrees_with_oracle(subject, form, subject.outcome(form), torch.float64)


def agrees_with_oracle(subject: Subject, form: str, outcome: Outcome, dtype: torch.dtype) -> None:
    """A free run may differ from the oracle only from a decision whose margin is below the rounding of `dtype`."""
    wanted, tolerance = subject.oracle, TOLERANCE[dtype]
    sure = [image for image in range(wanted.count) if not _excused(subject, form, outcome, image, ROUNDING[dtype])]
    if len(sure) == wanted.count:
        _shapes(subject, form, outcome)
    for key, output in subject.outputs(outcome).items():
        error = distance(output[sure], wanted.outputs[key][sure])
        if error > tolerance:
            raise subject.fail("forms agree", f"output `{key}` of {form} is {error:.2g} from the oracle")
    for what, found, right in (
        ("weights", outcome.routing.weights, wanted.weights),
        ("logits", outcome.routing.logits, wanted.logits),
    ):
        routing_agrees(subject, form, what, found, right, sure, tolerance)
    if dtype == torch.float64:
        costs_agree(subject, form, outcome, sure)


def costs_agree(subject: Subject, form: str, outcome: Outcome, images: list[int]) -> None:
    """Costs of `images` are the oracle's, under `macs` and the convention that the space declares."""
    for convention in dict.fromkeys(("macs", subject.graph.policies.cost)):
        _same_cost(subject, form, outcome.routing.cost.under(convention), subject.oracle.cost(convention), images)


def _same_cost(subject: Subject, form: str, found: Cost, right: Costs, images: list[int]) -> None:
    """Hard and expected cost; the latter only where no gate stands behind another, since shares of shares are free, and
    no weight is above 1, since such are no shares."""
    nested = any(
        gate.name in gated(subject.graph) or ACTIVATIONS[gate.activation].range[1] > 1 for gate in subject.graph.gates
    )
    pairs = [("hard", found.hard, right.hard)]
    for kind, have, want in pairs if nested else [*pairs, ("expected", found.expected, right.expected)]:
        if distance(have.detach()[images], want.detach()[images]) > 1e-6:
            problem = f"{kind} cost ({found.convention}) of {form} is {have.tolist()}, not {want.tolist()}"
            raise subject.fail("forms agree", problem)


def _shapes(subject: Subject, form: str, outcome: Outcome) -> None:
    found = {key: tuple(output.shape) for key, output in subject.outputs(outcome).items()}
    right = {key: tuple(output.shape) for key, output in subject.oracle.outputs.items()}
    if found != right:
        raise subject.fail("forms agree", f"outputs of {form} have shapes {found}, not {right}")


def _excused(subject: Subject, form: str, outcome: Outcome, image: int, rounding: float) -> bool:
    """Whether the first decision of an image that falls differently was too close to call."""
    wanted = subject.oracle
    for gate in subject.graph.gates:
        for route in gate.routes:
            found = outcome.routing.weights[gate.node][route][image]
            right = wanted.weights[gate.node][route][image]
            closes = ACTIVATIONS[gate.activation].closes
            differ = _decision(found, closes) != _decision(right, closes)
            if not bool(differ.any()):
                continue
            margin = wanted.margins[gate.name][image]
            far = differ & (margin >= rounding)
            if not bool(far.any()):
                return True
            raise subject.fail(
                "forms agree",
                f"image {image} has {float(found[far][0]):g} on `{gate.node}.{route}` in {form} and "
                f"{float(right[far][0]):g} in the oracle, by a margin of {float(margin[far][0]):g}",
            )
    return False


def _decision(weight: Tensor, closes: bool) -> Tensor:
    """What recorded weights say: 0 not reached, 1 shut, 2 open. A gate that never closes is open even where its weight
    is too small to show."""
    opened = (weight > 0) | (not closes)
    return torch.where(torch.isnan(weight), 0, torch.where(opened, 2, 1))


def routing_agrees(
    subject: Subject, form: str, what: str, found: ByNode, right: ByNode, images: list[int] | None, tolerance: float
) -> None:
    """Weights or logits are the oracle's for `images` (all of them when None), NaN in the same places."""
    if {node: set(routes) for node, routes in found.items()} != {node: set(routes) for node, routes in right.items()}:
        raise subject.fail("forms agree", f"{what} of {form} name other routes than the oracle's")
    for node, routes in right.items():
        for route, wanted in routes.items():
            have, want = found[node][route].detach(), wanted.detach()
            if images is not None:
                have, want = have[images], want[images]
            if distance(have, want) > 10 * tolerance:
                raise subject.fail(
                    "forms agree", f"{what} of `{node}.{route}` in {form} are {have.tolist()}, not {want.tolist()}"
                )


def replays_agree_in_float32(subject: Subject) -> None:
    """With the oracle's decisions replayed, a form in float32 gives the oracle's outputs; the forms take turns.

    A free run in float32 does too, but for images with a decision too close to call.
    """
    forms = subject.turn(subject.case.weight_seed)
    replays_agree(subject, torch.float32, forms)
    for form in forms:
        agrees_with_oracle(subject, form, subject.run(form, dtype=torch.float32), torch.float32)


def replays_agree_in_bfloat16(subject: Subject) -> None:
    """The same in bfloat16."""
    replays_agree(subject, torch.bfloat16, subject.turn(subject.case.image_seed))


def _drift(subject: Subject, key: str, share: float) -> float:
    """How far the oracle's output moves, its decisions replayed, when images and weights move by `share`."""
    state = {name: nudged(tensor, share, place) for place, (name, tensor) in enumerate(subject.case.state.items())}
    forced = {
        node: {route: weight.nan_to_num() for route, weight in routes.items()}
        for node, routes in subject.oracle.weights.items()
    }
    with torch.no_grad():
        moved = Oracle(subject.graph, state).run(nudged_images(subject.case.images, share, len(state)), forced)
    return distance(moved.outputs[key], subject.oracle.outputs[key])


def replays_agree(subject: Subject, dtype: torch.dtype, forms: tuple[Form, ...] = FORMS) -> None:
    """With the oracle's decisions replayed, forms in `dtype` give the oracle's outputs within `TOLERANCE`."""
    decisions = {
        node: {route: weight.nan_to_num().to(dtype) for route, weight in routes.items()}
        for node, routes in subject.oracle.weights.items()
    }
    for form in forms:
        module = subject.form(form, dtype)
        with torch.no_grad(), forcing(module, decisions):
            outcome = module(over(subject.case.images, lambda x: x.to(dtype)))
        for key, output in subject.outputs(outcome).items():
            if output.dtype != dtype:
                raise subject.fail("replays agree", f"output `{key}` of {form} in {dtype} is {output.dtype}")
            error = distance(output, subject.oracle.outputs[key])
            if error > TOLERANCE[dtype] and error > UNSURE * _drift(subject, key, torch.finfo(dtype).eps):
                raise subject.fail("replays agree", f"output `{key}` of {form} in {dtype} is off by {error:.2g}")


def forced_agree(subject: Subject) -> None:
    """With every gate forced (all shut, all open, one open, at random, to maps) the forms in turn give the oracle's
    outputs."""
    for turn, (weights, wanted) in enumerate(subject.forced):
        (form,) = subject.turn(turn + subject.case.image_seed)
        module = subject.form(form)
        with torch.no_grad(), forcing(module, weights):
            outcome = module(subject.case.images)
        for key, output in subject.outputs(outcome).items():
            error = distance(output, wanted.outputs[key])
            if error > TOLERANCE[torch.float64]:
                raise subject.fail("forced agree", f"output `{key}` of {form} is {error:.2g} off with {shown(weights)}")
        everything = list(range(wanted.count))
        cost = outcome.routing.cost.under("macs")
        _same_cost(subject, f"{form} with {shown(weights)}", cost, wanted.cost(), everything)


def fixed_agrees(subject: Subject) -> None:
    """A net compiled alone is the space with its gates forced to the net; its names are a subset of the space's."""
    if subject.case.net is None:
        return
    held = hold(subject.graph, subject.case.net).weights
    forced: dict[str, dict[str, float]] = {}
    for gate in subject.graph.gates:
        forced.setdefault(gate.node, {}).update(zip(gate.routes, held[gate.name], strict=True))
    fixed = compile_space(subject.graph, form="fixed", net=subject.case.net).double().eval()
    foreign = sorted(set(fixed.state_dict()) - set(subject.weights))
    if foreign:
        raise subject.fail("fixed agrees", f"the net has weights that the space has not: {foreign[:4]}")
    fixed.load_state_dict({name: subject.weights[name] for name in fixed.state_dict()}, strict=True)
    dense = subject.form("dense")
    with torch.no_grad():
        alone = fixed(subject.case.images)
        with forcing(dense, forced):
            forced_outcome = dense(subject.case.images)
    for key, output in subject.outputs(alone).items():
        error = distance(output, subject.outputs(forced_outcome)[key])
        if error > TOLERANCE[torch.float64]:
            raise subject.fail("fixed agrees", f"output `{key}` of the net is {error:.2g} from the space forced to it")
