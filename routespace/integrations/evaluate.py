"""What a compiled space, or net, is worth on labelled images: quality, the costs of each image, and time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import fmean, quantiles

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from routespace.integrations.pairs import Pair, Pairs, as_labels, ignored_of, unscored
from routespace.runtime.errors import InputError
from routespace.runtime.modes import evaluating
from routespace.runtime.result import Outcome


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
    scenes: Dataset[Pair],
    *,
    classes: int,
    batch_size: int = 1,
    ignore: int | None = None,
    convention: str | None = None,
) -> Evaluation:
    """Run `module`, compiled in any form and with one output of `classes` logits, over all `(image, label)` of a set.

    Labels are whole numbers of any dtype; pixels labelled `ignore` do not count: 255, or -1 where 255 is a class. Costs
    are counted by `convention`, else as the space declares. The module is run in evaluation mode and left in the mode
    it was in. Warns where all labels hold one class and `ignore` only. Raises `ValueError` for an empty set, for
    classes that the module does not have, and for an item that does not fit, which it names.
    """
    scores = Scores(classes, ignore=ignore, convention=convention)
    device, dtype = _device(module), _dtype(module)
    wanted = Pairs("scenes", classes, scores.ignore, dtype=dtype)
    with evaluating(module):
        for items in DataLoader(scenes, batch_size, collate_fn=list):
            first = scores.images
            images, labels = wanted.batch(list(enumerate(items, first)))
            try:
                scores.add(module(images.to(device)), labels)
            except ValueError as error:
                which = f"item {first}" if len(items) == 1 else f"items {first} to {first + len(items) - 1}"
                raise InputError(f"`scenes`: {error} ({which})") from error
    if not scores.images:
        raise ValueError("`scenes` is empty")
    remark = scores.remark("scenes")
    if remark is not None:
        warnings.warn(remark, stacklevel=2)
    return scores.evaluation()


class Scores:
    """What predictions are worth that were made so far, batch by batch: see `evaluate`."""

    def __init__(self, classes: int, *, ignore: int | None = None, convention: str | None = None) -> None:
        self.classes, self.convention = classes, convention
        self.ignore = ignored_of(classes) if ignore is None else ignore
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)
        self.ignored = 0
        self.costs: dict[str, list[float]] = {"expected": [], "hard": [], "executed": []}

    @property
    def images(self) -> int:
        return len(self.costs["hard"])

    def add(self, out: Outcome, labels: Tensor) -> None:
        """Count the outcome of a batch against its labels (N, H, W). Raises `ValueError` where they do not fit."""
        output = out.output
        if not isinstance(output, Tensor):
            raise ValueError(f"the module has {len(output)} outputs: one of logits is measured")
        if output.shape[1] != self.classes:
            raise ValueError(f"`classes` is {self.classes}, the output of the module has {output.shape[1]}")
        predicted = output.argmax(1).cpu()
        if predicted.shape != labels.shape:
            made, given = tuple(predicted.shape[1:]), tuple(labels.shape[1:])
            raise ValueError(f"labels are {given}, the predictions of the module {made}")
        labels = as_labels(labels.cpu(), self.classes, self.ignore)
        counted = labels != self.ignore
        pairs = labels[counted] * self.classes + predicted[counted]
        self.confusion += torch.bincount(pairs, minlength=self.classes**2).reshape(self.classes, self.classes)
        self.ignored += labels.numel() - int(counted.sum())
        spent = out.routing.cost.under(self.convention) if self.convention else out.routing.cost
        for name, values in self.costs.items():
            values.extend(getattr(spent, name).tolist())

    def remark(self, name: str) -> str | None:
        """What to warn of in the labels of the set `name`."""
        return unscored(name, self.confusion.sum(1).tolist(), self.ignored, self.ignore)

    def evaluation(self) -> Evaluation:
        both = self.confusion.diagonal().double()
        either = self.confusion.sum(0) + self.confusion.sum(1) - both
        return Evaluation(tuple((both / either).tolist()), *(tuple(values) for values in self.costs.values()))


def measure_latency(
    modules: Mapping[str, nn.Module], images: Sequence[Tensor], *, rounds: int = 3, warmup: int = 3
) -> dict[str, Latency]:
    """Time each of `modules` on each image (3, H, W), one image at a time, `rounds` times after `warmup` passes each.

    The modules take turns on every image, in an order that rotates, so that a machine that slows down or speeds up
    does so for all of them. Raises `ValueError` for no images.
    """
    if not images:
        raise ValueError("modules are timed on at least one image")
    names = list(modules)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as evaluation:  # once for all rounds: entering it derives weights anew
        for module in modules.values():
            evaluation.enter_context(evaluating(module))
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


def _dtype(module: nn.Module) -> torch.dtype | None:
    return next((parameter.dtype for parameter in module.parameters() if parameter.is_floating_point()), None)
