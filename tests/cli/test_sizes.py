"""Sizes on the command line: those that a space takes, whatever the verb."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

TEXT = """space wide {
  input image: 3
  axis layer = 0..0
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer {
    x = image | conv(5, 4, pad = 0)
    send x by soft(x) { keep: relu } closed keep = x
  }
  output y = keep[0] | resize(by = 1/2) | resize(by = 2)
}
net all in wide {
  everything
}
"""
REFUSED = "images of 4x96 do not fit space `wide`: `conv` does not fit: its window of 5 is larger than a side of 4"
VERBS = (
    ("cost", "wide.route"),
    ("cost", "wide.route", "--net", "all"),
    ("table", "wide.route"),
    ("diff", "wide.route", "wide.route"),
    ("find", "wide.route", "cheapest"),
    ("show", "wide.route"),
)


@pytest.fixture(autouse=True)
def wide(files: Path) -> None:
    (files / "wide.route").write_text(TEXT, "utf-8")


def test_check_tells_the_least_size(run: Run) -> None:
    assert run("check", "wide.route").out == (
        "wide.route: space wide, 1 node, 1 route, 1 gate, 1 net, images from 5x5\n"
    )


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_takes_what_fits_and_refuses_what_does_not(verb: tuple[str, ...], run: Run) -> None:
    assert run(*verb, "--input", "5x7").code == 0
    ended = run(*verb, "--input", "3x4x96")
    assert ended.code == 2 and not ended.out
    assert REFUSED in ended.err and "the smallest that fit have 5x5" in ended.err and "--input" in ended.err


def test_the_size_that_is_meant_without_one_has_to_fit_too(run: Run, files: Path) -> None:
    op = "conv(3, stride = 2, pad = 0) + avgpool(2, stride = 2, pad = 0)"
    text = f"space odd {{\n input image: 3\n output y = image | ({op})\n}}"
    (files / "odd.route").write_text(text, "utf-8")
    assert run("check", "odd.route").out.endswith("images from 3x3\n")
    ended = run("cost", "odd.route")
    assert ended.code == 2 and "images of 1024x2048 do not fit" in ended.err and "begin at 3x3" in ended.err
    assert run("cost", "odd.route", "--input", "33x35").code == 0
