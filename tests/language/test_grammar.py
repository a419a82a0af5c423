"""The grammar itself: no conflicts, every production has a builder, and only the parser knows Lark."""

from __future__ import annotations

import subprocess
import sys

import pytest
from lark import Lark
from lark.exceptions import GrammarError

from routespace.language import table
from routespace.language.build_tree import BUILDERS


@pytest.mark.parametrize("lexer", ["basic", "contextual"])
def test_grammar_has_no_conflicts(lexer: str) -> None:
    lark = Lark(table.grammar_text(), parser="lalr", lexer=lexer, start=table.START, strict=True)
    assert {rule.origin.name for rule in lark.rules} >= {table.START}


def test_strict_mode_sees_conflicts() -> None:
    ambiguous = table.grammar_text().replace("?sum: difference", "?sum: sum comparator sum | difference")
    with pytest.raises(GrammarError):
        Lark(ambiguous, parser="lalr", start=table.START, strict=True)


def test_every_production_has_a_builder_and_every_builder_a_production() -> None:
    lark = Lark(table.grammar_text(), parser="lalr", start=table.START, maybe_placeholders=False)
    used = set()
    for rule in lark.rules:
        if not (rule.options.expand1 and len(rule.expansion) == 1 and not rule.alias):
            used.add(rule.alias or rule.origin.name)
    assert used == set(BUILDERS)


@pytest.mark.parametrize("module", ["parser", "format"])
def test_reading_a_file_loads_no_heavy_library(module: str) -> None:
    code = (
        f"import sys, routespace.language.{module} as it\n"
        "it.parse('op a = relu')\n"
        "print(*sorted({'torch', 'pydantic', 'rich', 'typer', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
