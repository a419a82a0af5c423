"""Parameters as Python sees them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

import routespace as rs
from routespace.graph.text import dump
from routespace.space.expr import Binary, Number
from routespace.space.model import Binding, ParameterValue

BODY = ") {\n  input image: 3\n  output y = image | conv(1, w) | relu\n}\n"


@pytest.mark.parametrize(
    ("head", "values"),
    [
        ("a = 2, w = max(a, 3)", {"a": 2, "w": 3}),
        ("a = 2, w = a if a > 1 else 2", {"a": 2, "w": 2}),
        ("a = 2, w = -a + 2 * a^2", {"a": 2, "w": 6}),
        ("w = 2^-1 * 4, third = 1/3, half = 1/2", {"w": 2, "third": Fraction(1, 3), "half": 0.5}),
        ("w = 3, tenth = 0.1, sum_ = 0.1 + 0.2, small = 1e-30", {"w": 3, "tenth": 0.1, "sum_": 0.3, "small": 1e-30}),
        ("l = [1, 1/3, 2 * 2], w = l[2], m = l", {"l": [1, Fraction(1, 3), 4], "w": 4, "m": [1, Fraction(1, 3), 4]}),
        ("w = sum(i for i in 1..3), yes_ = not no", {"w": 6, "yes_": True}),
        ("big = 3 < 4, w = 4 if big else 8", {"big": True, "w": 4}),
        ("f = relu, g = f, w = 3", {"f": "relu", "g": "relu", "w": 3}),
        (
            "f = [identity, conv(3, bias)], g = conv(1), w = 3",
            {"f": ["identity", "conv(3, bias)"], "g": "conv(1)", "w": 3},
        ),
    ],
)
def test_values_are_those_that_the_space_is_built_with(head: str, values: dict[str, ParameterValue]) -> None:
    space = rs.loads(f"space s({head}{BODY}")
    assert space.values == values and space.given == {}
    assert [type(one) for one in space.values.values()] == [type(one) for one in values.values()]
    assert f"conv(1, {values['w']})" in dump(rs.build(space))


def test_a_chain_of_doublings_is_short() -> None:
    links = ", ".join(f"p{at} = p{at - 1} + p{at - 1}" for at in range(1, 50))
    space = rs.loads(f"space s(w = 3, p0 = 1, {links}{BODY}")
    assert space.parameter("p49") == 2**49


@pytest.mark.parametrize(
    ("default", "code"),
    [
        ("1 / 0", "RS307"),
        ("9 ^ 9 ^ 9", "RS307"),
        ("10^15 * 10", "RS804"),
        ("a", "RS306"),
        ("sum(i for i in 0..10^7)", "RS803"),
        ("min([])", "RS307"),
    ],
)
def test_a_default_without_a_value_is_found_though_nothing_reads_it(default: str, code: str) -> None:
    with pytest.raises(rs.RouteError) as error:
        rs.loads(f"space s(w = 3, a = {default}{BODY}")
    assert [one.code for one in error.value.diagnostics if one.severity == "error"] == [code]


def test_what_is_given_is_exact_and_is_told_from_what_follows() -> None:
    text = f"space s(third = 1/2, w = 48 * third, l = [1], f = relu, third_ = third{BODY}"
    space = rs.loads(text, third=Fraction(1, 3), l=[Fraction(-1, 7), 2, Fraction(4, 2)])
    assert space.given == {"third": Fraction(1, 3), "l": [Fraction(-1, 7), 2, 2]}
    assert space.parameter("w") == 16 and space.parameter("third_") == Fraction(1, 3)
    assert rs.loads(text, **space.given) == space
    assert rs.Space.from_json(space.to_json()) == space


def test_a_space_made_in_python_has_values_too() -> None:
    space = rs.loads(f"space s(w = 3{BODY}")
    computed = replace(space, parameters=(Binding("w", Binary("*", Number(2), Number(4))),))
    assert computed.values == computed.given == {"w": 8}
    with pytest.raises(rs.RouteError, match="RS307"):
        replace(space, parameters=(Binding("w", Binary("/", Number(2), Number(0))),)).parameter("w")
    with pytest.raises(KeyError):
        space.parameter("v")
