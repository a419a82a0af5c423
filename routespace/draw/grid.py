"""A routing drawn on a grid: nodes at columns and rows, routes as lines whose thickness is their weight.

A `Grid` is plain data. It is laid out once, as marks in pixels, and the marks are written as SVG or drawn with
matplotlib; neither knows what a grid is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from math import hypot
from pathlib import Path
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal["plain", "open", "closed", "unreached"]


@dataclass(frozen=True, slots=True)
class GridNode:
    """A node at (column, row), both from 0, row 0 on top; `plain` where nothing is known of a routing."""

    name: str
    column: int
    row: int
    state: State = "plain"


@dataclass(frozen=True, slots=True)
class GridEdge:
    """A route from node to node; `weight` 0 to 1 (beyond is drawn as the end of the range), None where not known."""

    source: str
    target: str
    weight: float | None = None
    kind: str = "route"


@dataclass(frozen=True)
class Grid:
    """What to draw. Raises ValueError for an edge between nodes that are not there."""

    nodes: tuple[GridNode, ...]
    edges: tuple[GridEdge, ...] = ()
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        known = {node.name for node in self.nodes}
        for edge in self.edges:
            if not {edge.source, edge.target} <= known:
                raise ValueError(f"edge {edge.source} to {edge.target} joins a node that is not in the grid")


@dataclass(frozen=True, slots=True)
class Line:
    x0: float
    y0: float
    x1: float
    y1: float
    width: float
    colour: str
    dashed: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    radius: float
    fill: str
    edge: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "middle"
    size: float = 12.0


@dataclass(frozen=True)
class Picture:
    """Marks in pixels, y downwards, later ones on top."""

    width: float
    height: float
    marks: tuple[Line | Dot | Text, ...]


INK, FAINT, PAPER = "#22303c", "#c3ccd4", "#ffffff"
KIND_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by colour-blind readers (Okabe and Ito); kinds take them in order of appearance."""

DOTS: dict[State, tuple[float, str, str]] = {
    "plain": (6.0, INK, INK),
    "open": (7.0, INK, INK),
    "closed": (6.0, PAPER, INK),
    "unreached": (3.0, FAINT, FAINT),
}
"""Radius, filling and rim by state."""

COLUMN, ROW, MARGIN, LETTER = 58.0, 46.0, 24.0, 7.2


def lay_out(grid: Grid) -> Picture:
    """Marks of a grid: routes below nodes, thin ones below thick ones; where there are several kinds, a legend of those
    that are drawn."""
    left = MARGIN + max((len(label) for label in grid.row_labels), default=0) * LETTER
    top = MARGIN + 14.0 * bool(grid.title) + 12.0 * bool(grid.column_labels)
    columns = max([node.column + 1 for node in grid.nodes] + [len(grid.column_labels), 1])
    rows = max([node.row + 1 for node in grid.nodes] + [len(grid.row_labels), 1])
    width, height = left + (columns - 1) * COLUMN + 2 * MARGIN, top + (rows - 1) * ROW + 2 * MARGIN
    place = {node.name: (left + MARGIN + node.column * COLUMN, top + node.row * ROW + MARGIN) for node in grid.nodes}
    kinds = list(dict.fromkeys(edge.kind for edge in grid.edges))
    colour = {kind: KIND_COLOURS[number % len(KIND_COLOURS)] for number, kind in enumerate(kinds)}
    marks: list[Line | Dot | Text] = _routes(grid, place, colour)
    marks += [_dot(node, *place[node.name]) for node in grid.nodes]
    y = top + (rows - 1) * ROW + MARGIN
    marks += [Text(left, top + row * ROW + MARGIN + 4, label, "end") for row, label in enumerate(grid.row_labels)]
    marks += [Text(left + MARGIN + column * COLUMN, top + 4, label) for column, label in enumerate(grid.column_labels)]
    if len(kinds) > 1:
        height += 22.0
        x = left
        for kind in kinds:
            if all(edge.weight is not None and not edge.weight > 0 for edge in grid.edges if edge.kind == kind):
                continue
            marks += [Line(x, y + 38, x + 18, y + 38, 3.0, colour[kind]), Text(x + 24, y + 42, kind, "start")]
            x += 40.0 + len(kind) * LETTER
        width = max(width, x)
    if grid.title:
        marks.append(Text(MARGIN, MARGIN, grid.title, "start", 14.0))
        width = max(width, 2 * MARGIN + len(grid.title) * LETTER * 1.15)
    return Picture(width, height, tuple(marks))


