"""What a compiled space, or net, is worth on labelled images: quality, the costs of each image, and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from routespace.runtime.modes import evaluating


@dataclass(frozen=True)
class Summary:
    """Mean, lowest and highest of some numbers.

    >>> Summary.of([1.0, 2.0, 6.0])
    Summary(mean=3.0, low=1.0, high=6.0)
    """

    mean: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Summary:
        """NaN throughout where there are no values."""
        if not values:
            return Summary(float("nan"), float("nan"), float("nan"))
        return Summary(fmean(values), min(values), max(values))


@dataclass(frozen=True)
class Evaluation:
    """IoU of each class (NaN for one that neither occurs nor is predicted); the costs of each image in order.

    Costs are counts of multiply-adds in the convention asked for, or the one the space declares.
    """

    iou: tuple[float, ...]
    expected: tuple[float, ...]
    hard: tuple[float, ...]
    executed: tuple[float, ...]

    @property
    def miou(self) -> float:
        """Mean over the classes that occur or are predicted."""
        known = [value for value in self.iou if value == value]
        return fmean(known) if known else float("nan")


@dataclass(frozen=True)
class Latency:
    """Seconds of one forward pass on one image: the median and the quartiles around it."""

    median: float
    low: float
    high: float


def evaluate(
    module: nn.Module,
    scenes: Dataset[tuple[Tensor, Tensor]],
    *,
    classes: int,
    batch_size: int = 1,
    ignore: int = 255,
    convention: str | None = None,
) -> Evaluation:
    """Run `module`, compiled in any form and with one output of `classes` logits, over all `(image, label)` of a set.

    Pixels labelled `ignore` do not count. Costs are counted by `convention`, else as the space declares. The module is
    run in evaluation mode and left in the mode it was in.
    """
    confusion = torch.zeros(classes, classes, dtype=torch.int64)
    costs: dict[str, list[float]] = {"expected": [], "hard": [], "executed": []}
    device = _device(module)
    with evaluating(module):
        for images, labels in DataLoader(scenes, batch_size):
            out = module(images.to(device))
            confusion += _confusion(out.output.argmax(1).cpu(), labels, classes, ignore)
            spent = out.routing.cost.under(convention) if convention else out.routing.cost
            for name, values in costs.items():
                values.extend(getattr(spent, name).double().tolist())
    both = confusion.diagonal().double()
    either = confusion.sum(0) + confusion.sum(1) - both
    return Evaluation(tuple((both / either).tolist()), *(tuple(values) for values in costs.values()))


def measure_latency(
    modules: Mapping[str, nn.Module], images: Sequence[Tensor], *, rounds: int = 3, warmup: int = 3
) -> dict[str, Latency]:
    """Time each of `modules` on each image (3, H, W), one image at a time, `rounds` times after `warmup` passes each.

    The modules take turns on every image, in an order that rotates, so that a machine that slows down or speeds up
    does so for all of them.
    """
    names = list(modules)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        for image in list(images)[:warmup]:
            _time(modules[name], image)
    for turn in range(rounds * len(images)):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(_time(modules[name], images[turn % len(images)]))
    return {name: latency_of(values) for name, values in seconds.items()}


def _time(module: nn.Module, image: Tensor) -> float:
    batch = image[None].to(_device(module))
    with evaluating(module):
        return seconds_of(lambda: module(batch), batch.device)


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """The seconds that a call takes, until what it started on `device` is done."""
    _wait_for(device)
    started = time.perf_counter()
    call()
    _wait_for(device)
    return time.perf_counter() - started


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def latency_of(values: list[float]) -> Latency:
    """The median and the quartiles of some seconds."""
    low, median, high = quantiles(values, n=4) if len(values) > 1 else values * 3
    return Latency(median, low, high)


def _device(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


def _confusion(predicted: Tensor, labels: Tensor, classes: int, ignore: int) -> Tensor:
    """Pixels by (label, prediction): (classes, classes)."""
    counted = labels != ignore
    pairs = labels[counted] * classes + predicted[counted]
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
