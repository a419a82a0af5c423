"""Importing torchvision where its compiled operators do not load: beside a torch without CUDA its wheel cannot be
imported, nor can anything that looks for it, as Lightning and torchmetrics do."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
"""What torchvision declares properties of when it is imported, and so must be there."""

_library: list[torch.library.Library] = []


def load_torchvision() -> ModuleType | None:
    """The real torchvision, None where it is not installed; call it before anything else that imports torchvision.

    Operators of its own library are used where that loads. Where it does not, non-maximum suppression is defined in
    Python, to the same rule, and the other operators stay missing: they raise what torch raises for unknown ones.
    """
    if find_spec("torchvision") is None:
        return None
    try:
        return import_module("torchvision")
    except RuntimeError as cause:
        if "operator torchvision::" not in str(cause):
            raise
    _define()
    found = import_module("torchvision")
    if not found.extension._has_ops():
        # `nms` asks for the library as a whole before it calls the operator that is there now.
        sys.modules["torchvision.ops.boxes"]._assert_has_ops = partial(bool, True)  # type: ignore[attr-defined]
    return found


def _define() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)  # type: ignore[no-untyped-call]
            library.impl(name, nms, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    _library.append(library)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices (K,) of the boxes (N, 4) that stay, best first: one goes where a better one that stays covers it with an
    intersection over union above the threshold. Of equal scores the first comes first.

    >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [3.0, 0.0, 4.0, 1.0]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5)
    tensor([1, 2])
    """
    order = scores.argsort(descending=True, stable=True)
    left, top, right, bottom = boxes[order].unbind(1)
    areas = (right - left) * (bottom - top)
    waiting = torch.arange(len(order), device=boxes.device)
    kept: list[Tensor] = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(order[best])
        width = torch.minimum(right[best], right[waiting]) - torch.maximum(left[best], left[waiting])
        height = torch.minimum(bottom[best], bottom[waiting]) - torch.maximum(top[best], top[waiting])
        shared = width.clamp_min(0) * height.clamp_min(0)
        waiting = waiting[~(shared / (areas[best] + areas[waiting] - shared) > iou_threshold)]
    return torch.stack(kept) if kept else order
