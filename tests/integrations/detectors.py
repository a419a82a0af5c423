"""Detectors as small as they come, for tests."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator

import routespace as rs
from routespace.integrations.torchvision import put_head
from routespace.space.model import Space

CLASSES, WIDTH = 5, 32
KINDS = ("fcos", "retinanet")


class Backbone(nn.Module):
    """A map of stride 8 and four more, each half as large."""

    def __init__(self, levels: int = 5, width: int = WIDTH) -> None:
        super().__init__()
        self.out_channels = width
        self.stem = nn.Conv2d(3, width, 8, 8)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(levels - 1))

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps = [self.stem(x)]
        for down in self.down:
            maps.append(down(maps[-1].relu()))
        return OrderedDict((str(place), one) for place, one in enumerate(maps))


def plain(kind: str, *, levels: int = 5, width: int = WIDTH) -> FCOS | RetinaNet:
    torch.manual_seed(0)
    backbone, size = Backbone(levels, width), {"min_size": 64, "max_size": 160, "score_thresh": 0.0}
    ratios = (1.0,) if kind == "fcos" else (0.5, 1.0)
    anchors = AnchorGenerator(tuple((8 * 2**level,) for level in range(levels)), (ratios,) * levels)
    make = FCOS if kind == "fcos" else RetinaNet
    return make(backbone, CLASSES, anchor_generator=anchors, **size)


def tower(**parameters: int | float) -> Space:
    return rs.load(rs.example("dynamic_head"), **{"depth": 1, "width": WIDTH, **parameters})


def whole(**parameters: int | float) -> Space:
    return rs.load(rs.example("fcos_dynamic_head"), **{"depth": 1, "width": WIDTH, "classes": CLASSES, **parameters})


def routed(kind: str, space: Space | None = None) -> FCOS | RetinaNet:
    """A detector whose gates are open at some positions and closed at others, and whose levels hear of each other."""
    detector = put_head(plain(kind), space or tower())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in detector.head.named_parameters():
            if "gate.body" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
            elif parameter.numel() == 1:
                parameter.fill_(0.5)
    return detector


def targets(sizes: list[tuple[int, int]]) -> list[dict[str, Tensor]]:
    """A large and a small box for each image, none for the last."""
    found = []
    for height, width in sizes:
        boxes = [[2.0, 3.0, 0.8 * width, 0.9 * height], [5.0, 5.0, 21.0, 19.0]]
        found.append({"boxes": torch.tensor(boxes), "labels": torch.tensor([1, 3])})
    found[-1] = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    return found


def images(sizes: list[tuple[int, int]], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator).to(dtype) for size in sizes]
