"""The tables of the reference say what the registries and the code say."""

from __future__ import annotations

import pytest

from routespace.diagnostics import Findings
from routespace.language.parser import MAX_LENGTH, parse
from routespace.language.writer import WIDTH
from routespace.space.names.legal import KEYWORDS
from routespace.space.registry import ACTIVATIONS, MERGES, OPS
from tests.docs.pages import blocks_of
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


def test_the_words_of_the_language() -> None:
    (block,) = [one for one in blocks_of(PAGE) if one.text.startswith("space net ")]
    arguments, others = block.text.splitlines()
    assert {*arguments.split(), *others.split()} == KEYWORDS
    for word in KEYWORDS:
        findings = Findings()
        parse(f"op a = resize({word} = 1)", "<text>", findings)
        assert findings.has_errors == (word in others.split())


def test_the_width_of_lines() -> None:
    assert f"lines of at most {WIDTH} characters" in " ".join(PAGE.read_text("utf-8").split())
