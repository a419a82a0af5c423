"""Shrinking leaves out whatever does not matter, and never makes a text that does not build."""

from __future__ import annotations

from pathlib import Path

import pytest

from routespace.graph.build import build
from routespace.graph.ir import Merge, Route, is_per_position
from routespace.language.load import load, loads
from routespace.language.parser import parse
from routespace.testing.cases import Case
from routespace.testing.fuzzing import fuzz
from routespace.testing.fuzzing.shrink import shrink, weight
from routespace.testing.fuzzing.smaller import smaller_files

SMALL = (Path(__file__).parents[2] / "examples" / "small.route").read_text("utf-8")


def test_a_file_has_smaller_ones() -> None:
    files = list(smaller_files(parse(SMALL)))
    assert len(files) > 100
    assert all(file != parse(SMALL) for file in files)


@pytest.mark.parametrize(
    ("wanted", "most"),
    [
        (lambda case: any(gate.activation == "relu_tanh" for gate in case.graph.gates), 40),
        (lambda case: any(isinstance(one, Merge) and len(one.args) > 1 for one in case.graph.values), 100),
        (lambda case: case.batch > 1, 20),
    ],
    ids=["an activation", "a merge", "a batch"],
)
def test_only_what_matters_is_left(wanted: object, most: int) -> None:
    case, tries = shrink(Case(SMALL, tilt=0.5, batch=3, height=90), lambda one: wanted(one) or None, 60)  # type: ignore[operator]
    assert wanted(case)  # type: ignore[operator]
    assert tries > 5
    assert weight(case.text)[1] <= most, case.text
    assert build(loads(case.text)).values
    assert (case.tilt, case.height) == (0.0, 1)


def test_what_nothing_breaks_stays() -> None:
    case = Case(SMALL)
    assert shrink(case, lambda one: None, 0.0) == (case, 0)


def test_an_op_behind_a_gate_per_position_is_left_with_its_gate() -> None:
    text = (Path(__file__).parents[2] / "examples" / "two_grains.route").read_text("utf-8")

    def is_gated(case: Case) -> bool | None:
        routes = [one for one in case.graph.values if isinstance(one, Route) and is_per_position(case.graph, one)]
        return any("conv" in str(one.op) for one in routes) or None

    case, _ = shrink(Case(text), is_gated, 60)
    assert len(case.text.splitlines()) <= 6, case.text


def test_nets_of_other_spaces_are_left_out() -> None:
    space = load(Path(__file__).parents[2] / "examples" / "classic" / "deeplabv3_plus.route", depth=4)
    verdict = fuzz(space, examples=1, laws=["json keeps meaning"])
    assert verdict.left_out == ("deeplabv3_plus",) and verdict.found is None
