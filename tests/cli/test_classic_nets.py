"""Nets of the literature as nets of the segmentation space: their routes, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import routespace as rs
from routespace.diagnostics import Findings
from routespace.graph.ir import Route
from routespace.graph.net_parts import read_net
from routespace.graph.nets import all_open, hold
from tests.cli.conftest import Run

CLASSIC = Path(__file__).parents[2] / "examples" / "classic"
MISFIT = "deeplabv3_plus"
FITTING = sorted(path.stem for path in CLASSIC.glob("*.route") if path.stem != MISFIT)

# Rows (scale, first layer, last layer) of nodes joined by keep; edges (layer, scale, next scale).
PATHS = {
    "fcn_32s": ([(0, 0, 3), (1, 4, 8), (2, 9, 13), (3, 14, 16)], [(3, 0, 1), (8, 1, 2), (13, 2, 3)]),
    "deeplabv3": (
        [(0, 0, 5), (1, 6, 16), (2, 12, 16), (3, 13, 16), (0, 13, 16)],
        [(5, 0, 1), (11, 1, 2), (12, 2, 3), (12, 1, 0)],
    ),
    "u_net": (
        [(0, 0, 16), (1, 2, 12), (2, 3, 11), (3, 4, 10)],
        [(1, 0, 1), (2, 1, 2), (3, 2, 3), (10, 3, 2), (11, 2, 1), (12, 1, 0)],
    ),
    "hrnet_v2": (
        [(0, 0, 16), (1, 4, 16), (2, 8, 16), (3, 12, 16)],
        [
            (3, 0, 1),
            *[(7, 0, 1), (7, 1, 0), (7, 1, 2)],
            *[(11, 0, 1), (11, 1, 0), (11, 1, 2), (11, 2, 1), (11, 2, 3)],
            *[(15, 0, 1), (15, 1, 0), (15, 1, 2), (15, 2, 1), (15, 2, 3), (15, 3, 2)],
        ],
    ),
}
AUTO_DEEPLAB = (0, 0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1, 1, 1, 1, 1)
COSTS = {
    "fcn_32s": ("2.880", "26.46"),
    "deeplabv3": ("3.695", "42.52"),
    "u_net": ("6.080", "59.79"),
    "hrnet_v2": ("5.354", "62.48"),
    "auto_deeplab": ("2.510", "27.67"),
}
NAMES = {0: "keep", 1: "down", -1: "up"}


def named(layer: int, scale: int, end: int) -> str:
    return f"layer{layer}.s{4 * 2**scale}.{NAMES[end - scale]}"


def routes_of(net: str) -> Iterator[str]:
    """The path sets of the published table."""
    if net == "auto_deeplab":
        ends = (*AUTO_DEEPLAB[1:], AUTO_DEEPLAB[-1])
        yield from (named(layer, *pair) for layer, pair in enumerate(zip(AUTO_DEEPLAB, ends, strict=True)))
        return
    rows, edges = PATHS[net]
    for scale, first, last in rows:
        yield from (named(layer, scale, scale) for layer in range(first, last + (last == 16)))
    yield from (named(*edge) for edge in edges)


def opened(net: str) -> set[str]:
    graph = rs.build(rs.load(CLASSIC / f"{net}.route"))
    assert graph.space is not None
    findings = Findings()
    found = read_net(graph, graph.space.net(net), findings)
    findings.raise_errors()
    return set(found)


@pytest.mark.parametrize("net", COSTS)
def test_the_paths_are_the_published_ones(net: str) -> None:
    assert opened(net) == set(routes_of(net))


@pytest.mark.parametrize("net", COSTS)
def test_the_cost_is_the_published_one(net: str, run: Run) -> None:
    ended = run("cost", str(CLASSIC / f"{net}.route"), "--net", net, "--convention", "dynamic_routing_table1", "--json")
    found = json.loads(ended.out)
    assert (f"{found['parameters']['total'] / 1e6:.3f}", f"{found['cost']['maximum'] / 1e9:.2f}") == COSTS[net]


def test_everything_open_costs_what_is_published(run: Run, tmp_path: Path) -> None:
    text = 'from "segmentation.route" import segmentation\n\nnet all_of_it in segmentation { everything }\n'
    (tmp_path / "segmentation.route").write_text((CLASSIC.parent / "segmentation.route").read_text())
    path = tmp_path / "all.route"
    path.write_text(text)
    graph = rs.build(rs.load(path))
    assert hold(graph, "all_of_it") == all_open(graph)
    ended = run("cost", str(path), "--net", "all_of_it", "--convention", "dynamic_routing_table1", "--json")
    found = json.loads(ended.out)
    assert (f"{found['parameters']['total'] / 1e6:.3f}", f"{found['cost']['maximum'] / 1e9:.2f}") == (
        "15.262",
        "102.62",
    )


@pytest.mark.parametrize("path", sorted(CLASSIC.glob("*.route")), ids=lambda path: path.stem)
def test_a_net_is_a_few_lines_in_the_one_layout(path: Path) -> None:
    text = path.read_text()
    assert rs.format(text) == text
    assert len(text.splitlines()) <= 15


def test_one_well_known_net_does_not_fit() -> None:
    with pytest.raises(rs.RouteError) as raised:
        opened(MISFIT)
    (found,) = raised.value.diagnostics
    assert found.code == "RS702" and found.message == "no route leads from `layer13.s16` to `layer14.s4`"


@pytest.mark.parametrize("net", sorted(set(FITTING) - set(COSTS)))
def test_every_route_of_the_others_lies_on_a_path(net: str) -> None:
    """Forward from the input and backward from the output, nothing is left over."""
    graph = rs.build(rs.load(CLASSIC / f"{net}.route"))
    routes = opened(net)
    ends = {name: {graph.by_name[reader].node for reader in graph.readers[name]} for name in routes}
    starts = {name: route.node for name in routes if isinstance(route := graph.by_name[name], Route)}
    entered = {"layer0.s4", *(end for found in ends.values() for end in found)}
    assert {starts[name] for name in routes} <= entered
    left = set(starts.values())
    assert all(found & (left | {"", "outputs", "outputs.logits"}) for found in ends.values())
