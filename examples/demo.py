"""Train a space that chooses its way per image, and a static net of equal cost, and lay the two side by side.

    python examples/demo.py --out out/demo

Both see the same generated scenes in the same order, with the same seed and number of steps. Takes about five minutes
on two cores; `--steps 100` shows the flow in one. Everything is written below `--out`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import routespace as rs
from routespace.draw.figures import save_figure, scene_figure
from routespace.draw.grid import grid_svg
from routespace.draw.space import grid_of
from routespace.integrations.artifact import load_artifact
from routespace.integrations.evaluate import Evaluation, Latency, Summary, evaluate, measure_latency
from routespace.integrations.scenes import CLASSES, KINDS, Scenes
from routespace.integrations.train import train
from routespace.space.model import Space

SPACE = Path(__file__).with_name("small.route")
SIZE, BATCH, LR, STEPS, WARMUP = 96, 16, 0.1, 850, 50
CHOICE_SEED, TEST_SEED, PER_KIND = 1_000_003, 2_000_003, 50

console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder to write to")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps of each of the two")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    # Work this small gains little from a second thread, and loses much where another program wants the core: threads
    # wait for each other many times a step. A process of its own draws the scenes.
    torch.set_num_threads(1)
    settings: dict[str, Any] = {
        "steps": options.steps, "batch_size": BATCH, "size": SIZE, "lr": LR, "warmup": min(WARMUP, options.steps // 5),
        "seed": options.seed, "validations": 2, "workers": 1, "overwrite": True,
    }  # fmt: skip
    tests: dict[str, Scenes] = {kind: Scenes(PER_KIND, SIZE, TEST_SEED, [kind]) for kind in KINDS}

    space = rs.load(SPACE)
    graph = rs.build(space)
    console.rule(f"1  the space of {SPACE.name}, trained for {options.steps} steps")
    console.print(f"{len(graph.nodes)} nodes, {sum(len(gate.routes) for gate in graph.gates)} routes; no errors")
    dynamic = train(space, out / "dynamic", **settings)
    sparse = load_artifact(dynamic.artifact, "sparse").module
    found = {kind: evaluate(sparse, scenes, classes=len(CLASSES)) for kind, scenes in tests.items()}

    console.rule("2  a net of the routes used most, at the same cost, trained alike")
    spent = Summary.of(every(found, "executed")).mean
    unseen = Scenes(3 * PER_KIND, SIZE, CHOICE_SEED)
    with_net = choose_net(space, routes_by_use(dynamic.module, unseen), spent, out / "static.route")
    static = train(with_net, out / "static", net="static", **settings)
    fixed = load_artifact(static.artifact).module
    found_static = {kind: evaluate(fixed, scenes, classes=len(CLASSES)) for kind, scenes in tests.items()}

    console.rule("3  side by side")
    images = [scenes[index][0] for index in range(5) for scenes in tests.values()]
    modules = {"dense": dynamic.module, "sparse": sparse, "fixed": fixed}
    times = measure_latency(modules, images, rounds=3)
    console.print(table(found, found_static, times, dynamic.seconds, static.seconds))
    report = {
        "dynamic": {kind: asdict(one) for kind, one in found.items()},
        "static": {kind: asdict(one) for kind, one in found_static.items()},
        "seconds per image": {name: asdict(one) for name, one in times.items()},
    }
    (out / "report.json").write_text(json.dumps(report, indent=1))
    draw(graph, sparse, tests, out / "pictures")
    console.print(f"pictures in {out / 'pictures'}, numbers in {out / 'report.json'}, weights in {dynamic.artifact}")


def every(found: dict[str, Evaluation], cost: str) -> list[float]:
    """One cost of all images of all kinds."""
    return [value for one in found.values() for value in getattr(one, cost)]


def routes_by_use(module: nn.Module, scenes: Scenes) -> list[tuple[str, str]]:
    """(node, route) of the space, those open for the most images first and among equals the heavier first."""
    uses: dict[tuple[str, str], float] = {}
    with torch.no_grad():
        out = module(torch.stack([scenes[index][0] for index in range(len(scenes))]))
    for node, routes in out.routing.weights.items():
        for route, weight in routes.items():
            weight = weight.nan_to_num(0.0)
            uses[node, route] = float((weight > 0).sum()) + float(weight.mean())
    return sorted(uses, key=lambda route: uses[route], reverse=True)


def choose_net(space: Space, routes: list[tuple[str, str]], target: float, path: Path) -> Space:
    """The space with a net `static` of the first routes, as many as bring it closest to `target` multiply-adds."""
    image = torch.zeros(1, 3, SIZE, SIZE)
    best: tuple[float, str] | None = None
    for count in range(4, len(routes) + 1):
        text = f"{SPACE.read_text()}\n{net_text(space.name, routes[:count])}"
        try:
            module = rs.compile(rs.loads(text), form="fixed", net="static").eval()
        except rs.RouteError:
            continue
        with torch.no_grad():
            spent = float(module(image).routing.cost.executed)
        if best is None or abs(spent - target) < best[0]:
            best = abs(spent - target), text
    assert best is not None, "no prefix of the routes is a net"
    off, text = best
    console.print(f"its cost is {off / target:.1%} off the average image's {target / 1e6:.2f} M multiply-adds")
    path.write_text(text)
    return rs.load(path)


def net_text(space: str, routes: list[tuple[str, str]]) -> str:
    """The net that holds these routes open, a row for each layer.

    >>> print(net_text("small", [("layer0.s4", "keep"), ("layer1.s4", "down")]))
    net static in small {
      row keep[0, s4]
      row down[1, s4]
    }
    <BLANKLINE>
    """
    rows: dict[int, list[str]] = {}
    for node, route in routes:
        layer, scale = node.removeprefix("layer").split(".")
        rows.setdefault(int(layer), []).append(f"{route}[{layer}, {scale}]")
    lines = "\n".join(f"  row {', '.join(sorted(row))}" for _, row in sorted(rows.items()))
    return f"net static in {space} {{\n{lines}\n}}\n"


def table(
    dynamic: dict[str, Evaluation],
    static: dict[str, Evaluation],
    times: dict[str, Latency],
    seconds: float,
    seconds_static: float,
) -> Table:
    """Quality, costs as mean [lowest to highest] over the images, and time."""
    table = Table("", "dynamic", "static", title=f"{PER_KIND} unseen scenes of each kind, one thread")

    def quality(found: dict[str, Evaluation], kind: str) -> str:
        return f"{found[kind].miou:.3f}"

    def overall(found: dict[str, Evaluation]) -> str:
        return f"{sum(one.miou for one in found.values()) / len(found):.3f}"

    def cost(values: list[float]) -> str:
        summary = Summary.of([value / 1e6 for value in values])
        return f"{summary.mean:.2f} [{summary.low:.2f} to {summary.high:.2f}]"

    table.add_row("mIoU, mean of the kinds", overall(dynamic), overall(static))
    for kind in KINDS:
        table.add_row(f"  {kind} shapes", quality(dynamic, kind), quality(static, kind))
    table.add_section()
    for name in ("expected", "hard", "executed"):
        table.add_row(f"{name} M multiply-adds", cost(every(dynamic, name)), cost(every(static, name)))
    for kind in KINDS:
        table.add_row(
            f"  executed, {kind} shapes", cost(list(dynamic[kind].executed)), cost(list(static[kind].executed))
        )
    table.add_section()
    for form in ("dense", "sparse", "fixed"):
        median = f"{times[form].median * 1e3:.1f}"
        table.add_row(f"ms per image, {form} form", *(("", median) if form == "fixed" else (median, "")))
    table.add_row("seconds of training", f"{seconds:.0f}", f"{seconds_static:.0f}")
    return table


def draw(graph: rs.RouteGraph, module: nn.Module, tests: dict[str, Scenes], folder: Path) -> None:
    """Two scenes of each kind with what was predicted and the route that was taken."""
    folder.mkdir(exist_ok=True)
    for kind, scenes in tests.items():
        for index in range(2):
            scene = scenes.scene(index)
            with torch.no_grad():
                out = module(torch.from_numpy(scene.image)[None])
            spent = float(out.routing.cost.executed) / 1e6
            weights = {
                node: {route: float(weight[0]) for route, weight in routes.items()}
                for node, routes in out.routing.weights.items()
            }
            grid = grid_of(graph, weights)
            title = f"{kind} shapes, {spent:.2f} M multiply-adds"
            figure = scene_figure(
                scene.image, out.output[0].argmax(0).numpy(), grid, label=scene.label, classes=CLASSES, title=title
            )
            save_figure(figure, folder / f"{kind}-{index}.png")
            (folder / f"{kind}-{index}.svg").write_text(grid_svg(grid))


if __name__ == "__main__":
    main()
