"""Train a small FCOS with its plain head and with the dynamic head at two weights of the budget, and compare them.

    python examples/demo_detection.py --out out/demo-detection

All see the same generated scenes, written as a set in COCO's format, in the same order, with the same seed and number
of steps. Takes about eleven minutes; `--steps 50` shows the flow in two. Everything is written below `--out`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import routespace as rs
from routespace.draw.figures import heat_figure, level_figure, save_figure
from routespace.integrations.evaluate import Latency, Summary
from routespace.integrations.torchvision import (
    CocoBoxes,
    Detection,
    evaluate_detector,
    gate_maps,
    level_costs,
    measure_head,
    put_head,
    recording,
    seen_image,
    train_detector,
    write_scenes,
)

# Beside a torch without CUDA torchvision can be imported only once the integration was.
# isort: split
from torchvision.models.detection import FCOS
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7

SIZE, WIDTH, DEPTH, BATCH, STEPS, LR = 128, 64, 2, 8, 400, 1e-3
TRAINING, TESTING, TEST_SEED = 800, 150, 1_000_003
WEIGHTS = (0.02, 0.1)

console = Console()


class Backbone(nn.Module):
    """Five stages of two convolutions each, the last three in a pyramid of strides 8 to 128."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 96, 128)
        self.stages = nn.ModuleList(stage(*pair) for pair in pairwise(widths))
        self.pyramid = FeaturePyramidNetwork(list(widths[3:]), width, extra_blocks=LastLevelP6P7(width, width))
        self.out_channels = width

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps: OrderedDict[str, Tensor] = OrderedDict()
        for place, one in enumerate(self.stages):
            x = one(x)
            if place >= 2:
                maps[f"p{place + 1}"] = x
        found: OrderedDict[str, Tensor] = self.pyramid(maps)
        return found


def stage(width: int, wider: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, wider, 3, 2, 1, bias=False), nn.GroupNorm(8, wider), nn.ReLU(),
        nn.Conv2d(wider, wider, 3, 1, 1, bias=False), nn.GroupNorm(8, wider), nn.ReLU(),
    )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One detector after training."""

    name: str
    detector: FCOS
    found: Detection
    times: dict[str, Latency]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/demo-detection"), help="folder to write to")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps of each of the three")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # maps this small gain nothing from a second thread, and lose much where another wants it
    console.rule(f"1  {TRAINING} scenes to train on and {TESTING} to test on, as sets in COCO's format")
    training = CocoBoxes(*write_scenes(out / "training", TRAINING, sizes=[(SIZE, SIZE)], seed=options.seed))
    testing = CocoBoxes(*write_scenes(out / "testing", TESTING, sizes=[(SIZE, SIZE)], seed=TEST_SEED))
    console.print(f"{', '.join(training.classes[1:])}; below {out}")
    runs = []
    for place, weight in enumerate((None, *WEIGHTS)):
        name = "plain" if weight is None else f"λ = {weight}"
        console.rule(f"{place + 2}  the head is {name}: {options.steps} steps of {BATCH} scenes")
        detector = make_detector(len(training.classes), weight, options.seed)
        train_detector(
            detector, training, steps=options.steps, batch_size=BATCH, lr=LR, warmup=min(50, options.steps // 5),
            seed=options.seed,
        )  # fmt: skip
        found = evaluate_detector(detector, testing, progress=console.is_terminal)
        times = measure_head(detector, [testing[index][0] for index in range(20)])
        runs.append(Run(name, detector, found, times))
        console.print(f"AP {found.ap:.3f}, {time.perf_counter() - started:.0f} s so far")

    console.rule("5  side by side")
    console.print(table(runs))
    (out / "report.json").write_text(json.dumps({run.name: report(run) for run in runs}, indent=1))
    for run in runs[1:]:
        draw(run, testing, out / "pictures")
    console.print(f"pictures in {out / 'pictures'}, numbers in {out / 'report.json'}")


def make_detector(classes: int, weight: float | None, seed: int) -> FCOS:
    """A small FCOS; with a `weight` of the budget its head is the dynamic one."""
    torch.manual_seed(seed)
    detector = FCOS(Backbone(WIDTH), classes, min_size=SIZE, max_size=SIZE, score_thresh=0.05)
    if weight is not None:
        put_head(detector, rs.load(rs.example("dynamic_head"), depth=DEPTH, width=WIDTH, weight=weight), seed=seed)
    return detector


def table(runs: list[Run]) -> Table:
    """Precision, costs as mean [lowest to highest] over the images, and time."""
    table = Table("head", *(run.name for run in runs), title=f"{TESTING} unseen scenes of {SIZE}x{SIZE}, one thread")
    for row, name in (("AP", "ap"), ("AP at IoU 0.5", "ap50"), ("AP, small", "ap_small"), ("AP, medium", "ap_medium")):
        table.add_row(row, *(f"{getattr(run.found, name):.3f}" for run in runs))
    table.add_section()
    for kind in ("expected", "hard", "executed"):
        table.add_row(f"{kind} MMAC", *(shown(getattr(run.found, kind)) for run in runs))
    table.add_section()
    for form in ("dense", "sparse"):
        spent = [f"{run.times[form].median * 1e3:.1f}" if form in run.times else "" for run in runs]
        table.add_row(f"ms, {form} form", *spent)
    return table


def report(run: Run) -> dict[str, object]:
    """What was found, null where there was nothing to find."""
    found = {name: None if value != value else value for name, value in asdict(run.found).items()}
    return found | {"seconds of the head": {form: asdict(one) for form, one in run.times.items()}}


def shown(costs: tuple[float, ...]) -> str:
    summary = Summary.of([cost / 1e6 for cost in costs])
    return f"{summary.mean:.1f} [{summary.low:.1f} to {summary.high:.1f}]"


def draw(run: Run, testing: CocoBoxes, folder: Path) -> None:
    """For six scenes the gates over the image, and what each level of the head cost over all of them."""
    folder.mkdir(exist_ok=True)
    name = run.name.split()[-1]
    run.detector.eval()
    spent: dict[str, dict[str, float]] = {}
    for index in range(6):
        image, _ = testing[index]
        with torch.inference_mode(), recording(run.detector) as calls:
            run.detector([image])
        maps = gate_maps(run.detector.head, calls[0])
        figure = heat_figure(
            maps, seen_image(run.detector, image), columns=5, title=f"dynamic head, {run.name}, scene {index}"
        )
        save_figure(figure, folder / f"gates-{name}-{index}.png")
        for level, cost in level_costs(run.detector.head, calls[0]).items():
            kinds = spent.setdefault(level, {"expected": 0.0, "hard": 0.0, "executed": 0.0})
            for kind in kinds:
                kinds[kind] += float(getattr(cost, kind)) / 6
    save_figure(level_figure(spent, title=f"dynamic head, {run.name}"), folder / f"levels-{name}.png")


if __name__ == "__main__":
    main()
