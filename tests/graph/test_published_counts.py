"""Figures of the published systems that need no weights."""

from __future__ import annotations

from pathlib import Path

import pytest

import routespace as rs
from routespace.graph.bounds import bounds
from routespace.graph.nets import all_open, hold
from routespace.graph.passes.fix import fix
from routespace.graph.verify import verify

SPEC = Path(__file__).parents[2] / "examples" / "segmentation.route"


@pytest.mark.parametrize(
    ("parameters", "size", "gigaflops"),
    [({}, (1024, 2048), 118.085), ({}, (512, 512), 14.936), ({"depth": 33}, (1024, 2048), 244.62)],
)
def test_everything_open(parameters: dict[str, int], size: tuple[int, int], gigaflops: float) -> None:
    graph = rs.build(rs.load(SPEC, **parameters))
    digits = len(str(gigaflops).split(".")[1])
    assert round(bounds(graph, size, "dynamic_routing_code").most / 1e9, digits) == gigaflops


def test_mended_decoder() -> None:
    graph = rs.build(rs.load(SPEC))
    slip = bounds(graph, (1024, 2048), "dynamic_routing_code").most / 1e9
    assert round(slip + 2.813 / 2, 2) == 119.49


@pytest.mark.parametrize(("net", "gigaflops"), [("fcn_32s", 26.46), (None, 102.62)])
def test_nets(net: str | None, gigaflops: float) -> None:
    graph = rs.build(rs.load(SPEC))
    held = all_open(graph) if net is None else hold(graph, net)
    fixed = verify(fix(graph, held))
    assert round(bounds(fixed, (1024, 2048), "dynamic_routing_table1").most / 1e9, 2) == gigaflops


def test_the_table_counts_no_gates() -> None:
    graph = rs.build(rs.load(SPEC))
    assert round(bounds(graph, (1024, 2048), "dynamic_routing_table1").most / 1e9, 2) == 102.62


def test_fixing_twice_changes_nothing() -> None:
    graph = rs.build(rs.load(SPEC, depth=4))
    fixed = fix(graph, all_open(graph))
    assert fix(fixed, all_open(fixed)) is fixed
