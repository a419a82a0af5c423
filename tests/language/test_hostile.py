"""Attacks by construction: a small sample of what `python -m tests.language.hostile` does at length."""

from __future__ import annotations

from random import Random

import pytest

from tests.language.attack_kit import ATTACKS
from tests.language.attacks import hostile
from tests.language.hostile import growth, run
from tests.language.measure import measured, run_text

SMALL = "{ input x: 3; output y = x }"


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack(name: str) -> None:
    """Small, larger, and at the very end of what a text may have."""
    rng = Random(name)
    texts = [ATTACKS[name](rng, size) for size in (40, 300, 300, 3000, 3000, 40_000)]
    problems = [one for at, text in enumerate(texts) if (one := measured(at, text, run_text)).problem]
    assert problems == []


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_hostile_texts(first: int) -> None:
    problems = [one for index in range(first, first + 40) if (one := run(0, index)).problem]
    assert problems == []


def test_hostile_texts_are_many_and_reproducible() -> None:
    texts = [hostile(3, index) for index in range(60)]
    assert texts == [hostile(3, index) for index in range(60)]
    assert len(set(texts)) == 60


@pytest.mark.parametrize(
    "text",
    [
        "space s(a0 = 2, "
        + ", ".join(f"a{at + 1} = [a{at}, a{at}]" for at in range(60))
        + ") { input x: 3; output y = x }",
        "space s(a0 = [1], "
        + ", ".join(f"a{at + 1} = a{at} / 3" for at in range(2000))
        + ") { input x: 3; output y = x }",
        "".join(f"net n{at} in t{at} {{}}\n" for at in range(20_000)),
        "".join(f"space s{at} {{}}\n" for at in range(20_000)),
        f"space s {SMALL}\n" + "".join(f"net n{at} in s {{ row k[{at}] }}\n" for at in range(9000)),
    ],
)
def test_what_attacks_once_found(text: str) -> None:
    assert measured(0, text, run_text).problem == ""


def test_a_process_that_grows_would_be_seen() -> None:
    assert growth({1: [50.0, 60.0, 60.0, 61.0, *(60.0 + at for at in range(100))]}) > 40
    assert growth({1: [50.0, 60.0, 60.0, 61.0, *[60.0, 90.0] * 50], 2: [10.0]}) == 0
