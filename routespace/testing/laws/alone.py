"""Laws that need no oracle: one space, its forms held against each other.

They share nothing with it, and take a fraction of its time on large spaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from routespace.compiler import compile as compile_space
from routespace.graph.infer import infer
from routespace.graph.ir import Input, Output, Route, is_per_position
from routespace.runtime.control import replaying
from routespace.runtime.maps import is_skippable
from routespace.runtime.override import Control
from routespace.runtime.positions import reference_where, run_where
from routespace.runtime.positions.geometry import leaves, statistics
from routespace.runtime.result import Outcome
from routespace.runtime.sparse_maps import exactly
from routespace.runtime.tree import run
from routespace.targets import targets_of
from routespace.testing.cases import random_images
from routespace.testing.laws.counts import expected_is_hard_when_decided
from routespace.testing.laws.subject import ROUNDING, TOLERANCE, Form, Subject, distance
from routespace.testing.laws.words import format_keeps_meaning, json_keeps_meaning, order_does_not_matter

Given = Tensor | list[Tensor]
SKIPPING: tuple[Form, ...] = ("sparse", "export")


class Alone(Subject):
    """A subject that does without the oracle: its weights are by the names of modules."""

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """Random weights, those of gates spread so that a good share of routes closes."""
        module = compile_space(self.graph, seed=self.case.weight_seed)
        generator = torch.Generator().manual_seed(self.case.weight_seed)
        state = {name: _random(name, tensor, generator) for name, tensor in module.state_dict().items()}
        for name, part in module.named_modules():
            if isinstance(getattr(part, "control", None), Control):
                ends = [inner for inner, one in part.named_modules() if isinstance(one, nn.Conv2d)]
                bias = f"{name}.{ends[-1]}.bias" if ends else ""
                if bias in state:
                    state[bias] += self.case.tilt
        return state

    @cached_property
    def images(self) -> Given:
        """The images of the case; of a pyramid, every level."""
        case, found = self.case, []
        for place, value in enumerate(value for value in self.graph.values if isinstance(value, Input)):
            height, width = (max(1, math.ceil(side / value.stride)) for side in (case.height, case.width))
            found.append(random_images(value.channels, case.batch, height, width, case.image_seed + place))
        return found[0] if len(found) == 1 else found

    def outputs(self, outcome: Outcome) -> dict[str, Tensor]:
        if isinstance(outcome.output, dict):
            return outcome.output
        (key,) = (value.key for value in self.graph.values if isinstance(value, Output))
        return {key: outcome.output}

    def run(self, form: Form, images: Any = None, dtype: torch.dtype = torch.float64) -> Outcome:
        given = self.images if images is None else images
        with torch.no_grad():
            outcome: Outcome = self.form(form, dtype)(each(given, lambda x: x.to(dtype)))
        return outcome

    @cached_property
    def margin(self) -> float:
        """The smallest margin of all decisions."""
        margins = self.outcome("dense").routing.margins().values()
        return min(
            (float(one.nan_to_num(math.inf).min()) for by in margins for one in by.values() if one.numel()),
            default=math.inf,
        )


def _random(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    if not like.is_floating_point():
        return torch.zeros_like(like)
    noise = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    if name.endswith("running_var"):
        return 0.5 + noise.abs()
    if like.dim() > 1:
        return noise * math.sqrt(1.5 / like[0].numel())
    return 0.3 * noise + (1.0 if name.endswith("weight") else 0.0)


def each(given: Given, change: Callable[[Tensor], Tensor]) -> Given:
    """`change` of every input."""
    return change(given) if isinstance(given, Tensor) else [change(x) for x in given]


def numbers_of(subject: Subject, outcome: Outcome) -> dict[str, Tensor]:
    """Everything that an outcome says of its images: outputs, weights and logits of routes, hard and expected cost."""
    routing, found = outcome.routing, dict[str, Tensor]()
    found.update((f"output {key}", x) for key, x in subject.outputs(outcome).items())
    for what, by_node in (("weight", routing.weights), ("logit", routing.logits)):
        found.update((f"{what} of {n}.{r}", x) for n, routes in by_node.items() for r, x in routes.items())
    for convention in dict.fromkeys(("macs", subject.graph.policies.cost)):
        cost = routing.cost.under(convention)
        found[f"hard cost by {convention}"] = cost.hard
        found[f"expected cost by {convention}"] = cost.expected
    return found


def _same(
    subject: Alone, law: str, where: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], tolerance: float
) -> None:
    for name, tensor in wanted.items():
        error = distance(found[name].detach(), tensor.detach())
        if error > tolerance:
            raise subject.fail(law, f"{name} of {where} differs by {error:.2g}")


def forms_match(subject: Alone) -> None:
    """Sparse and export say what dense says of every image."""
    if subject.margin < ROUNDING[torch.float64]:
        return
    wanted = numbers_of(subject, subject.outcome("dense"))
    for form in SKIPPING:
        found = numbers_of(subject, subject.outcome(form))
        _same(subject, "forms match", f"{form} beside dense", wanted, found, TOLERANCE[torch.float64])


def slopes_match(subject: Alone) -> None:
    """Dense and sparse learn the same, in both modes; in training their statistics move alike too."""
    if not subject.case.batch or subject.margin < ROUNDING[torch.float64]:
        return
    for training in (False, True):
        wanted, found = (_learnt(subject, form, training) for form in ("dense", "sparse"))
        scale = max((float(x.abs().max()) for name, x in wanted.items() if name.startswith("gradient")), default=0.0)
        for name, tensor in wanted.items():
            error = float((found[name] - tensor).abs().max()) if tensor.numel() else 0.0
            if not error <= 1e-6 * max(scale if name.startswith("gradient") else float(tensor.abs().max()), 1e-3):
                where = "in training" if training else "in inference"
                raise subject.fail("slopes match", f"{name} of sparse {where} is {error:.2g} off that of dense")


def _learnt(subject: Alone, form: Form, training: bool) -> dict[str, Tensor]:
    module = subject.form(form).train(training)
    try:
        outputs = subject.outputs(module(subject.images))
        ends = [x for x in outputs.values() if x.requires_grad]
        parameters = dict(module.named_parameters())
        spread = [torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x) for x in ends]
        grads = torch.autograd.grad(ends, list(parameters.values()), spread, allow_unused=True) if ends else ()
        found = {
            f"gradient of {name}": torch.zeros_like(parameter) if grad is None else grad
            for (name, parameter), grad in zip(parameters.items(), grads, strict=False)
        }
        state = module.state_dict()
        found.update((f"state {name}", state[name].double().clone()) for name in state if "running" in name)
    finally:
        module.eval().load_state_dict(subject.weights, strict=True)
    return found


def images_stay_apart(subject: Alone) -> None:
    """A batch of N gives what N batches of one give; turned round, everything is turned round."""
    if subject.margin < ROUNDING[torch.float64]:
        return
    count, tolerance = subject.case.batch, TOLERANCE[torch.float64]
    for form in ("dense", "sparse"):
        whole = numbers_of(subject, subject.outcome(form))
        turned = numbers_of(subject, subject.run(form, each(subject.images, lambda x: x.flip(0))))
        wanted = {name: x.flip(0) for name, x in whole.items()}
        _same(subject, "images stay apart", f"{form}, turned round", wanted, turned, tolerance)
        for image in range(count):
            one = slice(image, image + 1)
            alone = numbers_of(subject, subject.run(form, each(subject.images, partial(_taken, one))))
            wanted = {name: x[one] for name, x in whole.items()}
            _same(subject, "images stay apart", f"{form}, image {image} alone", wanted, alone, tolerance)


def _taken(one: slice, images: Tensor) -> Tensor:
    return images[one]


def replays_match(subject: Alone) -> None:
    """A recorded routing taken again gives the same output; in float32 it gives it within a tolerance."""
    for form in ("dense", "sparse"):
        first = subject.outcome(form)
        with torch.no_grad(), replaying(subject.form(form), first.routing):
            again = subject.form(form)(subject.images)
        _same(subject, "replays match", form, subject.outputs(first), subject.outputs(again), 0.0)
    low = subject.form("sparse", torch.float32)
    with torch.no_grad(), replaying(low, subject.outcome("sparse").routing):
        found = low(each(subject.images, lambda x: x.to(torch.float32)))
    tolerance = 10 * TOLERANCE[torch.float32]
    _same(
        subject,
        "replays match",
        "sparse in float32",
        subject.outputs(subject.outcome("sparse")),
        subject.outputs(found),
        tolerance,
    )


def executed_is_what_is_counted(subject: Alone) -> None:
    """Executed multiply-adds of every form are those that torch's own counter saw."""
    for form in ("dense", *SKIPPING):
        module = subject.form(form)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            executed = float(module(subject.images).routing.cost.under("macs").executed.sum())
        counted = counter.get_total_flops() / 2
        if abs(executed - counted) > 1e-6 * max(counted, 1.0):
            raise subject.fail(
                "executed is what is counted", f"{form} says it executed {executed:.0f}, {counted:.0f} were counted"
            )


