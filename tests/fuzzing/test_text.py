"""One text for one space: nothing imported, nothing given from outside, and the same graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from routespace.graph.build import build
from routespace.language.load import load, loads
from routespace.testing.fuzzing.text import kinds, smaller, standalone

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("**/*.route")), ids=lambda path: path.stem)
def test_the_text_of_an_example_builds_its_graph(path: Path) -> None:
    if path.parent.name == "drafts":
        return
    space = load(path)
    again = loads(standalone(space))
    assert build(again).by_name == build(space).by_name
    assert build(again).policies == build(space).policies
    assert standalone(again) == standalone(space)


def test_what_is_given_from_outside_is_written_down() -> None:
    space = load(EXAMPLES / "small.route", depth=2, live="always")
    text = standalone(space)
    assert "depth = 2" in text and "live   always" in text and "by_node" not in text


def test_smaller_parameters_keep_every_kind_of_part() -> None:
    space = load(EXAMPLES / "segmentation.route")
    small = smaller(space)
    assert len(build(small).values) < len(build(space).values) / 4
    assert kinds(build(small)) == kinds(build(space))
