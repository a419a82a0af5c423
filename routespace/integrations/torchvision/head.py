"""A compiled space as the head of torchvision's FCOS and RetinaNet: one call puts it there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead

import routespace as rs
from routespace.graph.ir import Output, RouteGraph
from routespace.integrations.fault import fault
from routespace.integrations.torchvision.fit import Wanted, check_fit, groups_of
from routespace.integrations.torchvision.forms import TwoForms
from routespace.runtime.entered import Handle, entered, entering, settings
from routespace.runtime.result import Outcome
from routespace.runtime.tree import every
from routespace.space.model import Space
from routespace.targets import targets_of

Detector = TypeVar("Detector", bound=nn.Module)
PRIOR = 0.01
"""The probability that classes start from: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017."""


def put_head(detector: Detector, space: Space, *, seed: int = 0) -> Detector:
    """Give torchvision's `FCOS` or `RetinaNet` a head that `space` declares; returns the detector, which was changed.

    The space reads the pyramid of the detector's backbone. Where it is a tower, with one output `features` by level,
    the detector gets two of it, for classes and for boxes, in front of its own predictors. Where it is a whole head,
    with outputs `logits`, `boxes` and for FCOS `centerness` by level, its predictors take the place of torchvision's.
    In training mode the dense form runs and the losses have an entry `budget`; in evaluation mode the sparse form runs
    on the same weights. Raises `RouteError` RS955 where the space does not fit.

    >>> from torchvision.models.detection import fcos_resnet50_fpn
    >>> import routespace as rs
    >>> detector = fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5)
    >>> detector = put_head(detector, rs.load(rs.example("dynamic_head"), depth=2))
    >>> sorted(detector.head.spaces)
    ['boxes', 'classes']
    """
    if not isinstance(detector, (FCOS, RetinaNet)) or not isinstance(detector.head, (FCOSHead, RetinaNetHead)):
        found = type(detector).__name__
        if hasattr(detector, "head"):
            found += f" with a {type(detector.head).__name__}"
        raise fault("RS955", f"a head is put into torchvision's FCOS or RetinaNet with its own head, not into {found}")
    graph = rs.build(space)
    inner = detector.head
    classes, boxes = inner.classification_head, inner.regression_head
    predictions = {"logits": classes.cls_logits.out_channels, "boxes": boxes.bbox_reg.out_channels}
    if isinstance(detector, FCOS):
        predictions["centerness"] = boxes.bbox_ctrness.out_channels
    levels = len(detector.anchor_generator.sizes)
    wanted = Wanted(levels, detector.backbone.out_channels, classes.cls_logits.in_channels, predictions)
    is_tower = check_fit(graph, wanted)
    classes.conv, boxes.conv = nn.Identity(), nn.Identity()
    if is_tower:
        detector.head = TowerHead(inner, {"classes": TwoForms(space, seed), "boxes": TwoForms(space, seed + 1)})
    else:
        detector.head = WholeHead(inner, TwoForms(space, seed))
    return detector


class RoutedHead(nn.Module):
    """What detectors ask of a head: maps by level to predictions, and losses, here with that of the budget.

    `inner` is torchvision's head, of which the losses and, in front of a tower, the predictors are used; `spaces` are
    the compiled spaces by what they are for. `progress` is the share of training done, from 0 to 1, which budgets with
    a start or a ramp depend on; it is 1 until it is set.
    """

    def __init__(self, inner: nn.Module, spaces: Mapping[str, TwoForms]) -> None:
        super().__init__()
        self.inner = inner
        self.spaces = nn.ModuleDict(spaces)
        self.progress = 1.0
        self.calls = Handle()

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        """Predictions (N, positions of all levels and anchors, entries) by name; in training mode `budget` too."""
        outcomes = {name: space(x) for name, space in self.spaces.items()}
        for calls in settings(entered(), self.calls):
            calls.append(outcomes)
        found = self.predict(outcomes)
        if self.training:
            found["budget"] = self.budget(outcomes)
        return found

    def predict(self, outcomes: Mapping[str, Outcome]) -> dict[str, Tensor]:
        raise NotImplementedError

    def budget(self, outcomes: Mapping[str, Outcome]) -> Tensor:
        """The mean of the budgets' losses over the spaces: for `ratio`, of equal towers, that of both as a whole."""
        losses = [rs.budget_loss(self.spaces[name].dense, one, self.progress) for name, one in outcomes.items()]  # type: ignore[arg-type]
        return torch.stack(losses).mean()

    def compute_loss(
        self, targets: list[dict[str, Tensor]], head_outputs: dict[str, Tensor], *others: Any
    ) -> dict[str, Tensor]:
        """torchvision's losses, and `budget` where the head is in training mode."""
        outputs = dict(head_outputs)
        budget = {"budget": outputs.pop("budget")} if "budget" in outputs else {}  # none where the head is frozen
        return {**self.inner.compute_loss(targets, outputs, *others), **budget}  # type: ignore[operator]


