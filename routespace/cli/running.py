"""Models and images for `routespace run`."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn

import routespace as rs
from routespace.cli.ending import USAGE, Trouble
from routespace.cli.images import check_channels, find_images, read_image
from routespace.cli.spaces import build_graph, channels_of, read_space
from routespace.cli.tables import console, print_table
from routespace.diagnostics import did_you_mean
from routespace.draw.grid import Grid, grid_png, grid_svg
from routespace.draw.space import grid_of, net_weights
from routespace.graph.ir import RouteGraph
from routespace.graph.nets import hold
from routespace.runtime.result import Outcome
from routespace.runtime.weights import load_strictly
from routespace.space.conventions import CONVENTIONS
from routespace.space.model import ParameterValue

Weights = dict[str, dict[str, float]]


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
    form = form or ("fixed" if net else "sparse")
    if (form == "fixed") != (net is not None):
        raise Trouble("the fixed form is that of a net, and only it takes one", "add `--net NAME`", code=USAGE)
    module = rs.compile(graph, form, net=net, seed=seed or 0)  # type: ignore[arg-type]
    if weights is None:
        print(f"the weights are random (seed {seed}): predictions and routes mean nothing", file=sys.stderr)
    else:
        try:
            load_strictly(module, safetensors.torch.load_file(weights))
        except safetensors.SafetensorError as error:
            raise Trouble(f"`{weights}` is not a safetensors file: {error}") from None
        except rs.WeightsError as error:
            raise Trouble(f"`{weights}`: {error}") from None
    return Model(graph, module.eval(), net)


@dataclass(frozen=True)
class Report:
    """One image: its size, what was spent in the convention of the space, routes open, and seconds."""

    name: str
    size: tuple[int, int]
    expected: float
    hard: float
    executed: float
    opened: int
    routes: int
    seconds: float


@dataclass(frozen=True)
class Runner:
    """Runs images one at a time; pictures of `output` go to the folder `out`."""

    model: Model
    output: str | None
    out: Path | None

    def run(self, path: Path, name: str) -> Report:
        """Raises `Trouble` for an image that cannot be read or does not fit."""
        graph = self.model.graph
        pixels = read_image(path, channels_of(graph))
        try:
            with torch.inference_mode():
                started = time.perf_counter()
                outcome: Outcome = self.model.module(torch.from_numpy(pixels)[None])
                seconds = time.perf_counter() - started
        except (rs.InputError, ValueError) as error:
            raise Trouble(f"`{path}`: {error}") from None
        weights = self.weights(outcome)
        if self.out is not None:
            title = f"{path.name}, {_spent(float(outcome.routing.cost.executed), graph)}"
            self.draw(self.out / name, pixels, self.logits(outcome), grid_of(graph, weights, title))
            _write_weights(self.out / f"{name}.json", weights)
            maps = _maps(outcome)
            if maps:
                _draw_maps(self.out / f"{name}.gates.png", maps, pixels, title)
        flat = [weight for routes in weights.values() for weight in routes.values()]
        cost = outcome.routing.cost
        return Report(
            path.name, outcome.size, float(cost.expected), float(cost.hard), float(cost.executed),
            sum(weight > 0 for weight in flat), len(flat), seconds,
        )  # fmt: skip

    def weights(self, outcome: Outcome) -> Weights:
        """The route that the one image took, or that the net prescribes; of a gate per position the mean weight."""
        if self.model.net is not None:
            return net_weights(self.model.graph, hold(self.model.graph, self.model.net))
        return {
            node: {route: float(weight[0].mean()) for route, weight in routes.items()}
            for node, routes in outcome.routing.weights.items()
        }

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

    def draw(self, stem: Path, pixels: NDArray[np.float32], logits: Tensor, grid: Grid) -> None:
        """The route as SVG, and as PNG with the image and the prediction where that is a map of the image's size."""
        stem.with_name(f"{stem.name}.svg").write_text(grid_svg(grid), encoding="utf-8")
        picture = stem.with_name(f"{stem.name}.png")
        if logits.dim() == 4 and logits.shape[1] > 1 and tuple(logits.shape[2:]) == pixels.shape[1:]:
            _draw_scene(picture, pixels, logits[0].argmax(0).numpy(), grid)
        else:
            grid_png(grid, picture)


def run_all(runner: Runner, path: Path) -> bool:
    """Run every image at `path` and print a table of them; whether all could be run.

    An image that fails is reported and left out. The first is run twice and timed the second time.
    """
    channels = channels_of(runner.model.graph)
    check_channels(channels)
    found = find_images(path)
    if runner.out is not None:
        from routespace.draw import figures

        assert figures
        runner.out.mkdir(parents=True, exist_ok=True)
    stems = Counter(one.stem for one in found)
    reports: list[Report] = []
    screen = console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal or len(found) < 2) as progress:
        for one in progress.track(found, description="images"):
            try:
                name = one.stem if stems[one.stem] == 1 else one.name
                for _ in range(1 if reports else 2):
                    report = runner.run(one, name)
                reports.append(report)
            except Trouble as trouble:
                if trouble.code == USAGE or len(found) == 1:
                    raise
                screen.print(f"error: {trouble.message}", markup=False, soft_wrap=True)
    if reports:
        _print(reports, runner)
    return len(reports) == len(found)


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
    if runner.out is not None:
        print(f"\npictures and routes are in {runner.out}")


def _spent(executed: float, graph: RouteGraph) -> str:
    return f"{executed / 1e6:.2f} M{CONVENTIONS[graph.policies.cost].unit}"


def _draw_scene(path: Path, pixels: NDArray[np.float32], prediction: NDArray[Any], grid: Grid) -> None:
    from routespace.draw.figures import save_figure, scene_figure

    image = pixels if pixels.shape[0] == 3 else np.repeat(pixels, 3, 0)
    save_figure(scene_figure(image, prediction, replace(grid, title=""), title=grid.title), path)


def _maps(outcome: Outcome) -> list[tuple[str, NDArray[np.float32]]]:
    """Maps of the gates that decide per position, by node and route."""
    return [
        (f"{node} {route}", weight[0].float().cpu().numpy())
        for node, routes in outcome.routing.weights.items()
        for route, weight in routes.items()
        if weight.dim() == 3
    ]


def _draw_maps(
    path: Path, maps: list[tuple[str, NDArray[np.float32]]], pixels: NDArray[np.float32], title: str
) -> None:
    from routespace.draw.figures import heat_figure, save_figure

    save_figure(heat_figure(maps, pixels if pixels.shape[0] == 3 else np.repeat(pixels, 3, 0), title=title), path)


def _write_weights(path: Path, weights: Weights) -> None:
    """As JSON, null where a node was not reached."""
    plain = {
        node: {route: None if math.isnan(weight) else weight for route, weight in routes.items()}
        for node, routes in weights.items()
    }
    path.write_text(json.dumps(plain, indent=1), encoding="utf-8")
