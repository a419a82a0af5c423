"""What the gates of a detector's head did over an image, as maps to draw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import routespace as rs
from routespace.integrations.torchvision.cost import levels_of
from routespace.integrations.torchvision.head import RoutedHead
from routespace.runtime.result import Outcome

Maps = list[tuple[str, NDArray[np.float32]]]


def seen_image(detector: nn.Module, image: Tensor) -> NDArray[np.float32]:
    """The image (3, H, W) as the backbone gets it, resized and padded, in its own colours and
    with the mean colour where it is padded: what gates lie over."""
    transform = detector.transform
    batch, _ = transform([image], None)  # type: ignore[operator]
    mean, std = (torch.tensor(values)[:, None, None] for values in (transform.image_mean, transform.image_std))  # type: ignore[union-attr]
    pixels: NDArray[np.float32] = (batch.tensors[0].cpu() * std + mean).clamp(0, 1).numpy()
    return pixels


def gate_maps(head: RoutedHead, outcomes: Mapping[str, Outcome], index: int = 0) -> Maps:
    """Maps (h, w) in [0, 1] for image `index` of a recorded call, a row of levels for each space of the head: the mean
    over the gates per position that were asked about maps of the level. A position that none was asked about is left
    out."""
    found: Maps = []
    for name, outcome in outcomes.items():
        graph = rs.graph_of(head.spaces[name].dense)  # type: ignore[arg-type]
        levels = levels_of(graph)
        places = {gate.node: levels[gate.args[0]] for gate in graph.gates}
        by_level: dict[str, list[Tensor]] = {level: [] for level in dict.fromkeys(levels.values())}
        for node, routes in outcome.routing.weights.items():
            by_level[places[node]] += [weight[index] for weight in routes.values() if weight.dim() == 3]
        for level, maps in by_level.items():
            if maps:
                found.append((f"{name} {level}", torch.stack(maps).float().nanmean(0).cpu().numpy()))
    return found
