"""Texts with syntax errors, each with the report it gets. `pytest --update` writes the reports anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from routespace.diagnostics import Findings
from routespace.diagnostics.codes.rs1 import ENTRIES
from routespace.diagnostics.render import render
from routespace.language.parser import MAX_LENGTH, parse

CASES = sorted((Path(__file__).parent.parent / "cases" / "syntax").glob("*.route"))


def report(path: Path) -> str:
    findings = Findings()
    parse(path.read_bytes().decode(), path.name, findings)
    return render(findings.diagnostics, findings.sources) + "\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_report(path: Path, update: bool) -> None:
    expected = path.with_suffix(".txt")
    if update:
        expected.write_text(report(path), encoding="utf-8")
    assert report(path) == expected.read_text(encoding="utf-8")


def test_every_code_has_a_case() -> None:
    found = set()
    for path in CASES:
        findings = Findings()
        parse(path.read_bytes().decode(), path.name, findings)
        found |= {one.code for one in findings.diagnostics}
    findings = Findings()
    parse("#" * (MAX_LENGTH + 1), findings=findings)
    found |= {one.code for one in findings.diagnostics}
    assert found == {entry.code for entry in ENTRIES if entry.code < "RS150"}


@pytest.mark.parametrize("entry", [one for one in ENTRIES if one.code < "RS150"], ids=lambda entry: entry.code)
def test_example_of_the_catalogue_provokes_its_code(entry) -> None:
    if entry.code == "RS107":
        pytest.skip("its text would be too long to show")
    findings = Findings()
    parse(entry.example, findings=findings)
    assert entry.code in {one.code for one in findings.diagnostics}
