"""Stages other than those of the cases."""

from __future__ import annotations

import pytest

import routespace as rs
from routespace.cli.outline import outline
from routespace.graph.text import dump
from routespace.language.parser import parse
from tests.cli.conftest import FILES, Run

TINY = (FILES / "tiny.route").read_text()


def test_the_space_stage_reads_back(run: Run) -> None:
    ended = run("show", "tiny.route", "--stage", "space", "--set", "depth=3")
    space = rs.Space.from_json(ended.out)
    assert space.parameter("depth") == 3
    assert dump(rs.build(space)) == run("show", "tiny.route", "--set", "depth=3").out.rstrip("\n")


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
def test_the_code_of_every_form_calls_the_values_by_name(form: str, run: Run) -> None:
    ended = run("show", "tiny.route", "--stage", "fx", "--form", form)
    assert ended.code == 0 and ended.out.startswith("def forward(self, images):")
    for name in ("layer0.s4.gate", "layer1.s8.up", "outputs.logits"):
        assert f"self.{name}(" in ended.out


def test_two_runs_say_the_same(run: Run) -> None:
    for stage in ("syntax", "space", "graph", "guard", "fx"):
        assert run("show", "tiny.route", "--stage", stage) == run("show", "tiny.route", "--stage", stage)


def test_the_syntax_shows_what_holds_together() -> None:
    text = "op a = b | c + -d * 2 ^ n if x >= 3 and not y else [1, e]\n"
    assert outline(parse(text)).splitlines() == [
        "(op a",
        "  (if",
        "    (pipe b (sum c (binary * (unary - d) (binary ^ 2 n))))",
        "    (binary and (binary >= x 3) (unary not y))",
        "    (items 1 e)))",
    ]


def test_every_part_of_the_syntax_has_an_outline() -> None:
    text = """from "a.route" import b, c
space s {
  input image: 3
  let w[layer] = sum(w[l] for l in 0..layer) if layer > 0 else 1
  share across(layer) except norm
  node at layer where layer > 1 {
    y = sum by g(x) { a: x where layer > 1; b: x } closed a = x below 1e-4
  }
  live always in training
}
net n in s {
  walk x[0]: a^3, b
  row a[0..2], b[1]
}
"""
    shown = outline(parse(text))
    for part in ("(import a.route b c)", "(each ", "(share ", "(branch a x (binary > layer 1))", "(rule a x)", "0.0001",
                 "(clause live always training)", "(walk (index x 0) (step a 3) (step b))", "(range 0 2)"):  # fmt: skip
        assert part in shown
