"""Law 2: what is closed is not called, gets no gradient and costs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from routespace.graph.ir import Gate, Route, RouteGraph
from routespace.runtime.control import forcing
from routespace.targets import targets_of
from routespace.testing.dice import SeededDice
from routespace.testing.inputs import Inputs
from routespace.testing.laws.subject import FORMS, Form, Subject, distance
from routespace.testing.laws.ties import has_equal_maxima
from routespace.testing.oracle import Oracle
from routespace.testing.oracle.sizes import op_of


def closed_paths_rest(subject: Subject) -> None:
    """In sparse and export an op sees at most the images that need it, and none (or no rows) where none does."""
    computed = subject.oracle.computed
    forms: tuple[Form, ...] = ("sparse", "export")
    for form in forms:
        for name, rows in rows_seen(subject.graph, subject.form(form), subject.case.images).items():
            needed = sum(computed[name])
            if rows > needed or (rows == 0) != (needed == 0):
                raise subject.fail("closed paths rest", f"`{name}` of {form} ran for {rows} images, {needed} need it")


def per_position(graph: RouteGraph) -> bool:
    """Whether some gate of a graph decides per position."""
    return any(gate.granularity == "position" for gate in graph.gates)


def _decides_positions(graph: RouteGraph, route: Route) -> bool:
    gate = graph.by_name[route.gate]
    return isinstance(gate, Gate) and gate.granularity == "position"


def rows_seen(graph: RouteGraph, module: nn.Module, images: Inputs) -> Counter[str]:
    """How many rows the op of each value was called with; those of routes decided per position are left to the law of
    positions."""
    seen: Counter[str] = Counter()
    handles = []
    targets = targets_of(graph)
    for value in graph.values:
        found = op_of(value)
        if found is None or (isinstance(value, Route) and _decides_positions(graph, value)):
            continue
        seen[value.name] = 0
        part = module.get_submodule(f"{targets[value.name]}.{'body' if isinstance(value, Gate) else 'op'}")
        handles.append(part.register_forward_pre_hook(_counter(seen, value.name)))
    try:
        module(images)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _counter(seen: Counter[str], name: str) -> Any:
    def count(module: nn.Module, args: tuple[Any, ...]) -> None:
        first = args[0]
        seen[name] += (first[0] if isinstance(first, (list, tuple)) else first).shape[0]

    return count


def closed_paths_learn_nothing(subject: Subject, forms: tuple[Form, ...] = FORMS) -> None:
    """Gradients of every form are the oracle's, where no maximum is taken of equal streams; what no image needed has
    none."""
    if subject.oracle.count == 0:
        return
    oracle = Oracle(subject.graph, subject.case.state)
    wanted = gradients(oracle.run(subject.case.images).outputs, oracle.parameters())
    scale = max((float(grad.abs().max()) for grad in wanted.values()), default=0.0)
    is_unsure = has_equal_maxima(subject.oracle)
    working: Counter[str] = Counter()
    for value in subject.graph.values:
        working[getattr(value, "weights", "") or value.name] += sum(subject.oracle.computed[value.name])
    for form in forms:
        module = subject.form(form)
        outputs = subject.outputs(module(subject.case.images))
        found = subject.as_named(gradients(outputs, dict(module.named_parameters())))
        for name, grad in found.items():
            made = name.rsplit(".op." if ".op." in name else ".body.", 1)[0]
            if not working[made] and bool(grad.any()):
                problem = f"the gradient of `{name}` in {form}, which no image needs, is {float(grad.abs().max()):.2g}"
                raise subject.fail("closed paths learn nothing", problem)
            if not is_unsure and not float((grad - wanted[name]).abs().max()) <= 1e-7 * max(scale, 1e-3):
                problem = f"the gradient of `{name}` in {form} is {distance(grad, wanted[name]):.2g} from the oracle's"
                raise subject.fail("closed paths learn nothing", problem)


def gradients(outputs: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Gradients of a number that every element of the outputs has a part of its own in, by parameter name."""
    depends = [output for output in outputs.values() if output.requires_grad]
    if not depends or not parameters:
        return {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    spread = [torch.linspace(-1, 1, one.numel(), dtype=one.dtype).view_as(one) for one in depends]
    found = torch.autograd.grad(depends, list(parameters.values()), spread, allow_unused=True)
    return {
        name: torch.zeros_like(parameter) if grad is None else grad
        for (name, parameter), grad in zip(parameters.items(), found, strict=True)
    }


def opening_costs(subject: Subject) -> None:
    """With all gates given, opening one more route of an open node never lowers the cost of any image.

    Asked only where every open route has something to deliver: an open route of nothing delivers nothing, where shut
    it may deliver zeros.
    """
    given = random_weights(subject.graph, subject.case.weight_seed)
    choices = [
        (gate.node, route)
        for gate in subject.graph.gates
        for route in gate.routes
        if given[gate.node][route] == 0 and any(given[gate.node][other] for other in gate.routes)
    ]
    if not choices:
        return
    node, opened = SeededDice(subject.case.weight_seed).pick(choices)
    more = {**given, node: {**given[node], opened: 1.0}}
    if _delivers_nothing(subject, given) or _delivers_nothing(subject, more):
        return
    module = subject.form("sparse")
    with torch.no_grad(), forcing(module, given):
        before = module(subject.case.images).routing.cost.under("macs").hard
    with torch.no_grad(), forcing(module, more):
        after = module(subject.case.images).routing.cost.under("macs").hard
    if bool((after < before).any()):
        raise subject.fail(
            "opening costs", f"opening `{node}.{opened}` takes the cost from {before.tolist()} to {after.tolist()}"
        )


def random_weights(graph: RouteGraph, seed: int) -> dict[str, dict[str, float]]:
    """A weight of 0 or 1 for every route of every node."""
    dice = SeededDice(seed)
    weights: dict[str, dict[str, float]] = {}
    for gate in graph.gates:
        for route in gate.routes:
            weights.setdefault(gate.node, {})[route] = float(dice.number(0, 1))
    return weights


def _delivers_nothing(subject: Subject, weights: Mapping[str, Mapping[str, float]]) -> bool:
    result = subject.ask(weights)
    present = result.present
    return any(
        decision is not None and decision.is_open(route.index) and not present[route.source][image]
        for route in subject.graph.values
        if isinstance(route, Route)
        for image, decision in enumerate(result.decisions[route.gate])
    )
