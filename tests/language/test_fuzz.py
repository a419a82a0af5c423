"""Totality: whatever is read ends in a space or in a `RouteError`.

`python -m tests.language.fuzz` does the same at length.
"""

from __future__ import annotations

import pytest

from tests.language.fuzz import run, run_text
from tests.language.mutate import corpus, mutant
from tests.language.mutate_json import documents, json_mutant
from tests.language.tiny import TINY


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_mutated_texts(first: int) -> None:
    problems = [one for index in range(first, first + 40) if (one := run(0, index)).problem]
    assert problems == []


@pytest.mark.parametrize("first", range(0, 80, 40))
def test_mutated_json(first: int) -> None:
    problems = [one for index in range(first, first + 40) if (one := run(0, index, is_json=True)).problem]
    assert problems == []


def test_mutants_are_many_and_reproducible() -> None:
    texts = [mutant(5, index) for index in range(200)]
    assert texts == [mutant(5, index) for index in range(200)]
    assert len(set(texts)) > 190
    assert not {*texts} <= {*corpus()}
    assert json_mutant(5, 1) == json_mutant(5, 1) not in documents()


def test_mutants_reach_every_stage() -> None:
    """A fuzzer that never gets past the parser would find nothing there."""
    ends = {run_text(mutant(0, index)) for index in range(300)}
    assert "space" in ends
    assert {end[:3] for end in ends} >= {"RS1", "RS2", "RS3", "RS4", "RS5", "RS6", "RS8"}
    assert run_text(TINY) == "space"


def test_a_crash_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> str:
        raise KeyError("found nothing")

    monkeypatch.setattr("tests.language.fuzz.run_text", fail)
    assert "KeyError" in run(0, 0).problem
