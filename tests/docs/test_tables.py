"""The tables of the reference say what the registries and the code say."""

from __future__ import annotations

import pytest

from routespace.language.parser import MAX_LENGTH
from routespace.space.registry import ACTIVATIONS, MERGES, OPS
from tests.docs.tables import ACTIVATION_TO_WORDS, MERGE_TO_WORDS, OP_TO_WORDS, PAGE, PLACE, TABLES, with_tables


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text("utf-8")
    assert with_tables(text) == text, "run `python -m tests.docs.tables`"


def test_every_table_stands_in_the_page() -> None:
    assert {match["name"] for match in PLACE.finditer(PAGE.read_text("utf-8"))} == set(TABLES)


@pytest.mark.parametrize(
    ("registry", "words"), [(OPS, OP_TO_WORDS), (ACTIVATIONS, ACTIVATION_TO_WORDS), (MERGES, MERGE_TO_WORDS)]
)
def test_every_standard_entry_is_described(registry: object, words: dict[str, str]) -> None:
    standard = [name for name in registry if isinstance(registry[name].factory, str)]  # type: ignore[attr-defined, index]
    assert standard == list(words)


def test_a_changed_limit_shows() -> None:
    text = "<!-- table: limits -->\n<!-- /table -->\n"
    assert f"{MAX_LENGTH:,}".replace(",", " ") in with_tables(text)
