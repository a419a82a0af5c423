"""Law 8: which of the situations that matter a case puts the forms in."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from routespace.graph.ir import Gate
from routespace.graph.sizes import least_size
from routespace.testing.laws.forcings import forcings
from routespace.testing.laws.positions import position_routes
from routespace.testing.laws.subject import Subject

SITUATIONS = (
    "closed",
    "unreached",
    "zero-reached",
    "odd size",
    "smallest size",
    "batch 0",
    "batch of several",
    "all closed",
    "all open",
    "one open",
    "gate per position",
    "several grains",
    "pyramid",
    "shared weights",
    "mask open nowhere",
    "mask of one pixel",
    "mask open here and there",
    "mask open everywhere",
)


def hits(subject: Subject) -> set[str]:
    """Names of the `SITUATIONS` that some image of a case is in; masks count where the laws force them too."""
    case, result = subject.case, subject.oracle
    found = {
        "odd size": bool((case.height | case.width) & 1),
        "smallest size": (case.height, case.width) == least_size(subject.graph),
        "batch 0": case.batch == 0,
        "batch of several": case.batch > 1,
        "zero-reached": any(result.zero_reached),
        "closed": any(any(images) for images in result.closed.values()),
        "unreached": any(not all(images) for images in result.consulted.values()),
    }
    grains = {gate.granularity for gate in subject.graph.gates}
    found["gate per position"] = "position" in grains
    found["several grains"] = len(grains) > 1
    found["pyramid"] = not isinstance(case.images, Tensor)
    found["shared weights"] = any(getattr(value, "weights", "") for value in subject.graph.values)
    if "position" in grains:
        found.update(dict.fromkeys(_masks(subject), True))
    for image in range(case.batch):
        decisions = [
            decision
            for gate, of_gate in result.decisions.items()
            if result.consulted[gate][image] and (decision := of_gate[image]) is not None
        ]
        opened = [sum(decision.is_open(route) for route in range(len(decision.open))) for decision in decisions]
        if decisions:
            found["all closed"] = found.get("all closed", False) or not any(opened)
            found["one open"] = found.get("one open", False) or 1 in opened
            found["all open"] = found.get("all open", False) or all(
                count == len(decision.open) for count, decision in zip(opened, decisions, strict=True)
            )
    return {name for name, hit in found.items() if hit}


def _masks(subject: Subject) -> Iterator[str]:
    """What masks of routes that are read look like, those of the gates' own and those that laws force."""
    result = subject.oracle
    forced = forcings(subject.case, result.planned)
    for route in position_routes(subject.graph):
        gate = subject.graph.by_name[route.gate]
        assert isinstance(gate, Gate)
        masks = [mask for image in range(result.count) if (mask := result.mask(route.name, image)) is not None]
        for weights in forced:
            weight = weights[gate.node][gate.routes[route.index]]
            if isinstance(weight, Tensor) and weight.dim() == 3:
                masks.extend(weight > 0)
        for mask in masks:
            count = int(mask.sum())
            if count in (0, mask.numel()):
                yield "mask open everywhere" if count else "mask open nowhere"
            else:
                yield "mask of one pixel" if count == 1 else "mask open here and there"
