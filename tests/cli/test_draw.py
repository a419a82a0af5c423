from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Run


def test_a_space_becomes_svg_or_png(run: Run, files: Path) -> None:
    assert run("draw", "tiny.route", "-o", "space.svg").code == 0
    ElementTree.parse(files / "space.svg")
    assert run("draw", "tiny.route", "-o", "-").out == (files / "space.svg").read_text()
    pytest.importorskip("matplotlib")
    assert run("draw", "tiny.route", "--out", "space.png", "--set", "depth=3").code == 0
    assert (files / "space.png").read_bytes().startswith(b"\x89PNG")


def test_a_net_is_drawn_thick(run: Run) -> None:
    plain, net = run("draw", "tiny.route", "-o", "-").out, run("draw", "tiny.route", "-o", "-", "--net", "straight").out
    assert "layer0.s4 keep 1.00" in net and "layer1.s8 unreached" in net and ">straight<" in net
    assert "keep 1.00" not in plain and "unreached" not in plain


def test_weights_come_from_json(run: Run, files: Path) -> None:
    (files / "w.json").write_text('{"layer0.s4": {"keep": 0.5, "down": 0}, "layer1.s4": {"keep": null, "down": null}}')
    shown = run("draw", "tiny.route", "-o", "-", "--weights", "w.json").out
    assert "layer0.s4 keep 0.50" in shown and "layer0.s4 down shut" in shown and "layer1.s4 unreached" in shown


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        pytest.param("[" * 100_000, "is not JSON", id="deep"),
        ("[1]", "does not say"),
        ('{"layer0.s4": 1}', "does not say"),
        ('{"layer0.s4": {"keep": "much"}}', "is not a weight"),
        ('{"layer0.s4": {"keep": true}}', "is not a weight"),
        ('{"layer9.s4": {"keep": 1}}', "no node `layer9.s4`"),
        ('{"layer0.s4": {"kept": 1}}', "no route `kept`"),
    ],
)
def test_weights_that_do_not_fit_are_refused(text: str, says: str, run: Run, files: Path) -> None:
    (files / "w.json").write_text(text)
    ended = run("draw", "tiny.route", "-o", "x.svg", "--weights", "w.json")
    assert ended.code == 1 and says in ended.err and not (files / "x.svg").exists()


def test_weights_that_are_not_there_are_named(run: Run) -> None:
    ended = run("draw", "tiny.route", "-o", "x.svg", "--weights", "nowhere.json")
    assert ended.code == 1 and "nowhere.json" in ended.err
