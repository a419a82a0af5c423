"""What a detector is worth on a set of images: average precision, the cost of its head for each image, and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics.detection import MeanAveragePrecision

from routespace.integrations.evaluate import Latency, latency_of, seconds_of
from routespace.integrations.torchvision.cost import head_cost
from routespace.integrations.torchvision.data import CocoBoxes, check_set, collate
from routespace.integrations.torchvision.forms import evaluating_in
from routespace.integrations.torchvision.head import RoutedHead, recording
from routespace.runtime.modes import evaluating
from routespace.runtime.result import Cost


@dataclass(frozen=True)
class Detection:
    """Average precision over IoU 0.5 to 0.95, at 0.5, and of small, medium and large objects as COCO parts them (32²
    and 96² pixels), NaN where there are none; the costs of the head for each image in order, in `convention`."""

    ap: float
    ap50: float
    ap_small: float
    ap_medium: float
    ap_large: float
    expected: tuple[float, ...]
    hard: tuple[float, ...]
    executed: tuple[float, ...]
    convention: str = "macs"


def evaluate_detector(
    detector: nn.Module, images: CocoBoxes, *, batch_size: int = 1, convention: str = "macs", progress: bool = False
) -> Detection:
    """Run `detector` over a set in evaluation mode, with the sparse form of its head, and leave it in the mode it was
    in. Costs are those of the spaces of the head; of torchvision's own head they are the multiply-adds of its towers.
    Boxes around crowds count neither way. AP is pycocotools', by torchmetrics. `progress` shows a bar. Raises
    `RouteError` RS956 for a set without images, RS955 for one of more classes than the detector tells apart.
    """
    check_set(detector, images)
    metric = MeanAveragePrecision(backend="pycocotools")
    metric.warn_on_many_detections = False
    costs: dict[str, list[float]] = {"expected": [], "hard": [], "executed": []}
    device = next(detector.parameters()).device
    loader = DataLoader(images, batch_size, collate_fn=collate)
    with evaluating(detector):
        for batch, targets in track(loader, "evaluating", disable=not progress):
            with _costing(detector, convention) as cost:
                found = detector([image.to(device) for image in batch])
            metric.update([{name: one.cpu() for name, one in each.items()} for each in found], list(targets))
            for name, values in costs.items():
                values.extend(getattr(cost(), name).tolist())
    found = metric.compute()

    def precision(name: str) -> float:
        value = float(found[name])
        return value if value >= 0 else float("nan")  # pycocotools says -1 where there is nothing

    return Detection(
        ap=precision("map"),
        ap50=precision("map_50"),
        ap_small=precision("map_small"),
        ap_medium=precision("map_medium"),
        ap_large=precision("map_large"),
        expected=tuple(costs["expected"]),
        hard=tuple(costs["hard"]),
        executed=tuple(costs["executed"]),
        convention=convention,
    )


def measure_head(detector: nn.Module, images: Sequence[Tensor], *, rounds: int = 3) -> dict[str, Latency]:
    """Seconds of the head alone on the maps of each image (3, H, W), one image at a time, `rounds` times after one pass
    to warm up: its `dense` and its `sparse` form, taking turns; torchvision's own head as `dense` only."""
    if not images:
        raise ValueError("a head is timed on at least one image")
    assert isinstance(detector.head, nn.Module)
    forms: tuple[Literal["dense", "sparse"], ...] = (
        ("dense", "sparse") if isinstance(detector.head, RoutedHead) else ("dense",)
    )
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    device = next(detector.parameters()).device
    with evaluating(detector):
        pyramids = [_pyramid(detector, image.to(device)) for image in images]
        for turn in range(-len(pyramids), rounds * len(pyramids)):
            for form in forms[:: 1 if turn % 2 else -1]:
                with evaluating_in(detector, form):
                    spent = seconds_of(partial(detector.head, pyramids[turn % len(pyramids)]), device)
                if turn >= 0:
                    seconds[form].append(spent)
    return {form: latency_of(values) for form, values in seconds.items()}


def _pyramid(detector: Any, image: Tensor) -> list[Tensor]:
    batch, _ = detector.transform([image], None)
    maps = detector.backbone(batch.tensors)
    return [maps] if isinstance(maps, Tensor) else list(maps.values())


@contextmanager
def _costing(detector: nn.Module, convention: str) -> Iterator[Callable[[], Cost]]:
    """Gives what the head of one call cost, once the call is made."""
    if isinstance(detector.head, RoutedHead):
        with recording(detector) as calls:
            yield lambda: head_cost(calls[-1], convention)
        return
    spent: list[Tensor] = []

    def count(conv: nn.Module, _given: object, made: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        each = conv.weight[0].numel() * made[0].numel()
        spent.append(torch.full((made.shape[0],), float(each), dtype=torch.float64))

    towers = [getattr(detector.head, f"{name}_head").conv for name in ("classification", "regression")]
    convs = [part for tower in towers for part in tower.modules() if isinstance(part, nn.Conv2d)]
    handles = [conv.register_forward_hook(count) for conv in convs]
    try:
        yield lambda: Cost(*(3 * (torch.stack(spent).sum(0),)), convention="macs")
    finally:
        for handle in handles:
            handle.remove()
