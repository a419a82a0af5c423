"""Training of a detector, whatever its head, on a set in COCO's format."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader

from routespace.integrations.divergence import diverged
from routespace.integrations.torchvision.data import CocoBoxes, Target, check_set, collate, without_crowds
from routespace.integrations.torchvision.head import RoutedHead

Losses: TypeAlias = dict[str, float]
Batch: TypeAlias = tuple[list[Tensor], list[Target]]


def train_detector(
    detector: nn.Module,
    images: CocoBoxes,
    *,
    steps: int,
    batch_size: int = 8,
    lr: float = 1e-3,
    warmup: int = 0,
    weight_decay: float = 1e-4,
    clip: float = 5.0,
    seed: int = 0,
    progress: bool = True,
) -> list[Losses]:
    """Train `detector` in place with AdamW for `steps` batches; returns the losses of every step by name.

    `lr` rises over `warmup` steps and falls to 0 as half a cosine. The set is gone through in an order that is a
    function of `seed`, anew each time it is used up. Budgets learn how far the run is. Boxes around crowds are not
    learnt. Raises `RouteError` RS956 for a set without images, RS955 for one of more classes than the detector tells
    apart, and `RunError` in the step whose losses or gradients are not finite, before it changes a weight, with the
    image if it is one. `progress` shows a bar on a terminal and lines elsewhere.
    """
    if steps < 1 or batch_size < 1:
        raise ValueError(f"{steps} steps of {batch_size} images are asked for; at least one of one is needed")
    check_set(detector, images)
    device = next(detector.parameters()).device
    optimizer = torch.optim.AdamW(detector.parameters(), lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps, warmup))
    told: list[Losses] = []
    detector.train()
    with Telling(steps, progress) as telling:
        for step, (batch, targets) in zip(range(steps), _batches(images, batch_size, seed), strict=False):
            if isinstance(detector.head, RoutedHead):
                detector.head.progress = step / steps
            given = [{name: one.to(device) for name, one in without_crowds(target).items()} for target in targets]
            losses: dict[str, Tensor] = detector([image.to(device) for image in batch], given)
            told.append({name: float(loss.detach()) for name, loss in losses.items()})
            broken = partial(
                diverged, step + 1, told[-1], batch, detector, item=partial(_image, targets), moved=step > 0 and lr > 0
            )
            if not all(map(math.isfinite, told[-1].values())):
                raise broken("loss")
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            if not bool(nn.utils.clip_grad_norm_(detector.parameters(), clip).isfinite()):
                raise broken("gradient")
            optimizer.step()
            schedule.step()
            telling.step(step + 1, told[-1])
    if isinstance(detector.head, RoutedHead):
        detector.head.progress = 1.0
    return told


def _image(targets: list[Target], place: int) -> str:
    return f"image {int(targets[place]['image_id'])} of the set"


def lr_factor(step: int, steps: int, warmup: int) -> float:
    """What the rate is multiplied by at `step`.

    >>> lr_factor(0, 100, 10), lr_factor(100, 100, 10)
    (0.1, 0.0)
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * (1.0 + math.cos(math.pi * min(step / steps, 1.0))) / 2.0


def _batches(images: CocoBoxes, batch_size: int, seed: int) -> Iterator[Batch]:
    """Batches without end; the last of a round may be smaller."""
    order = torch.Generator().manual_seed(seed)
    loader: DataLoader[tuple[Tensor, Target]] = DataLoader(
        images, batch_size, shuffle=True, generator=order, collate_fn=collate
    )
    while True:
        yield from loader


class Telling:
    """How far a run is: a bar where standard output is a terminal, lines where it is not, nothing if not `wanted`."""

    def __init__(self, steps: int, wanted: bool) -> None:
        self.steps = steps
        self.lines = wanted and not sys.stdout.isatty()
        self.bar = Progress(
            TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"), disable=not wanted or self.lines,
        )  # fmt: skip

    def __enter__(self) -> Telling:
        self.bar.start()
        self.task = self.bar.add_task("", total=self.steps, losses="")
        return self

    def step(self, step: int, losses: Losses) -> None:
        shown = "  ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
        self.bar.update(self.task, completed=step, losses=shown)
        if self.lines and step % max(1, self.steps // 10) == 0:
            print(f"step {step}/{self.steps}  {shown}", flush=True)

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