def grid_svg(grid: Grid) -> str:
    """The grid as an SVG document; hovering tells names and weights.

    >>> grid_svg(Grid((GridNode("layer0.s4", 0, 0), GridNode("layer1.s4", 1, 0)))).startswith("<svg")
    True
    """
    picture = lay_out(grid)
    size = f'width="{picture.width:.0f}" height="{picture.height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {picture.width:.0f} {picture.height:.0f}"'
        f' font-family="sans-serif">',
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        *(_svg(mark) for mark in picture.marks),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def draw_grid(axes: Any, grid: Grid) -> None:
    """Draw the grid on matplotlib `axes`, which take its proportions; lines and dots keep theirs to each other."""
    picture = lay_out(grid)
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    figure = axes.get_figure()
    box = axes.get_position()
    across = box.width * figure.get_figwidth() / picture.width
    down = box.height * figure.get_figheight() / picture.height
    points = 72.0 * min(across, down)
    for order, mark in enumerate(picture.marks):
        match mark:
            case Line():
                style = (0, (3, 3)) if mark.dashed else "-"
                ends = (mark.x0, mark.x1), (mark.y0, mark.y1)
                axes.plot(*ends, color=mark.colour, linewidth=mark.width * points, linestyle=style,
                          zorder=order, solid_capstyle="round")  # fmt: skip
            case Dot():
                axes.plot([mark.x], [mark.y], "o", markersize=2 * mark.radius * points, color=mark.fill,
                          markeredgecolor=mark.edge, markeredgewidth=1.5 * points, zorder=order)  # fmt: skip
            case Text():
                align = {"start": "left", "middle": "center", "end": "right"}[mark.anchor]
                axes.text(mark.x, mark.y, mark.text, ha=align, va="baseline", color=INK, fontsize=mark.size * points,
                          zorder=order, parse_math=False)  # fmt: skip


def grid_png(grid: Grid, path: Path | str, *, scale: float = 2.0) -> None:
    """Write the grid as a PNG of `scale` times its size in pixels. Needs `pip install routespace[draw]`."""
    from routespace.draw.figures import new_figure, save_figure

    picture = lay_out(grid)
    figure = new_figure(picture.width / 96.0, picture.height / 96.0)
    draw_grid(figure.add_axes((0.0, 0.0, 1.0, 1.0)), grid)
    save_figure(figure, path, 96.0 * scale, "png")


def _routes(grid: Grid, place: dict[str, tuple[float, float]], colour: dict[str, str]) -> list[Line | Dot | Text]:
    lines: list[Line] = []
    beside: Counter[tuple[str, str]] = Counter()
    for edge in grid.edges:
        (x0, y0), (x1, y1) = place[edge.source], place[edge.target]
        length = hypot(x1 - x0, y1 - y0) or 1.0
        shift = 5.0 * beside[edge.source, edge.target]
        beside[edge.source, edge.target] += 1
        dx, dy = -(y1 - y0) / length * shift, (x1 - x0) / length * shift
        ends = (x0 + dx, y0 + dy, x1 + dx, y1 + dy)
        hint = f"{edge.source} {edge.kind}"
        if edge.weight is None:
            lines.append(Line(*ends, 1.2, colour[edge.kind], hint=hint))
        elif edge.weight > 0:
            width = 1.0 + 5.0 * min(edge.weight, 1.0)
            lines.append(Line(*ends, width, colour[edge.kind], hint=f"{hint} {edge.weight:.2f}"))
        else:
            lines.append(Line(*ends, 0.8, FAINT, dashed=True, hint=f"{hint} shut"))
    return [*sorted(lines, key=lambda line: line.width)]


def _dot(node: GridNode, x: float, y: float) -> Dot:
    radius, fill, rim = DOTS[node.state]
    return Dot(x, y, radius, fill, rim, node.name if node.state == "plain" else f"{node.name} {node.state}")


def _svg(mark: Line | Dot | Text) -> str:
    match mark:
        case Line():
            dash = ' stroke-dasharray="3 3"' if mark.dashed else ""
            return (
                f'<line x1="{mark.x0:.1f}" y1="{mark.y0:.1f}" x2="{mark.x1:.1f}" y2="{mark.y1:.1f}"'
                f' stroke="{mark.colour}" stroke-width="{mark.width:.2f}" stroke-linecap="round"{dash}>'
                f"{_hint(mark.hint)}</line>"
            )
        case Dot():
            return (
                f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="{mark.radius:.1f}" fill="{mark.fill}"'
                f' stroke="{mark.edge}" stroke-width="1.5">{_hint(mark.hint)}</circle>'
            )
        case Text():
            return (
                f'<text x="{mark.x:.1f}" y="{mark.y:.1f}" text-anchor="{mark.anchor}" font-size="{mark.size:g}"'
                f' fill="{INK}">{escape(mark.text, quote=False)}</text>'
            )


def _hint(text: str) -> str:
    return f"<title>{escape(text, quote=False)}</title>" if text else ""
