"""The catalogue of codes: whole, and true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from routespace.diagnostics.catalogue import CATALOGUE, Entry, explain
from routespace.graph import draft, expand, ops, places, shapes
from routespace.language import imports
from routespace.space import definitions, numbers, scope
from tests.language.found import codes_of

PACKAGE = Path(__file__).parents[2] / "routespace"
OTHERWISE = {
    *("RS107", "RS150", "RS152", "RS153", "RS154", "RS157", "RS210", "RS211", "RS709", "RS712", "RS713", "RS714"),
    "RS715",
}
"""Codes that a text alone cannot provoke, or only one too long to show."""
TEXTS = [one for one in CATALOGUE.values() if one.code not in OTHERWISE and one.code < "RS95"]


def codes_in(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*.py") if "codes" not in path.parts)
    return {code for path in files for code in re.findall(r"\bRS\d{3}\b", path.read_text("utf-8"))}


def test_codes_of_the_package_are_those_of_the_catalogue() -> None:
    assert codes_in(PACKAGE) == set(CATALOGUE)


@pytest.mark.parametrize("entry", TEXTS, ids=lambda entry: entry.code)
def test_example_provokes_its_code(entry: Entry) -> None:
    assert entry.code in codes_of(entry.example)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.code)
def test_pages_are_written_in_one_manner(entry: Entry) -> None:
    assert entry.title and entry.title[-1] not in ".!" and entry.title == entry.title.strip()
    assert entry.explanation.endswith((".", ".)", "`.", "`"))
    assert all(len(line) <= 120 for line in f"{entry.explanation}\n{entry.title}".splitlines())
    assert explain(entry.code.lower()).startswith(f"{entry.code}: {entry.title}\n\n")


LIMITS = {
    "RS157": (imports.MOST_OPEN, imports.MOST_FILES),
    "RS801": (scope.MOST_INDICES, places.MOST_NODES, draft.MOST_READ, expand.MOST_MEMBERS, places.MOST_TRIED),
    "RS802": (definitions.MOST_OPEN,),
    "RS803": (numbers.MOST_STEPS,),
    "RS805": (ops.DEEPEST,),
    "RS806": (numbers.MOST_WORK,),
    "RS807": (ops.MOST_PARTS,),
    "RS808": (shapes.MOST_CHANNELS, shapes.LARGEST_SIDE, shapes.LARGEST_STRIDE),
}


@pytest.mark.parametrize("code", LIMITS)
def test_pages_state_the_limits(code: str) -> None:
    stated = {int(number) for number in re.findall(r"\b\d+\b", CATALOGUE[code].explanation)}
    assert stated >= set(LIMITS[code])


def test_unknown_code() -> None:
    with pytest.raises(KeyError, match="RS201"):
        explain("RS2011")
