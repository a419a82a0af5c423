"""Corners of the language: huge, deep, empty, endless. Each ends in a space or in a short report, soon."""

from __future__ import annotations

from time import process_time

import pytest

from routespace.diagnostics import Findings, RouteError
from routespace.graph.build import build
from routespace.language.load import loads
from tests.language.fuzz import run_json, run_text
from tests.language.tiny import TINY

_SPACE = "space s{params} {{\n  input image: 3\n{body}\n  output y = image | {op}\n}}\n"


def text_of(op: str = "relu", body: str = "", params: str = "") -> str:
    return _SPACE.format(params=params, body=body, op=op)


def chain(step: str, count: int, last: str, kind: str) -> str:
    lines = [f"{kind} c{n} = {step.format(f'c{n + 1}')}" for n in range(count)]
    return "\n".join([*lines, f"{kind} c{count} = {last}"])


NODE = "node at a { x = image }"
AXES = "\n".join(f"axis a{n} = 0..19999" for n in range(50))
STREAMS = "\n".join(f"x{n} = image" for n in range(500))
CORNERS = {
    "empty": "",
    "blank": " \t\r\n\f",
    "comments": "# a\n# b",
    "nul": "\0",
    "bom": "\ufeff" + text_of(),
    "crlf": text_of().replace("\n", "\r\n"),
    "unicode": text_of("größe"),
    "no nodes": text_of(),
    "no statements": "space s { }",
    "long name": text_of("x" * 100_000),
    "long name declared": text_of("a" * 50_000, f"op {'a' * 50_000} = relu"),
    "deep brackets": text_of("(" * 5000 + "relu" + ")" * 5000),
    "deep nots": text_of("relu", "let a = " + "not " * 5000 + "yes"),
    "deep but legal": text_of("conv(1, 8 if " + "not " * 95 + "yes else 4)"),
    "long pipe": text_of(" | ".join(["relu"] * 5000)),
    "long sum": text_of("conv(1, " + " + ".join(["1"] * 5000) + ")"),
    "huge numbers": text_of("conv(1, " + "9" * 5000 + ")"),
    "huge exponents": text_of("conv(1, 2^2^2^2^2^2^2)"),
    "tiny numbers": text_of("conv(1, c0)", chain("{0}^64", 30, "1e-300", "let")),
    "growing fractions": text_of("conv(1, sum(1 / n for n in 1..4000))"),
    "zero stride": text_of("conv(3, stride = 0)"),
    "zero kernel": text_of("maxpool(0)"),
    "huge kernel": text_of("conv(2^20, pad = 2^20)"),
    "huge channels": text_of("conv(1, 2^20) | conv(1, 4 * channels) | conv(1, 4 * channels)"),
    "resize to nothing": text_of("resize(by = 1/1000000) | resize(by = 1/1000000)"),
    "resize without end": text_of(" | ".join(["resize(by = 64)"] * 500)),
    "strides without end": text_of(" | ".join(["conv(1, stride = 2^20, pad = 2^20)"] * 500)),
    "let without end": text_of("conv(1, w[0])", "let w[n] = w[n + 1]"),
    "let through many": text_of("conv(1, w[15000])", "let w[n] = 8 if n == 0 else w[n - 1]"),
    "let of all before": text_of("conv(1, w[60])", "let w[n] = 1 + sum(w[m] / 2^60 for m in 0..n - 1)"),
    "lets in a row": text_of("conv(1, c0)", chain("{} + 1", 3000, "1", "let")),
    "parameters in a row": text_of("conv(1, c0)", "", f"({chain('{} + 1', 3000, '1', '')})".replace("\n", ", ")),
    "parameter circle": text_of("a", "", "(a = b, b = a)"),
    "parameter list circle": text_of("sum(a)", "", "(a = [b], b = [a])"),
    "ops in a row": text_of("c0", chain("{} | relu", 3000, "relu", "op")),
    "ops that double": text_of("c0", chain("{0} | {0}", 200, "relu", "op")),
    "ops that branch": text_of("c0", chain("{0} + {0}", 200, "relu", "op")),
    "op through parameters": text_of("f(f)", "op f(g) = g(g)"),
    "fors in fors": text_of("conv(1, " + "sum(" * 20 + "1" + " for i in 0..4000)" * 20 + ")"),
    "axes in axes": text_of("relu", f"{AXES}\nnode at {', '.join(f'a{n}' for n in range(50))} {{ x = image }}"),
    "family of families": text_of("relu", f"{AXES}\nnode at a0, a1 {{ x = image }}\noutput z = sum(x[a0, a1])"),
    "negative axis": text_of("relu", "axis a = 0..-99999999999\n" + NODE),
    "long axis": text_of("relu", "axis a = 0..10^15\n" + NODE),
    "long range": text_of("conv(1, sum(1 for i in 0..10^15))"),
    "axis of many names": text_of("relu", f"axis a = {', '.join(f'n{n}' for n in range(20_000))}\n{NODE}"),
    "nodes and streams": text_of("relu", f"axis a = 0..9998\nnode at a {{\n{STREAMS}\n}}"),
    "thousands of unknowns": text_of("relu", "\n".join(f"op f{n} = g{n}" for n in range(5000))),
    "thousands of doubles": text_of("relu", "op f = relu\n" * 5000),
    "thousands of syntax errors": text_of("relu", "let = = 3\n" * 5000),
    "thousands of unused": text_of("relu", "\n".join(f"op f{n} = relu" for n in range(5000))),
    "start that overflows": text_of(
        "relu",
        "gate g per image { body mean | conv(1, routes, bias); activation geretanh(4000); start value(0.5) }\n"
        "output z = g(image) * image",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CORNERS)
def test_corners(name: str) -> None:
    start = process_time()
    assert run_text(CORNERS[name])
    assert process_time() - start < 10


@pytest.mark.parametrize("count", [400, 5000])
def test_reports_are_bounded(count: int) -> None:
    findings = Findings()
    with pytest.raises(RouteError) as error:
        loads(text_of("relu", "\n".join(f"op f{n} = g{n}" for n in range(count))), findings=findings)
    assert len(error.value.diagnostics) == findings.limit
    assert f"and {count - findings.limit} more findings" in str(error.value)
    assert len(str(error.value)) < 20_000


@pytest.mark.parametrize(
    "given",
    [
        {"depth": float("nan")},
        {"depth": float("inf")},
        {"depth": 10**5000},
        {"depth": "a b"},
        {"depth": ""},
        {"depth": None},
        {"depth": [[[[1]]]]},
        {"depth": {"a": 1}},
        {"depth": object()},
        {"depth": b"3"},
        {"width": -1},
        {"width": 0},
        {"width": 1e300},
        {"f": "f"},
        {"f": ["f", ["f"]]},
        {"f": "sum"},
        {"many": []},
        {"many": "relu"},
        {"many": [0, 0, 0]},
        {"live": "depth"},
        {"budget": 3},
        {"cost": [1]},
        {"f f": 3},
    ],
)
def test_parameters_from_outside(given: dict[str, object]) -> None:
    with pytest.raises(RouteError):
        build(loads(TINY, **given))  # type: ignore[arg-type]


def test_a_list_in_itself() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(RouteError):
        loads(TINY, many=endless)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "3", '"a"', "{}", "[" * 10**5, '{"declaration": 3}', "\0", "NaN"]
)
def test_json_that_is_none(text: str) -> None:
    assert run_json(text) == "RS150"
