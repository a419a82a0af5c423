"""Files with errors beyond syntax, each with the report it gets. `pytest --update` writes the reports anew.

A case is loaded, built, and its nets are held. Comments at its beginning give parameters (`# set depth = 3`, a Python
value) and choose a space (`# space NAME`).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from routespace.diagnostics import Diagnostic, Findings, RouteError
from routespace.diagnostics.catalogue import CATALOGUE
from routespace.diagnostics.render import render
from routespace.graph.build import build
from routespace.graph.nets import hold
from routespace.language.load import loads
from routespace.space.model import ParameterValue, Space
from tests.language.found import find

FOLDER = Path(__file__).parents[1] / "cases" / "errors"
CASES = sorted(FOLDER.glob("*.route"))
SYNTAX = {code for code in CATALOGUE if code < "RS150"}


def settings(text: str) -> dict[str, ParameterValue]:
    given = dict(re.findall(r"^# set (\w+) = (.*)$", text, re.MULTILINE))
    return {
        **{name: eval(value) for name, value in given.items()},  # what stands in our own cases
        **({"space": found[1]} if (found := re.search(r"^# space (\w+)$", text, re.MULTILINE)) else {}),
    }


def found(path: Path, monkeypatch: pytest.MonkeyPatch) -> Findings:
    monkeypatch.chdir(FOLDER)
    text = path.read_text("utf-8")
    return find(text, path.name, **settings(text))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_report(path: Path, update: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = found(path, monkeypatch)
    report = render(findings.diagnostics, findings.sources) + "\n"
    expected = path.with_suffix(".txt")
    if update:
        expected.write_text(report, encoding="utf-8")
    assert report == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_findings_are_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a code of the catalogue, stands in a text that is at hand, and is said once."""
    findings = found(path, monkeypatch)
    assert findings.diagnostics
    assert len(findings.diagnostics) <= findings.limit
    for one in findings.diagnostics:
        assert one.code in CATALOGUE
        assert (one.severity == "warning") == ("RS90" <= one.code < "RS95")
        assert one.span is not None, one
        for label in one.labels:
            assert label.span is None or label.span.path in findings.sources
    places = [(one.code, one.message, one.labels) for one in findings.diagnostics]
    assert len(set(places)) == len(places)
    severities = [one.severity for one in findings.diagnostics]
    assert severities == sorted(severities), "errors come first"
    if path.stem.startswith("rs") and path.stem[2:5].isdigit():
        assert path.stem[:5].upper() in {one.code for one in findings.diagnostics}


def test_every_code_has_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    provoked = {one.code for path in CASES for one in found(path, monkeypatch).diagnostics}
    elsewhere = {"RS150", "RS157", "RS709", "RS712", "RS713", "RS714", "RS715"} | {
        code for code in CATALOGUE if code > "RS95"
    }
    assert provoked - SYNTAX == set(CATALOGUE) - SYNTAX - elsewhere


NET = (FOLDER / "rs702_not_here.route").read_text("utf-8")


def space() -> Space:
    return loads(NET)


def finding_of_holding(net: object) -> Diagnostic:
    with pytest.raises(RouteError) as error:
        hold(build(space()), net)  # type: ignore[arg-type]
    (one,) = error.value.diagnostics
    assert one.span is not None
    return one


def code_of_holding(net: object) -> str:
    return finding_of_holding(net).code


def test_nets_from_outside() -> None:
    assert code_of_holding("off_the_rm") == "RS701"
    assert code_of_holding({"layer9.s4": {"keep": 1.0}}) == "RS702"
    assert code_of_holding({"layer0.s4": {"kep": 1.0}}) == "RS702"
    assert code_of_holding({"layer0.s4": {"keep": -1.0}}) == "RS704"
    assert code_of_holding({"layer0.s4": {"keep": float("nan")}}) == "RS704"


def test_what_stands_in_the_text_and_is_dropped_is_told_from_what_never_stood_there() -> None:
    assert finding_of_holding({"layer3.s8": {}}).message == "node `layer3.s8` is dropped: no output reads what it makes"
    assert finding_of_holding({"layer3.s9": {}}).message == "there is no node `layer3.s9` with a gate"
    up = finding_of_holding({"layer0.s4": {"up": 1.0}})
    assert up.message == "route `up` is dropped at node `layer0.s4`: nothing reads it there"
    walks = NET.split("net off")[0] + "net lost in s {\n  walk x[3, s8]: keep\n  edge x[2, s4] -> x[3, s8]\n}\n"
    messages = [one.message for one in find(walks).diagnostics if one.severity == "error"]
    assert messages == ["node `layer3.s8` is dropped: no output reads what it makes"] * 2
    bare = finding_of_holding({"layer0.s4": {"keep": float("inf")}})
    assert bare.span is not None and NET[bare.span.start :].startswith("keep: relu")


def test_too_many_imports(tmp_path: Path) -> None:
    for number in range(110):
        text = f'from "f{number + 1}.route" import a\nop b{number} = relu\n'
        (tmp_path / f"f{number}.route").write_text(text)
    text = 'from "f0.route" import a\nspace s {\n  input image: 3\n  output y = image | relu\n}\n'
    assert "RS157" in {one.code for one in find(text, str(tmp_path / "all.route")).diagnostics}


def test_a_file_imported_twice_is_read_once(tmp_path: Path) -> None:
    """Each file imports the next one twice; read anew each time, that would be 2^40 files."""
    for number in range(40):
        text = f'from "f{number + 1}.route" import a{number + 1}\n' * 1
        text += f'from "./f{number + 1}.route" import b{number + 1}\n'
        text += f"op a{number} = a{number + 1} | relu\nop b{number} = b{number + 1} | relu\n"
        (tmp_path / f"f{number}.route").write_text(text)
    (tmp_path / "f40.route").write_text("op a40 = relu\nop b40 = tanh\n")
    text = 'from "f0.route" import a0, b0\nspace s {\n  input image: 3\n  output y = image | a0 | b0\n}\n'
    assert find(text, str(tmp_path / "all.route")).diagnostics == ()