class TowerHead(RoutedHead):
    """Two towers in front of torchvision's predictors."""

    def predict(self, outcomes: Mapping[str, Outcome]) -> dict[str, Tensor]:
        maps = {name: list(outcome.output.values()) for name, outcome in outcomes.items()}
        logits = self.inner.classification_head(maps["classes"])  # type: ignore[operator]
        boxes = self.inner.regression_head(maps["boxes"])  # type: ignore[operator]
        if isinstance(boxes, Tensor):
            return {"cls_logits": logits, "bbox_regression": boxes}
        return {"cls_logits": logits, "bbox_regression": boxes[0], "bbox_ctrness": boxes[1]}


class WholeHead(RoutedHead):
    """A space with predictors of its own. The classes start from a probability of `PRIOR`."""

    def __init__(self, inner: nn.Module, space: TwoForms) -> None:
        super().__init__(inner, {"head": space})
        graph = rs.graph_of(space.dense)
        self.groups = groups_of(graph)
        self.classes: int = inner.classification_head.num_classes  # type: ignore[assignment, union-attr]
        for part in (inner.classification_head, inner.regression_head):
            for name in ("cls_logits", "bbox_reg", "bbox_ctrness"):
                if hasattr(part, name):
                    setattr(part, name, nn.Identity())
        for conv in _last_convs(space.dense, graph, self.groups["logits"]):
            if conv.bias is not None:
                nn.init.constant_(conv.bias, -math.log((1 - PRIOR) / PRIOR))

    def predict(self, outcomes: Mapping[str, Outcome]) -> dict[str, Tensor]:
        output = outcomes["head"].output
        maps = {name: [output[key] for key in keys] for name, keys in self.groups.items()}
        found = {"cls_logits": by_anchor(maps["logits"], self.classes)}
        if "centerness" not in maps:
            return {**found, "bbox_regression": by_anchor(maps["boxes"], 4)}
        sides = by_anchor(maps["boxes"], 4).relu()  # FCOS predicts distances to the sides
        return {**found, "bbox_regression": sides, "bbox_ctrness": by_anchor(maps["centerness"], 1)}


def by_anchor(maps: Sequence[Tensor], entries: int) -> Tensor:
    """Maps (N, anchors · entries, H, W) of all levels as one (N, positions · anchors, entries), as torchvision has it.

    >>> by_anchor([torch.zeros(2, 12, 4, 4), torch.zeros(2, 12, 2, 2)], 4).shape
    torch.Size([2, 60, 4])
    """
    rows = [one.view(len(one), -1, entries, *one.shape[2:]).permute(0, 3, 4, 1, 2).flatten(1, 3) for one in maps]
    return torch.cat(rows, 1)


def _last_convs(module: nn.Module, graph: RouteGraph, keys: Sequence[str]) -> Iterator[nn.Conv2d]:
    """The convolutions that make the outputs `keys`."""
    targets = targets_of(graph)
    for value in graph.values:
        if isinstance(value, Output) and value.key in keys:
            convs = [
                part for part in every(module.get_submodule(targets[value.args[0]])) if isinstance(part, nn.Conv2d)
            ]
            yield from convs[-1:]


@contextmanager
def recording(detector: nn.Module) -> Iterator[list[dict[str, Outcome]]]:
    """Within the block, what the spaces of the detector's head returned is appended to the list, call by call, by what
    the spaces are for: outputs, routings and costs of the whole batch."""
    found: list[dict[str, Outcome]] = []
    heads = [part for part in detector.modules() if isinstance(part, RoutedHead)]
    if not heads:
        raise fault("RS955", f"{type(detector).__name__} has no head that `put_head` put there")
    with entering({heads[0].calls: found}):
        yield found
