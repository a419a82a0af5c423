"""The law of masks: inside a gated expression a convolution computes what some open output needs, and no more."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn

from routespace.graph.ir import Route, RouteGraph
from routespace.runtime.control import forcing
from routespace.runtime.entered import entering
from routespace.runtime.positions import exact
from routespace.runtime.positions.choose import Chooser
from routespace.runtime.positions.kernels import Job, Kernel
from routespace.runtime.sparse_maps import Route as PositionRoute
from routespace.targets import targets_of
from routespace.testing.inputs import Inputs, one_of
from routespace.testing.laws.forcings import Weights, shown
from routespace.testing.laws.subject import Subject
from routespace.testing.oracle import OracleResult
from routespace.testing.oracle.footprints import Wants
from routespace.testing.oracle.inside import drawn
from routespace.testing.oracle.sizes import leaf_paths

CONVOLUTIONS = ("conv", "depthwise")


def needed_positions_only(subject: Subject) -> None:
    """With the exact kernels, every convolution behind a gate per position computes the positions that some open output
    needs, image by image: those that the oracle finds one at a time. Asked of the gates' own decisions, and of maps
    that they are forced to."""
    routes = position_routes(subject.graph)
    if not routes:
        return
    own: Weights = {}
    for node, of_node in subject.oracle.weights.items():
        own[node] = {name: weight.nan_to_num() for name, weight in of_node.items()}
    for weights, wanted in ((own, subject.ask(own)), *subject.forced[3:]):
        for image in range(wanted.count):
            alone = {node: {name: _of(weight, image) for name, weight in of.items()} for node, of in weights.items()}
            module = subject.form("sparse")
            with torch.no_grad(), forcing(module, alone):
                computed = positions_computed(subject.graph, module, one_of(subject.case.images, image))
            for route in routes:
                _compare(subject, wanted, route, image, computed[route.name], shown(alone))


def position_routes(graph: RouteGraph) -> list[Route]:
    """Routes that are decided per position and read."""
    gates = {gate.name for gate in graph.gates if gate.granularity == "position"}
    routes = [value for value in graph.values if isinstance(value, Route)]
    return [route for route in routes if route.gate in gates and graph.readers[route.name]]


def _of(weight: float | Tensor, image: int) -> float | Tensor:
    return weight[image : image + 1] if isinstance(weight, Tensor) else weight


def _compare(subject: Subject, wanted: OracleResult, route: Route, image: int, found: list[Tensor], given: str) -> None:
    convolutions = [path for path, leaf in leaf_paths(f"{route.name}.op", route.op) if leaf.entry in CONVOLUTIONS]
    steps = {step.path: step.output for step in wanted.planned.steps[route.name]}
    least, most = (wanted.needed(route.name, image, loose=loose) for loose in (False, True))
    runs = wanted.computed[route.name][image] and any(map(len, least.values()))
    if len(found) != (len(convolutions) if runs else 0):
        raise subject.fail("needed positions only", f"`{route.name}` ran {len(found)} convolutions with {given}")
    for path, computed in zip(convolutions, found, strict=False):
        size = steps[path].height, steps[path].width
        low, high = (_map(wants.get(path, {}), size) for wants in (least, most))
        if computed.shape != low.shape or bool((low & ~computed).any()) or bool((computed & ~high).any()):
            raise subject.fail(
                "needed positions only",
                f"`{path}` computed {int(computed.sum())} positions of image {image}, "
                f"{int(low.sum())} are needed, with {given}",
            )


def _map(wants: Wants, size: tuple[int, int]) -> Tensor:
    return drawn(wants, *size)


def positions_computed(graph: RouteGraph, module: nn.Module, images: Inputs) -> dict[str, list[Tensor]]:
    """For one image, the positions (H, W) that each convolution of each route computes in turn, with exact kernels."""
    found: dict[str, list[Tensor]] = defaultdict(list)
    targets = targets_of(graph)
    parts = {route.name: module.get_submodule(targets[route.name]) for route in position_routes(graph)}
    kernels = {part.kernels: _noting(found[name]) for name, part in parts.items() if isinstance(part, PositionRoute)}
    with entering(kernels):
        module(images)
    return found


def _noting(found: list[Tensor]) -> Chooser:
    def choose(job: Job) -> Kernel:
        found.append(job.leaf.makes.mask[0, 0])
        return exact(job)

    return choose
