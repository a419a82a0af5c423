"""What a routed network saw, said and did for one image, after Figure 1 of Li et al., CVPR 2020. Needs matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routespace.diagnostics import Diagnostic, RouteError
from routespace.draw.grid import Grid, draw_grid, lay_out

try:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
except ImportError as cause:
    missing = Diagnostic(
        "RS951",
        f"the extra `draw` is not usable: {cause.name} is not installed",
        help="pip install 'routespace[draw]'",
    )
    raise RouteError([missing]) from cause


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches that draws off screen and belongs to no global state."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def scene_figure(
    image: NDArray[Any],
    prediction: NDArray[Any],
    grid: Grid,
    *,
    label: NDArray[Any] | None = None,
    classes: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Image (3, H, W) in [0, 1], `prediction` (H, W) laid over it, the same for `label` if given, and the route taken.

    Class 0 is left clear. `classes` names the colours.
    """
    shown = np.clip(np.moveaxis(np.asarray(image, dtype=np.float64), 0, -1), 0.0, 1.0)
    layers: list[tuple[str, NDArray[Any] | None]] = [("image", None), ("prediction", prediction)]
    if label is not None:
        layers.insert(1, ("label", label))
    picture = lay_out(grid)
    route = 2.6 * picture.width / picture.height
    width, height = 2.4 * len(layers) + route, 3.0
    figure = new_figure(width, height)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    for place, (name, classes_map) in enumerate(layers):
        axes = figure.add_axes(((2.4 * place + 0.1) / width, 0.12, 2.2 / width, 2.2 / height))
        axes.set_axis_off()
        axes.set_title(name, fontsize=9)
        axes.imshow(shown if classes_map is None else overlay(shown, classes_map))
    draw_grid(figure.add_axes((2.4 * len(layers) / width, 0.02, route / width, 2.6 / height)), grid)
    if classes:
        colours = class_colours(len(classes))
        handles = [
            Patch(color=colour, label=name) for name, colour in list(zip(classes, colours.tolist(), strict=True))[1:]
        ]
        figure.legend(
            handles=handles, ncols=len(handles), loc="lower left", fontsize=8, frameon=False, borderaxespad=0.2,
            handlelength=1.0, columnspacing=1.0,
        )  # fmt: skip
    return figure


def heat_figure(
    maps: Sequence[tuple[str, NDArray[Any]]], image: NDArray[Any] | None = None, *, columns: int = 4, title: str = ""
) -> Figure:
    """Maps of gates per position, each named and (h, w) in [0, 1], over the image (3, H, W) they belong to.

    After Figure 4 of Song et al., NeurIPS 2020. What was not reached (NaN) is left clear.
    """
    columns = max(1, min(columns, len(maps)))
    rows = -(-len(maps) // columns)
    width, height = 2.3 * columns + 0.1, 1.9 * rows + 0.4
    figure = new_figure(width, height)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    shown = None if image is None else np.clip(np.moveaxis(np.asarray(image, dtype=np.float64), 0, -1), 0.0, 1.0)
    extent = (0.0, 1.0, 0.0, 1.0) if shown is None else (0.0, float(shown.shape[1]), float(shown.shape[0]), 0.0)
    for place, (name, weights) in enumerate(maps):
        row, column = divmod(place, columns)
        left, bottom = (2.3 * column + 0.1) / width, 1 - (1.9 * (row + 1) + 0.25) / height
        axes = figure.add_axes((left, bottom, 2.2 / width, 1.55 / height))
        axes.set_axis_off()
        axes.set_title(name, fontsize=8)
        if shown is not None:
            axes.imshow(shown.mean(-1), cmap="gray", extent=extent)
        kept = np.ma.masked_invalid(weights)
        alpha = 1.0 if shown is None else 0.6
        axes.imshow(kept, cmap="inferno", vmin=0.0, vmax=1.0, alpha=alpha, extent=extent, aspect="auto")
        if shown is not None:
            axes.set_aspect("equal")
    return figure


def level_figure(levels: Mapping[str, Mapping[str, float]], *, unit: str = "multiply-adds", title: str = "") -> Figure:
    """Bars of what each level of a pyramid cost: kind of cost to amount, by level; every level has the same kinds."""
    figure = new_figure(1.1 * len(levels) + 1.6, 3.0)
    axes = figure.add_axes((0.16, 0.14, 0.8, 0.7))
    kinds = list(next(iter(levels.values()), {}))
    most = max((amount for costs in levels.values() for amount in costs.values()), default=0.0)
    divisor, prefix = next(
        ((size, name) for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if most >= size), (1, "")
    )
    for place, kind in enumerate(kinds):
        at = [number + (place - (len(kinds) - 1) / 2) * 0.8 / len(kinds) for number in range(len(levels))]
        axes.bar(at, [costs[kind] / divisor for costs in levels.values()], 0.8 / len(kinds), label=kind)
    axes.set_xticks(range(len(levels)), list(levels))
    axes.set_ylabel(f"{prefix} {unit}".strip(), fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if kinds:
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    return figure


def overlay(image: NDArray[Any], labels: NDArray[Any], strength: float = 0.65) -> NDArray[np.float64]:
    """Image (H, W, 3) tinted with the colour of each pixel's class; class 0 and labels beyond the table stay as is."""
    count = 20
    tint = class_colours(count)[np.clip(labels, 0, count - 1)]
    tinted = ((labels > 0) & (labels < count))[..., None]
    return np.where(tinted, (1.0 - strength) * image + strength * tint, image)


def class_colours(count: int) -> NDArray[np.float64]:
    """A colour (count, 3) for each class; they repeat after twenty."""
    table: NDArray[np.float64] = np.asarray(matplotlib.colormaps["tab20"].colors)  # type: ignore[attr-defined]
    chosen = (2 * np.arange(count) + np.arange(count) // 10) % len(table)
    return np.asarray(table[chosen])


def save_figure(figure: Figure, path: Path | str, dpi: float = 120.0, format: str | None = None) -> None:
    """Write the figure in a format, else in that of the path's suffix. What no font has is drawn as a box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")
        figure.savefig(path, dpi=dpi, format=format)
