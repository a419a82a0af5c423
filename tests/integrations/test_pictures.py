import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from routespace.draw.grid import FAINT, Dot, Grid, GridEdge, GridNode, Line, Text, grid_png, grid_svg, lay_out
from routespace.integrations.scenes import CLASSES, draw_scene

GRID = Grid(
    nodes=(
        GridNode("a", 0, 0, "open"),
        GridNode("b", 1, 0, "closed"),
        GridNode("c", 1, 1, "unreached"),
        GridNode("d <&>", 2, 0),
    ),
    edges=(
        GridEdge("a", "b", 1.0, "keep"),
        GridEdge("a", "c", 0.0, "down"),
        GridEdge("b", "d <&>", 0.25, "keep"),
        GridEdge("c", "d <&>", None, "up"),
    ),
    row_labels=("s4", "s8"),
    column_labels=("0", "1", "2"),
    title="routes & <nodes>",
)


def test_thickness_is_weight_and_states_are_told_apart() -> None:
    marks = lay_out(GRID).marks
    lines = {mark.hint: mark for mark in marks if isinstance(mark, Line) and mark.hint}
    assert lines["a keep 1.00"].width == 6.0 and lines["b keep 0.25"].width == 2.25
    assert lines["a down shut"].dashed and lines["a down shut"].colour == FAINT
    assert not lines["c up"].dashed and lines["c up"].colour != lines["a keep 1.00"].colour
    dots = [mark for mark in marks if isinstance(mark, Dot)]
    assert len({(dot.radius, dot.fill) for dot in dots}) == 4


def test_marks_stay_inside_and_nodes_stand_apart() -> None:
    picture = lay_out(GRID)
    for mark in picture.marks:
        places = [(mark.x0, mark.y0), (mark.x1, mark.y1)] if isinstance(mark, Line) else [(mark.x, mark.y)]
        assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in places)
    dots = [(mark.x, mark.y) for mark in picture.marks if isinstance(mark, Dot)]
    assert len(set(dots)) == len(dots) and dots[0][1] == dots[1][1] < dots[2][1] and dots[1][0] == dots[2][0]


def test_routes_beside_each_other_do_not_cover_each_other() -> None:
    twice = Grid((GridNode("a", 0, 0), GridNode("b", 1, 0)), (GridEdge("a", "b", 1, "x"), GridEdge("a", "b", 1, "y")))
    lines = [mark for mark in lay_out(twice).marks if isinstance(mark, Line) and mark.hint]
    assert lines[0].y0 != lines[1].y0


def test_svg_is_well_formed_and_stable() -> None:
    text = grid_svg(GRID)
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and text == grid_svg(GRID)
    texts = [element.text for element in root.iter() if element.tag.endswith("}text")]
    assert "routes & <nodes>" in texts and "s8" in texts
    assert sum(isinstance(mark, Text) for mark in lay_out(GRID).marks) == len(texts)
    hints = [element.text for element in root.iter() if element.tag.endswith("title")]
    assert "d <&>" in hints and "c unreached" in hints


def test_an_empty_grid_is_drawn() -> None:
    root = ElementTree.fromstring(grid_svg(Grid(())))
    assert root.tag.endswith("svg") and not [one for one in root.iter() if one.tag.endswith("}text") and one.text]


def test_an_edge_to_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        Grid((GridNode("a", 0, 0),), (GridEdge("a", "nowhere"),))


def test_svg_needs_neither_matplotlib_nor_torch() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = sys.modules['torch'] = None\n"
        "from routespace.draw.grid import *; grid_svg(Grid((GridNode('a', 0, 0),)))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_pictures_are_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from routespace.draw.figures import save_figure, scene_figure

    grid_png(GRID, tmp_path / "grid.png")
    scene = draw_scene(0, 0, (64, 48))
    figure = scene_figure(scene.image, scene.label, GRID, label=scene.label, classes=CLASSES, title="a $scene_")
    save_figure(figure, tmp_path / "scene.png")
    for name in ("grid.png", "scene.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_maps_and_levels_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from routespace.draw.figures import heat_figure, level_figure, save_figure

    maps = [("p3", np.linspace(0, 1, 48).reshape(6, 8)), ("p4", np.full((3, 4), np.nan))]
    for name, image in (("over", np.zeros((3, 48, 64))), ("alone", None)):
        figure = heat_figure(maps, image, columns=2, title="gates")
        save_figure(figure, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") and len(figure.axes) == 2
    levels = {"p3": {"hard": 2.5e6, "executed": 3e6}, "p4": {"hard": 1e6, "executed": 0.0}}
    figure = level_figure(levels, title="levels")
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [2.5, 1.0, 3.0, 0.0]
    assert axes.get_ylabel() == "M multiply-adds"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["p3", "p4"]
    save_figure(level_figure({}), tmp_path / "none.png")


def test_drawing_does_not_load_pyplot() -> None:
    pytest.importorskip("matplotlib")
    program = "import sys, routespace.draw.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_overlay_leaves_the_ground_clear() -> None:
    pytest.importorskip("matplotlib")
    from routespace.draw.figures import overlay

    image = np.full((2, 2, 3), 0.5)
    shown = overlay(image, np.array([[0, 1], [255, 2]]))
    assert (shown[0, 0] == 0.5).all() and (shown[1, 0] == 0.5).all()
    assert (shown[0, 1] != shown[1, 1]).any() and (shown[0, 1] != 0.5).any()
