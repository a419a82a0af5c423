"""Models and images for `routespace run`."""

from __future__ import annotations

import errno
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import routespace as rs
from routespace.cli.ending import USAGE, Trouble
from routespace.cli.images import check_channels, each_image, read_image, warn
from routespace.cli.outputs import NUMBERS, with_ending
from routespace.cli.pictures import Pixels, draw_maps, draw_route
from routespace.cli.routes import Route, drawn, route_held, route_taken, written
from routespace.cli.spaces import build_graph, channels_of, read_space
from routespace.cli.subject import form_of
from routespace.cli.tables import print_table
from routespace.diagnostics import did_you_mean, escaped, quoted
from routespace.draw.space import grid_of
from routespace.files import write_atomically
from routespace.graph.ir import RouteGraph
from routespace.integrations.weights_file import NotWeightsError, weights_at
from routespace.runtime.result import Outcome
from routespace.runtime.weights import load_strictly
from routespace.space.conventions import CONVENTIONS
from routespace.space.model import ParameterValue


@dataclass(frozen=True)
class Model:
    """A compiled module with the graph of its whole space."""

    graph: RouteGraph
    module: nn.Module
    net: str | None


def load_model(
    subject: Path,
    given: dict[str, ParameterValue],
    space: str | None,
    form: str | None,
    net: str | None,
    weights: Path | None,
    seed: int | None,
) -> Model:
    """The artifact in the folder `subject`, or the space in that file with the weights of a file or of a seed."""
    if subject.is_dir():
        from routespace.integrations.artifact import load_artifact

        artifact = load_artifact(subject, form)  # type: ignore[arg-type]
        return Model(build_graph(artifact.space), artifact.module, artifact.net)
    graph = build_graph(read_space(subject, given, space))
    form = form_of(form, net)
    module = rs.compile(graph, form, net=net, seed=seed or 0)  # type: ignore[arg-type]
    if weights is None:
        print(f"the weights are random (seed {seed}): predictions and routes mean nothing", file=sys.stderr)
    else:
        _load(module, weights)
    return Model(graph, module.eval(), net)


def _load(module: nn.Module, weights: Path) -> None:
    """Raises `Trouble` for a file that is none of weights, or of those of another space."""
    if weights.is_dir():
        raise Trouble(f"{quoted(weights)} is a folder, no safetensors file", "an artifact is run without `--weights`")
    try:
        load_strictly(module, weights_at(weights, module))
    except OSError as error:
        raise Trouble(f"{quoted(weights)} cannot be read: {error.strerror or error}") from None
    except NotWeightsError as error:
        raise Trouble(f"{quoted(weights)} is not a safetensors file: {error}") from None
    except rs.WeightsError as error:
        raise Trouble(f"{quoted(weights)}: {error}") from None


@dataclass(frozen=True)
class Report:
    """One image: its size, what was spent in the convention of the space, routes open, seconds, and nodes whose
    gates gave NaN."""

    name: str
    size: tuple[int, int]
    expected: float
    hard: float
    executed: float
    opened: int
    routes: int
    seconds: float
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Runner:
    """Runs images one at a time; pictures of `output` go to the paths that `stems` has for images."""

    model: Model
    output: str | None
    stems: Mapping[Path, Path]

    def run(self, path: Path) -> Report:
        """Raises `Trouble` for an image that cannot be read, and `ValueError` for one that does not fit."""
        graph = self.model.graph
        pixels = read_image(path, channels_of(graph))
        with torch.inference_mode():
            started = time.perf_counter()
            outcome: Outcome = self.model.module(torch.from_numpy(pixels)[None])
            seconds = time.perf_counter() - started
        cost = outcome.routing.cost
        route = route_taken(outcome) if self.model.net is None else route_held(graph, self.model.net)
        if path in self.stems:
            self.draw(
                self.stems[path], pixels, outcome, route, f"{escaped(path.name)}, {_spent(float(cost.executed), graph)}"
            )
        flat = [taken.opened for routes in route.values() for taken in routes.values()]
        return Report(
            escaped(path.name), outcome.size, float(cost.expected), float(cost.hard), float(cost.executed),
            sum(flat), len(flat), seconds, tuple(outcome.routing.nan_gates()),
        )  # fmt: skip

    def logits(self, outcome: Outcome) -> Tensor:
        if not isinstance(outcome.output, dict):
            if self.output is not None:
                raise Trouble("`--output` is for spaces with several outputs, this one has one", code=USAGE)
            return outcome.output  # type: ignore[no-any-return]
        name = self.output or next(iter(outcome.output))
        if name not in outcome.output:
            hint = did_you_mean(name, outcome.output) or f"there are {', '.join(outcome.output)}"
            raise Trouble(f"the space has no output `{name}`", hint, code=USAGE)
        return outcome.output[name]  # type: ignore[no-any-return]

    def draw(self, stem: Path, pixels: Pixels, outcome: Outcome, route: Route, title: str) -> None:
        try:
            draw_route(stem, pixels, self.logits(outcome), grid_of(self.model.graph, drawn(route), title))
            write_atomically(with_ending(stem, NUMBERS), json.dumps(written(route), indent=1))
            draw_maps(stem, pixels, outcome, title)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise Trouble(f"{quoted(stem)} is too long a name for its outputs") from None


def run_all(runner: Runner, images: Sequence[Path]) -> bool:
    """Run every image and print a table of them; whether all could be run.

    Gates that gave NaN are named. The first image is run twice and timed the second time.
    """
    check_channels(channels_of(runner.model.graph))
    reports: list[Report] = []

    def use(path: Path) -> None:
        for _ in range(1 if reports else 2):
            report = runner.run(path)
        reports.append(report)
        if report.failed:
            warn(f"{quoted(path)}: {_failed(report.failed)}")

    whole = each_image(images, use)
    _print(reports, runner)
    return whole


def _failed(gates: Sequence[str]) -> str:
    shown = ", ".join(f"`{gate}`" for gate in gates[:3]) + (f" and {len(gates) - 3} more" if len(gates) > 3 else "")
    gate = "gate" if len(gates) == 1 else "gates"
    return f"the {gate} of {shown} gave NaN; their routes count as open, and what follows from them means nothing"


def _print(reports: list[Report], runner: Runner) -> None:
    graph = runner.model.graph
    unit = f"M{CONVENTIONS[graph.policies.cost].unit}"
    rows = [
        (
            one.name, "x".join(map(str, one.size)), f"{one.expected / 1e6:.2f}", f"{one.hard / 1e6:.2f}",
            f"{one.executed / 1e6:.2f}", f"{one.opened}/{one.routes}", f"{one.seconds * 1e3:.1f}",
        )
        for one in reports
    ]  # fmt: skip
    head = ("image", "size", f"expected {unit}", f"hard {unit}", f"executed {unit}", "routes open", "ms")
    print_table(head, rows)
    if runner.stems:
        print(f"\npictures and routes are in {escaped(next(iter(runner.stems.values())).parent)}")


def _spent(executed: float, graph: RouteGraph) -> str:
    return f"{executed / 1e6:.2f} M{CONVENTIONS[graph.policies.cost].unit}"
