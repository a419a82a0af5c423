"""The baseline: the segmentation space as a plain eager module, written the way the published code works.

Contiguous tensors, batch norms unfolded, all routes of every node that runs computed and multiplied by their weights,
a node skipped only where its input never came about or the gates of the whole batch are shut.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(cin: int, cout: int, kernel: int, stride: int = 1, pad: int = 0, relu: bool = True) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv2d(cin, cout, kernel, stride, pad, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*parts, nn.ReLU()) if relu else nn.Sequential(*parts)


def depthwise(width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False)


class Node(nn.Module):
    def __init__(self, width: int, up: bool, down: bool) -> None:
        super().__init__()
        self.cell = nn.Sequential(
            depthwise(width), conv(width, width, 1), depthwise(width), conv(width, width, 1, relu=False)
        )
        self.up = nn.Sequential(nn.ReLU(), conv(width, width // 2, 1)) if up else None
        self.down = nn.Sequential(nn.ReLU(), conv(width, 2 * width, 1, 2)) if down else None
        self.gate = nn.Sequential(
            conv(width, width // 2, 1), nn.AdaptiveAvgPool2d(1), nn.Conv2d(width // 2, 1 + up + down, 1)
        )

    def forward(self, x: Tensor | float) -> tuple[Tensor | float, Tensor | float, Tensor | float]:
        if isinstance(x, float):
            return 0.0, 0.0, 0.0
        alpha = F.relu(torch.tanh(self.gate(x)))
        if alpha.sum() < 1e-4:
            return x, 0.0, 0.0
        h = self.cell(x) + x
        closed = (alpha.sum(1, keepdim=True) < 1e-4).to(x.dtype)
        keep = closed * x + alpha[:, :1] * F.relu(h)
        up: Tensor | float = 0.0
        down: Tensor | float = 0.0
        if self.up is not None:
            big = F.interpolate(self.up(h), scale_factor=2, mode="bilinear", align_corners=False)
            up = big * alpha[:, 1:2]
        if self.down is not None:
            down = self.down(h) * alpha[:, -1:]
        return keep, up, down


class Published(nn.Module):
    def __init__(self, depth: int = 16, width: int = 64, classes: int = 19) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, 64, 3, 2), depthwise(64), conv(64, 64, 1), depthwise(64, 2), conv(64, width, 1)
        )
        self.layers = nn.ModuleList()
        for layer in range(depth + 1):
            scales = min(layer, 3) + 1
            last = layer == depth
            self.layers.append(
                nn.ModuleList(Node(width << s, up=s > 0 and not last, down=s < 3 and not last) for s in range(scales))
            )
        self.decode = nn.ModuleList(conv(width << s, (width << s) // (2 if s else 1), 1) for s in range(4))
        self.predict = nn.Conv2d(width, classes, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        arriving: list[Tensor | float] = [self.stem(images), 0.0, 0.0, 0.0]
        for nodes in self.layers:
            following: list[Tensor | float] = [0.0] * 4
            kept: list[Tensor | float] = [0.0] * 4
            for scale, node in enumerate(nodes):  # type: ignore[arg-type]
                keep, up, down = node(arriving[scale])
                kept[scale] = keep
                following[scale] = following[scale] + keep
                if scale:
                    following[scale - 1] = following[scale - 1] + up
                if scale < 3:
                    following[scale + 1] = following[scale + 1] + down
            arriving = following
        carried: Tensor | float = 0.0
        for scale in (3, 2, 1, 0):
            x = arriving[scale] + carried
            if isinstance(x, float):
                continue
            carried = self.decode[scale](x)
            if scale:
                carried = F.interpolate(carried, scale_factor=2, mode="bilinear", align_corners=False)
        return F.interpolate(self.predict(carried), scale_factor=4, mode="bilinear", align_corners=False)
