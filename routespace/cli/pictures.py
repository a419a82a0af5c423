"""Pictures of what `routespace run` found, each written whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from routespace.cli.outputs import DRAWING, MAPS, PICTURE, with_ending
from routespace.draw.grid import Grid, grid_png, grid_svg
from routespace.files import atomic_path, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from routespace.runtime.result import Outcome

Pixels = NDArray[np.float32]


def draw_route(stem: Path, pixels: Pixels, logits: Tensor, grid: Grid) -> None:
    """The route as SVG, and as PNG with the image and the prediction where that is a map of the image's size."""
    write_atomically(with_ending(stem, DRAWING), grid_svg(grid))
    picture = with_ending(stem, PICTURE)
    if logits.dim() == 4 and logits.shape[1] > 1 and tuple(logits.shape[2:]) == pixels.shape[1:]:
        _draw_scene(picture, pixels, logits[0].argmax(0).numpy(), grid)
    else:
        with atomic_path(picture) as temporary:
            grid_png(grid, temporary)


def draw_maps(stem: Path, pixels: Pixels, outcome: Outcome, title: str) -> None:
    """The maps of gates that decide per position over the image, where there are any."""
    from routespace.draw.figures import heat_figure

    maps = [
        (f"{node} {route}", weight[0].float().cpu().numpy())
        for node, routes in outcome.routing.weights.items()
        for route, weight in routes.items()
        if weight.dim() == 3
    ]
    if maps:
        _save(heat_figure(maps, _in_colour(pixels), title=title), with_ending(stem, MAPS))


def _draw_scene(path: Path, pixels: Pixels, prediction: NDArray[Any], grid: Grid) -> None:
    from routespace.draw.figures import scene_figure

    _save(scene_figure(_in_colour(pixels), prediction, replace(grid, title=""), title=grid.title), path)


def _in_colour(pixels: Pixels) -> Pixels:
    return pixels if pixels.shape[0] == 3 else np.repeat(pixels, 3, 0)


def _save(figure: Figure, path: Path) -> None:
    from routespace.draw.figures import save_figure

    with atomic_path(path) as temporary:
        save_figure(figure, temporary)