def exact_execution_is_hard(subject: Alone) -> None:
    """Where sparse computes exactly the positions needed it executes the hard cost, or less where zeros are shared."""
    module = subject.form("sparse")
    with torch.no_grad(), exactly(module):
        cost = module(subject.images).routing.cost.under("macs")
    if bool((cost.executed > cost.hard * (1 + 1e-9)).any()):
        problem = f"sparse executed {cost.executed.tolist()} where the hard cost is {cost.hard.tolist()}"
        raise subject.fail("exact execution is hard", problem)


def masks_are_grown(subject: Alone) -> None:
    """What a path gives at its open positions is what its op gives there on the whole map, in both ways of running."""
    graph, module = subject.graph, subject.form("dense")
    targets, generator = targets_of(graph), torch.Generator().manual_seed(subject.case.image_seed)
    for route in graph.values:
        if not isinstance(route, Route) or not is_per_position(graph, route) or not graph.readers[route.name]:
            continue
        op = module.get_submodule(f"{targets[route.name]}.op")
        if not is_skippable(op) or any(statistics(leaf) == "active" for leaf in leaves(op)):
            continue
        shapes = infer(graph, (subject.case.height, subject.case.width))
        given, made = shapes.shapes[route.source], shapes.shapes[route.name]
        x = torch.randn(2, given.channels, given.height, given.width, generator=generator, dtype=torch.float64)
        mask = torch.rand(2, 1, made.height, made.width, generator=generator) < 0.2
        with torch.no_grad():
            wanted = torch.where(mask, run(op, x, shapes.sizes, True), 0.0)
            for way in (run_where, reference_where):
                error = distance(way(op, x, mask, shapes.sizes), wanted)
                if error > TOLERANCE[torch.float64]:
                    raise subject.fail("masks are grown", f"`{route.name}` at open positions is {error:.2g} off its op")


ALONE_LAWS: Mapping[str, Callable[[Any], None]] = {
    "forms match": forms_match,
    "slopes match": slopes_match,
    "images stay apart": images_stay_apart,
    "replays match": replays_match,
    "executed is what is counted": executed_is_what_is_counted,
    "exact execution is hard": exact_execution_is_hard,
    "masks are grown": masks_are_grown,
    "expected is hard": expected_is_hard_when_decided,
    "format keeps meaning": format_keeps_meaning,
    "json keeps meaning": json_keeps_meaning,
    "order does not matter": order_does_not_matter,
}
"""Laws of an `Alone` subject by name."""
