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


TWO = """
net down in tiny {
  edge x[0, s4] -> x[1, s8] -> x[2, s4]
  row keep[2, s4]
}
"""


def test_two_nets_are_drawn_over_each_other(run: Run, files: Path) -> None:
    (files / "two.route").write_text((files / "tiny.route").read_text() + TWO)
    shown = run("draw", "two.route", "-o", "-", "--net", "straight", "--against", "down").out
    ElementTree.fromstring(shown)
    assert ">straight against down<" in shown
    for hint in (
        "layer2.s4 in both 1.00",
        "layer0.s4 only in straight 1.00",
        "layer1.s4 only in straight 1.00",
        "layer0.s4 only in down 1.00",
        "layer1.s8 only in down 1.00",
        "layer2.s8 in neither shut",
        "layer0.s4 open",
        "layer1.s4 closed",
        "layer1.s8 closed",
        "layer2.s8 unreached",
    ):
        assert shown.count(f"<title>{hint}</title>") == 1, hint
    assert shown.count(">only in down<") == 1 and ">in neither<" not in shown
    same = run("draw", "two.route", "-o", "-", "--net", "down", "--against", "down").out
    assert "only in" not in same.replace("only in down</text>", "") and "in both 1.00" in same


def test_nets_that_are_not_there_are_named(run: Run, files: Path) -> None:
    assert run("draw", "tiny.route", "-o", "-", "--against", "straight").code == 2
    ended = run("draw", "tiny.route", "-o", "-", "--net", "straight", "--against", "straigt")
    assert ended.code == 1 and "RS701" in ended.err and "did you mean `straight`?" in ended.err


def test_weights_come_from_json(run: Run, files: Path) -> None:
    (files / "w.json").write_text('{"layer0.s4": {"keep": 0.5, "down": 0}, "layer1.s4": {"keep": null, "down": null}}')
    ended = run("draw", "tiny.route", "-o", "-", "--weights", "w.json")
    assert ended.err.startswith("warning: `w.json`: no weight of `keep` of `layer1.s8`, `up` of `layer1.s8`, ")
    shown = ended.out
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
        pytest.param('{"layer0.s4": {"keep": ' + "9" * 400 + "}}", "`99999999999999999...` at `keep` of", id="huge"),
        ('{"layer0.s4": {"keep": NaN}}', "`NaN` at `keep` of `layer0.s4` is not a weight from 0 to 1"),
        ('{"layer0.s4": {"keep": Infinity}}', "`Infinity` at `keep` of `layer0.s4` is not a weight from 0 to 1"),
        ('{"layer0.s4": {"keep": -0.5}}', "`-0.5` at `keep` of `layer0.s4` is not a weight from 0 to 1"),
        ('{"layer0.s4": {"keep": 1.5}}', "is not a weight from 0 to 1"),
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


def test_a_drawing_that_fails_leaves_the_old_one(run: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = pytest.importorskip("routespace.draw.figures")

    def half(figure: object, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    (files / "space.png").write_bytes(b"old")
    monkeypatch.setattr(figures.Figure, "savefig", half)
    before = sorted(files.iterdir())
    ended = run("draw", "tiny.route", "-o", "space.png")
    assert ended.code == 1 and "No space left" in ended.err
    assert (files / "space.png").read_bytes() == b"old" and sorted(files.iterdir()) == before
