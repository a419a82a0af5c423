"""Space ⇄ JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import routespace as rs
from routespace.diagnostics import RouteError
from routespace.language.load import loads
from routespace.space import expr
from routespace.space.json import json_schema
from routespace.space.model import Space, without_spans
from routespace.testing.dice import SeededDice
from routespace.testing.spaces import write_space
from tests.language.tiny import TINY

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.route"))


def assert_same(space: Space) -> None:
    """`space` is read back from its JSON, and makes the same graph."""
    text = space.to_json()
    again = Space.from_json(text)
    assert again == space
    assert again.to_json() == text
    first, second = rs.build(space), rs.build(again)
    assert (first.name, first.values, first.nodes, first.policies) == (
        second.name,
        second.values,
        second.nodes,
        second.policies,
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    assert_same(rs.load(path))


@pytest.mark.parametrize("seed", range(30))
def test_random_spaces(seed: int) -> None:
    assert_same(loads(write_space(SeededDice(seed))))


def test_parameters_and_policies_from_outside() -> None:
    space = loads(TINY, depth=1, many=[3, 2, 1], f="tanh", live="always")
    assert_same(space)
    assert Space.from_json(space.to_json()).parameter("many") == [3, 2, 1]
    assert Space.from_json(space.to_json()).parameter("f") == "tanh"


NESTED = {
    "not": "not " * 95 + "yes",
    "minus": "-" * 90 + "1",
    "power": "2^" * 60 + "1",
    "brackets": "(" * 45 + "1" + " + 1) * 2" * 45,
    "calls": "sum(" * 60 + "1" + ")" * 60,
    "lists": "[" * 60 + "1" + "]" * 60,
    "conditions": "1 if yes else " * 90 + "2",
    "index": "w[" * 60 + "1" + "]" * 60,
}


@pytest.mark.parametrize("kind", NESTED)
def test_as_deep_as_a_text_can_be(kind: str) -> None:
    text = f"space s {{\n  input image: 3\n  let w[n] = n\n  let a = {NESTED[kind]}\n  output y = image | relu\n}}\n"
    space = loads(text)
    assert Space.from_json(space.to_json()) == space


def document() -> Any:
    return json.loads(loads(TINY).to_json())


def problem_of(document: Any) -> str:
    with pytest.raises(RouteError) as error:
        Space.from_json(json.dumps(document))
    assert {one.code for one in error.value.diagnostics} == {"RS150"}
    return error.value.diagnostics[0].message


def test_a_wrong_field_is_named() -> None:
    changed = document()
    changed["declaration"]["body"][0]["chanels"] = 3
    assert problem_of(changed) == "not the JSON of a space: there is no such field at `declaration.body.0.chanels`"
    changed = document()
    changed["declaration"]["body"][0]["channels"]["value"] = "3"
    assert problem_of(changed).endswith("at `declaration.body.0.channels.value`")
    changed = document()
    changed["declaration"]["body"][0]["kind"] = "inputs"
    assert "'inputs'" in problem_of(changed)
    changed = document()
    del changed["declaration"]["name"]
    assert problem_of(changed).endswith("Field required at `declaration.name`")


@pytest.mark.parametrize("name", ["a b", "", "3", "node", "größe", "a.b", "x" * 10 + "\n"])
def test_what_no_text_could_name(name: str) -> None:
    changed = document()
    changed["declaration"]["name"] = name
    assert "is not a name" in problem_of(changed)


def test_what_no_text_could_say() -> None:
    changed = document()
    changed["parameters"].pop()
    assert "its parameters are" in problem_of(changed)
    changed = document()
    deep: Any = {"kind": "name", "id": "yes"}
    for _ in range(150):
        deep = {"kind": "unary", "op": "not", "operand": deep}
    changed["declaration"]["body"][3]["value"] = deep
    assert "more than 100 operations deep" in problem_of(changed)
    changed = document()
    changed["declaration"]["body"][0]["channels"]["value"] = 10**1200
    assert "digits" in problem_of(changed)
    changed = document()
    changed["declaration"]["body"][0]["channels"]["value"] = float("nan")
    assert "`nan` is not a number" in problem_of(changed)
    changed = document()
    changed["declaration"]["body"][1]["values"] = []
    assert "at least 1 values" in problem_of(changed)


def test_names_are_looked_up() -> None:
    changed = document()
    changed["declaration"]["body"][0]["name"] = "picture"
    with pytest.raises(RouteError) as error:
        Space.from_json(json.dumps(changed))
    (one,) = error.value.diagnostics
    assert (one.code, one.message) == ("RS201", "unknown stream `image`")


def test_a_space_made_in_python_is_checked_before_it_is_built() -> None:
    image = expr.InputDecl("image", (), expr.Number(3))
    for value, code in ((expr.Name("imag"), "RS201"), (expr.Name("a b"), "RS150"), (expr.Number(3), "RS314")):
        space = Space(expr.SpaceDecl("s", (), (image, expr.OutputDecl("y", (), value))))
        with pytest.raises(RouteError) as error:
            rs.build(space)
        assert {one.code for one in error.value.diagnostics} == {code}


def test_schema_knows_every_kind() -> None:
    schema = json_schema()
    fields = [one.get("properties", {}) for one in schema["$defs"].values()]
    kinds = {one["kind"]["const"] for one in fields if "kind" in one}
    syntax = [one for one in vars(expr).values() if "kind" in getattr(one, "__match_args__", ())]
    assert kinds == {one.__dataclass_fields__["kind"].default for one in syntax} - {"import"}
    assert {"declaration", "parameters", "library", "nets"} <= set(schema["properties"])
    assert schema["required"] == ["declaration"]


def test_places_are_not_kept() -> None:
    space = loads(TINY)
    assert "span" not in space.to_json() and "sources" not in space.to_json()
    assert without_spans(space) == space
