"""Formatting files, and writing out their defaults."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import routespace as rs
from routespace.cli.format import format_source
from routespace.diagnostics.source import LINE_END
from routespace.graph.ir import Apply, Gate, Leaf, Op, Route, RouteGraph, Value
from routespace.graph.text import dump, leaf_args
from routespace.testing.cases import random_case
from tests.cli.conftest import EXAMPLES, FILES, Run

TEXTS = {path.name: path.read_text() for path in (*EXAMPLES.glob("*.route"), FILES / "tiny.route")}


def test_files_are_changed_in_place(run: Run, files: Path) -> None:
    before = (files / "tiny.route").read_text()
    there = {path.name for path in files.iterdir()}
    os.chmod(files / "loose.route", 0o640)
    (files / "link.route").symlink_to("loose.route")
    ended = run("format", "tiny.route", "link.route")
    assert ended.code == 0 and ended.out == "link.route rewritten\n"
    assert (files / "link.route").is_symlink() and (files / "loose.route").stat().st_mode & 0o777 == 0o640
    assert "op block(k = 3) = conv(k) | batchnorm  # a block\n" in (files / "loose.route").read_text()
    assert (files / "tiny.route").read_text() == before
    assert run("format", "--check", "tiny.route", "link.route").code == 0
    assert {path.name for path in files.iterdir()} == there | {"link.route"}


def test_a_file_that_cannot_be_read_stays_and_the_others_go_on(run: Run, files: Path) -> None:
    before = (files / "broken.route").read_text()
    ended = run("format", "broken.route", "nowhere.route", "loose.route")
    assert ended.code == 1 and ended.out == "loose.route rewritten\n" and ended.err.count("error[RS1") == 2
    assert (files / "broken.route").read_text() == before


def test_standard_input_is_printed(run: Run) -> None:
    assert run("format", "-", stdin="op a=relu# x\n").out == "op a = relu  # x\n"
    assert run("format", "-", "--check", stdin="op a=relu\n").code == 1


ENDS = ("\n", "\r\n", "\r")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_ends_of_lines_are_kept_and_do_not_count(run: Run, files: Path, end: str, mark: str) -> None:
    right, loose = files / "right.route", files / "loose.route"
    for path in (right, loose):
        text = mark + path.with_name("tiny.route" if path == right else "loose.route").read_text().replace("\n", end)
        path.write_bytes(text.encode())
    kept = right.read_bytes()
    assert run("format", "--check", "right.route").code == 0
    assert run("format", "--check", "loose.route").out == "loose.route is not in the one layout\n"
    assert run("format", "right.route", "loose.route").out == "loose.route rewritten\n"
    assert right.read_bytes() == kept
    assert run("format", "--check", "loose.route").code == 0
    after = loose.read_bytes().decode()
    assert after.startswith(mark) and set(LINE_END.findall(after)) == {end}


def test_most_ends_of_lines_decide_where_they_differ() -> None:
    assert rs.format("op a = relu\r\nop b = relu\n") == "op a = relu\r\nop b = relu\n"
    assert rs.format("op a=relu\r\nop b = relu\r\nop c = relu\n") == "op a = relu\r\nop b = relu\r\nop c = relu\r\n"
    assert rs.format("op a=relu") == "op a = relu\n"
    explicit = format_source("op a = conv(3)\r\n", Path("a.route"), explicit=True)
    assert explicit.startswith("op a = conv(3, stride = 1") and explicit.endswith(")\r\n")


def settled(op: Op) -> Op:
    """`op` with the arguments that depend on its input as numbers."""
    if isinstance(op, Leaf):
        return replace(op, args=tuple(leaf_args(op).items()))
    return replace(op, parts=tuple(settled(part) for part in op.parts))


def values_of(graph: RouteGraph) -> list[Value]:
    found: list[Any] = []
    for value in graph.values:
        if isinstance(value, Gate):
            value = replace(value, body=settled(value.body))
        elif isinstance(value, (Apply, Route)):
            value = replace(value, op=settled(value.op))
        found.append(value)
    return found


def assert_same_graph(text: str, other: str) -> None:
    one, two = rs.build(rs.loads(text)), rs.build(rs.loads(other))
    assert values_of(one) == values_of(two)
    assert one.policies == two.policies and one.nodes == two.nodes
    assert dump(one) == dump(two)


@pytest.mark.parametrize("name", TEXTS)
def test_the_explicit_text_is_the_same_graph(name: str) -> None:
    explicit = format_source(TEXTS[name], Path(name), explicit=True)
    assert_same_graph(TEXTS[name], explicit)
    assert format_source(explicit, Path(name), explicit=True) == explicit


@pytest.mark.parametrize("seed", range(40))
def test_explicit_texts_of_random_spaces_are_the_same_graphs(seed: int) -> None:
    text = random_case(seed).text
    assert_same_graph(text, format_source(text, Path("random.route"), explicit=True))


def explicit_of(text: str) -> str:
    return format_source(text, Path("text.route"), explicit=True)


def test_another_default_would_be_seen() -> None:
    explicit = explicit_of(TEXTS["tiny.route"])
    with pytest.raises(AssertionError):
        assert_same_graph(TEXTS["tiny.route"], explicit.replace("eps = 1e-05", "eps = 1e-03", 1))


def test_every_policy_is_said() -> None:
    explicit = explicit_of("space s {\n  input image: 3\n  output y = image | relu\n}")
    policies = "live by_route in training live by_route in inference init kaiming budget none cost macs"
    assert policies in " ".join(explicit.split())
    half = explicit_of("space s {\n  input image: 3\n  output y = image | relu\n  live always in training\n}")
    assert "live always in training live by_route in inference init" in " ".join(half.split())


def test_names_that_mean_something_else_are_left_alone(tmp_path: Path) -> None:
    assert explicit_of("op conv = relu\nop a = conv | groupnorm(4)\n").endswith(
        "op a    = conv | groupnorm(4, eps = 1e-05, stats = all)\n"
    )
    assert "= batchnorm | relu" in explicit_of("op a(batchnorm) = batchnorm | relu\n")
    (tmp_path / "library.route").write_text("op mean = relu\nop batchnorm = relu\n")
    text = 'from "library.route" import batchnorm\n\nop a = batchnorm | conv(1)\n'
    explicit = format_source(text, tmp_path / "text.route", explicit=True)
    assert "op a = batchnorm | conv(1, stride = 1," in explicit


def test_an_import_that_cannot_be_read_is_an_error(run: Run, files: Path) -> None:
    (files / "needs.route").write_text('from "nowhere.route" import a\n\nop b = a\n')
    assert run("format", "needs.route").code == 0
    ended = run("format", "needs.route", "--explicit")
    assert ended.code == 1 and "RS151" in ended.err and "--> needs.route:1:6" in ended.err


def test_arguments_that_are_there_are_not_repeated() -> None:
    explicit = explicit_of("op a(k) = conv(k, 8, 2, bias) | resize(by = 2, corners) | conv(4, dilation = 3)\n")
    flat = " ".join(explicit.split())
    assert "conv(k, 8, 2, bias, dilation = 1, groups = 1)" in flat and "resize(by = 2, corners)" in flat
    assert "conv(4, dilation = 3, stride = 1, pad = 4, groups = 1, bias = no)" in flat


def test_closed_rules_are_filled_up_but_shared_gates_keep_theirs() -> None:
    text = TEXTS["tiny.route"].replace(" closed keep = x below 1e-4", "")
    assert "} closed nothing below 0\n" in explicit_of(text)
    shared = text.replace("send h by soft(x)", "g = soft(x)\n    send h by g")
    assert "} closed nothing\n" in explicit_of(shared)
    assert_same_graph(shared, explicit_of(shared))


def test_comments_survive() -> None:
    text = "# head\nop a = conv(3)  # first\n     | conv(\n         8  # kernel\n       )\n\nspace s {  # brace\n"
    text += "  input image: 3\n  live always  # split\n  output y = image | a\n  # last\n}\n# tail\n"
    explicit = explicit_of(text)
    for comment in ("head", "first", "kernel", "brace", "split", "last", "tail"):
        assert explicit.count(f"# {comment}\n") == 1
    assert_same_graph(text, explicit)


def test_ops_before_and_behind_a_star_are_written_out() -> None:
    text = """space s {
      input image: 3
      gate relu(n = 1) per image { body mean | conv(n, routes, bias); activation relu_tanh }
      node {
        x = image | groupnorm(1) * conv(3, 8)
        y = x | relu(1) * (groupnorm(2) | conv(3))
        z = groupnorm(4) * (y | relu * conv(1))
      }
      output o = z
    }"""
    explicit = explicit_of(text)
    assert_same_graph(text, explicit)
    assert explicit.count("bias = no") == 3
    assert explicit.count("eps = 1e-05") == 3
