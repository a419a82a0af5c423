"""Findings as text and as JSON, and the catalogue."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routespace.diagnostics import Diagnostic, Findings, Label, RouteError, Source, Span, rename
from routespace.diagnostics.catalogue import CATALOGUE, explain
from routespace.diagnostics.diagnostic import MOST_KEPT
from routespace.diagnostics.render import render, to_json
from routespace.language import table
from routespace.language.load import loads

TEXT = "space s {\n\tlet a = 2 width\n  let 宽度 = 3\n}\n"
SOURCES = {"s.route": Source("s.route", TEXT)}


def at(part: str, text: str = "", path: str = "s.route") -> Label:
    start = TEXT.index(part)
    return Label(Span(path, start, start + len(part)), text)


def lines(*labels: Label, **more: object) -> list[str]:
    report = render([Diagnostic("RS000", "message", labels, **more)], SOURCES)
    assert report.endswith("\n\n1 error")
    return report.splitlines()[:-2]


def test_nothing_to_report() -> None:
    assert render([], {}) == ""
    assert json.loads(to_json([], {})) == []


def test_two_labels_on_one_line() -> None:
    assert lines(at("width", "here"), at("2", "there"), notes=("why\nmore",), help="do it") == [
        "error[RS000]: message",
        " --> s.route:2:12",
        "  |",
        "2 |     let a = 2 width",
        "  |             - ^^^^^ here",
        "  |             there",
        "  = note: why",
        "          more",
        "  = help: do it",
    ]


def test_wide_characters() -> None:
    assert lines(at("宽度", "two wide"))[-2:] == ["3 |   let 宽度 = 3", "  |       ^^^^ two wide"]


def test_lines_far_apart_and_several_lines() -> None:
    assert lines(at("}", "end"), at("space", "begin")) == [
        "error[RS000]: message",
        " --> s.route:4:1",
        "  |",
        "1 | space s {",
        "  | ----- begin",
        "...",
        "4 | }",
        "  | ^ end",
    ]
    rest = TEXT.strip().removeprefix("space ")
    assert lines(at(rest[2:], "all"))[3:] == ["1 | space s {", "  |         ^", "...", "4 | }", "  | ^ all"]


def test_of_a_block_the_head_is_marked() -> None:
    assert lines(at(TEXT.strip(), "all"))[3:] == ["1 | space s {", "  | ^^^^^^^ all"]


def test_line_between_two_marked_lines_is_shown() -> None:
    assert lines(at("space", "a"), at("宽度", "b"))[5] == "2 |     let a = 2 width"


def test_other_files_and_labels_without_a_place() -> None:
    sources = {**SOURCES, "b.route": Source("b.route", "op a = b")}
    labels = (
        at("let a", "here"),
        Label(Span("b.route", 3, 4), "there"),
        Label(None, "nowhere"),
        Label(Span("c", 0, 1), "x"),
    )
    assert render([Diagnostic("RS000", "message", labels)], sources).splitlines() == [
        "error[RS000]: message",
        " --> s.route:2:2",
        "  |",
        "2 |     let a = 2 width",
        "  |     ^^^^^ here",
        " ::: b.route:1:4",
        "  |",
        "1 | op a = b",
        "  |    - there",
        "  = note: nowhere",
        "  = note: c: x",
        "",
        "1 error",
    ]


@pytest.mark.parametrize(("start", "end"), [(len(TEXT), len(TEXT)), (len(TEXT), len(TEXT) + 5), (9, 10), (5, 5)])
def test_spans_at_ends(start: int, end: int) -> None:
    assert lines(Label(Span("s.route", start, end), "end"))[-1].endswith("^ end")


@pytest.mark.parametrize("char", ["x", "宽", "\t", "e\u0301"])
def test_long_lines_are_cut_around_the_mark(char: str) -> None:
    text = char * 500 + "MARK" + char * 100_000
    label = Label(Span("l", len(char) * 500, len(char) * 500 + 4), "here")
    found = render([Diagnostic("RS000", "message", (label,))], {"l": Source("l", text)}).splitlines()
    assert "MARK" in found[3] and found[3].endswith("…") and "…" in found[3][:6]
    assert len(found[3]) <= 250 and found[4].endswith("^^^^ here")
    if char == "x":
        assert len(found[3]) <= 121
        assert found[3].index("MARK") == found[4].index("^")


def test_control_characters_do_not_reach_the_terminal() -> None:
    report = render([Diagnostic("RS000", "m", (Label(Span("l", 0, 1)),))], {"l": Source("l", "\x1b[31m\x07\r\n")})
    assert "\x1b" not in report and "␛[31m␇" in report


def test_colour_changes_nothing_else() -> None:
    found = [Diagnostic("RS000", "message", (at("width", "here"), at("2", "there")), ("note",), "help", "warning")]
    coloured = render(found, SOURCES, color=True)
    assert "\x1b[1;33mwarning" in coloured
    plain = "".join(part.split("m", 1)[-1] if at else part for at, part in enumerate(coloured.split("\x1b[")))
    assert [line.rstrip() for line in plain.splitlines()] == render(found, SOURCES).splitlines()


def test_count() -> None:
    found = [Diagnostic("RS000", "a"), Diagnostic("RS000", "b"), Diagnostic("RS900", "c", severity="warning")]
    assert render(found, {}).splitlines()[-1] == "2 errors, 1 warning"


def test_json() -> None:
    (found,) = json.loads(
        to_json([Diagnostic("RS000", "m", (at("width", "here"), Label(None, "x")), ("n",), "h")], SOURCES)
    )
    assert found == {
        "code": "RS000",
        "severity": "error",
        "message": "m",
        "labels": [
            {"path": "s.route", "line": 2, "column": 12, "end_line": 2, "end_column": 17, "text": "here"},
            {"path": None, "line": None, "column": None, "end_line": None, "end_column": None, "text": "x"},
        ],
        "notes": ["n"],
        "help": "h",
        "fixes": [],
    }


def test_fixes_in_json() -> None:
    findings = Findings(dict(SOURCES))
    findings.add("RS000", "m", at("let a = 2 width").span, help=rename("width", ["widths"]))
    (found,) = json.loads(to_json(findings.diagnostics, SOURCES))
    edit = {"path": "s.route", "line": 2, "column": 12, "end_line": 2, "end_column": 17, "replacement": "widths"}
    assert found["fixes"] == [{"text": "did you mean `widths`?", "edits": [edit]}]


def test_errors_come_before_warnings() -> None:
    findings = Findings(dict(SOURCES))
    findings.add("RS901", "a warning", at("space").span, severity="warning")
    findings.add("RS000", "an error", at("宽度").span)
    findings.add("RS000", "another error", at("let").span)
    assert [one.message for one in findings.diagnostics] == ["another error", "an error", "a warning"]
    assert [one["message"] for one in json.loads(to_json(findings.diagnostics, SOURCES))][-1] == "a warning"
    assert findings.diagnostics[0].span == at("let").span
    few = Findings(dict(SOURCES), limit=2)
    few.extend(findings.diagnostics)
    assert [one.severity for one in few.diagnostics] == ["error", "error"]
    assert few.diagnostics[-1].notes == ("and 1 more findings, which are not shown",)


def test_error_shows_its_report() -> None:
    findings = Findings(dict(SOURCES))
    findings.add("RS000", "message", at("width").span, "here")
    with pytest.raises(RouteError, match=r"s\.route:2:12"):
        findings.raise_errors()


def test_catalogue() -> None:
    for code, entry in CATALOGUE.items():
        assert entry.code == code
        assert entry.title and entry.explanation
        assert explain(code.lower()).startswith(f"{code}: {entry.title}")
        assert all(len(line) <= 120 for line in entry.explanation.splitlines())
    with pytest.raises(KeyError, match="did you mean `RS1"):
        explain("RS10")


WRONG = "space tiny {\n  # é\n\n  input image: 3\n  output y = imag |\n    conv(3, \n 2) | rel\n}\nop a = (relu\n"


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_reports_are_the_same_however_lines_end(end: str) -> None:
    def report(text: str) -> tuple[str, list[tuple[int, int]]]:
        with pytest.raises(RouteError) as error:
            loads(text)
        found = json.loads(to_json(error.value.diagnostics, error.value.sources))
        return str(error.value), [(one["line"], one["column"]) for each in found for one in each["labels"]]

    assert report(WRONG.replace("\n", end)) == report(WRONG)


@given(st.text(alphabet="a \r\n\u2028\x0b\x0c\x85"))
def test_a_line_of_a_report_is_a_line_of_the_text(text: str) -> None:
    """What the lexer takes for the end of a line, and nothing else, begins another line."""
    source = Source("t", text)
    ends, at = [], 0
    for part in table.load().lexer._split(text):
        at += len(part)
        if part in ("\r", "\n", "\r\n"):
            ends.append(at)
    assert source.line_starts == [0, *ends]
    assert [source.line(number + 1) for number in range(len(ends) + 1)] == re.split("\r\n|\r|\n", text)


def test_what_follows_very_many_findings_is_only_counted() -> None:
    findings = Findings()
    for number in range(MOST_KEPT + 10):
        findings.add("RS901", f"warning {number}", Span("a.route", number, number + 1), severity="warning")
    assert not findings.has_errors and findings.count == MOST_KEPT + 10
    findings.add("RS101", "an error behind them", Span("a.route", 0, 1))
    assert findings.has_errors and findings.diagnostics[0].code == "RS101"
    findings.add("RS101", "one more", Span("a.route", 1, 2))
    assert findings.count == MOST_KEPT + 12
    assert findings.diagnostics[-1].notes == (f"and {MOST_KEPT - 38} more findings, which are not shown",)
