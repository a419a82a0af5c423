"""Networks given as graphs: embedded where they can be, by brute force on small spaces, and known ones in the large."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import routespace as rs
from routespace.graph.infer import infer
from routespace.graph.ir import Gate, Route, RouteGraph
from routespace.language.asked import read_requirement
from routespace.questions.embedding import Embedding, embed
from routespace.questions.flow import Flow
from routespace.questions.grid import grid_of
from routespace.questions.nets import Nets
from routespace.questions.sketch import Edge, Sketch, read_sketch, sketch_of
from routespace.space.fault import Fault
from tests.questions.brute import Sight, all_nets, random_graph

EXAMPLES = Path(__file__).parents[2] / "examples"
CLASSIC = sorted(path for path in (EXAMPLES / "classic").glob("*.route") if path.stem != "deeplabv3_plus")


def segmentation(depth: int = 16) -> RouteGraph:
    return rs.build(rs.load(EXAMPLES / "segmentation.route", depth=depth))


def sketch(strides: dict[str, int], *edges: str) -> Sketch:
    """`sketch({"a": 4, "b": 8}, "a b")`"""
    return Sketch({name: Fraction(stride) for name, stride in strides.items()}, tuple(_pair(edge) for edge in edges))


def _pair(edge: str) -> Edge:
    source, target = edge.split()
    return source, target


def strides_of(graph: RouteGraph) -> dict[str, Fraction]:
    shapes = infer(graph, (256, 256)).shapes
    found: dict[str, Fraction] = {}
    for value in graph.values:
        if not isinstance(value, Gate):
            found.setdefault(value.node, Fraction(shapes[value.name].stride))
    return found


def sketch_of_net(graph: RouteGraph, net: frozenset[str]) -> Sketch:
    """What a net is as a graph, its nodes renamed."""
    flow, strides = Flow(graph), strides_of(graph)
    routes = [graph.by_name[name] for name in sorted(net)]
    hops = [(route.node, next(iter(flow.ends(route)), None)) for route in routes if isinstance(route, Route)]
    nodes = sorted({end for hop in hops for end in hop if end})
    names = {node: f"n{at}" for at, node in enumerate(nodes)}
    edges = tuple((names[a], names[b]) for a, b in hops if b)
    outputs = tuple(names[a] for a, b in hops if b is None)
    return Sketch({names[node]: strides[node] for node in nodes}, edges, (), outputs)


def check(graph: RouteGraph, asked: Sketch, found: Embedding, subdivide: bool) -> None:
    """A witness is what it says: places of its own, chains without gaps, and a net that is contained."""
    flow, strides = Flow(graph), strides_of(graph)
    assert set(found.places) == set(asked.strides) and len(set(found.places.values())) == len(found.places)
    ratios = {strides[place] / asked.strides[name] for name, place in found.places.items()}
    assert len(ratios) == 1
    inner: list[str] = []
    for (source, target), chain in found.chains.items():
        at = found.places[source] if source is not None else None
        for route in chain:
            value = graph.by_name[route]
            assert isinstance(value, Route) and value.node == (at or value.node)
            if value.node not in (found.places.get(source or ""), None):
                inner.append(value.node)
            at = next(iter(flow.ends(value)), None)
        if target is not None and chain:
            assert at == found.places[target]
        if target is None:
            assert at is None and chain
        assert subdivide or len(chain) == (source is not None)
    assert len(inner) == len(set(inner)) and not set(inner) & set(found.places.values())
    assert set(found.chains) == {
        *asked.edges,
        *((None, name) for name in asked.inputs),
        *((name, None) for name in asked.outputs),
    }
    assert Nets(graph).contains(found.routes).is_contained


U_NET = sketch(
    {"e1": 1, "e2": 2, "e3": 4, "bottom": 8, "d3": 4, "d2": 2, "d1": 1},
    "e1 e2", "e2 e3", "e3 bottom", "bottom d3", "d3 d2", "d2 d1", "e3 d3", "e2 d2", "e1 d1",
)  # fmt: skip
HRNET = sketch(
    {"a4": 4, "b4": 4, "b8": 8, "c4": 4, "c8": 8, "c16": 16},
    "a4 b4", "a4 b8", "b4 c4", "b4 c8", "b8 c4", "b8 c8", "b8 c16",
)  # fmt: skip


def test_a_u_net_rides_on_keeps() -> None:
    graph = segmentation()
    assert embed(U_NET, graph).answer == "no"
    found = embed(U_NET, graph, subdivide=True)
    assert found.answer == "yes"
    check(graph, U_NET, found, subdivide=True)
    assert graph.by_name[found.chains["e1", "d1"][-1]].name.endswith("keep")


@pytest.mark.parametrize("depth", [2, 3, 30])
def test_scales_side_by_side(depth: int) -> None:
    graph = segmentation(depth)
    found = {way: embed(HRNET, graph, subdivide=way) for way in (False, True)}
    assert [found[way].answer for way in (False, True)] == ["yes" if depth == 2 else "no", "yes"]
    check(graph, HRNET, found[True], subdivide=True)


@pytest.mark.parametrize("path", CLASSIC, ids=lambda path: path.stem)
def test_classic_nets_are_found_again(path: Path) -> None:
    graph = rs.build(rs.load(path))
    asked = sketch_of_net(graph, frozenset(Nets(graph).contains(path.stem).routes))
    found = embed(asked, graph)
    assert found.answer == "yes"
    check(graph, asked, found, subdivide=False)


@pytest.mark.parametrize("number", [1, 2, 17, 18])
def test_chains(number: int) -> None:
    graph = segmentation()
    chain = sketch({f"n{at}": 1 for at in range(number)}, *(f"n{at} n{at + 1}" for at in range(number - 1)))
    assert embed(chain, graph).answer == ("yes" if number == 17 else "no")
    assert embed(chain, graph, subdivide=True).answer == ("yes" if number <= 17 else "no")


@pytest.mark.parametrize(
    "asked",
    [
        sketch({"a": 4, "b": 2}, "a b"),
        sketch({"a": 4, "b": 64}, "a b"),
        sketch({"a": 4, "b": 4, "c": 4, "d": 4}, "a b", "a c", "b d", "c d"),
        sketch({"a": 4, "b": 4}),
        Sketch({"a": Fraction(4), "b": Fraction(8)}, (("a", "b"),), ("a", "b")),
    ],
    ids=["finer than the space", "coarser", "two streams at one scale", "two entries", "an entry further in"],
)
def test_what_cannot_be(asked: Sketch) -> None:
    for way in (False, True):
        found = embed(asked, segmentation(), subdivide=way)
        assert found.answer == "no" and found.why and not found.places and not found.routes


def test_requirements_bind_what_is_found() -> None:
    graph = segmentation(6)
    chain = sketch({"a": 4, "b": 8, "c": 4}, "a b", "b c")
    free = embed(chain, graph, subdivide=True)
    asked = Nets(graph, [read_requirement("down[4, s4]")[0]])
    found = embed(chain, asked, subdivide=True)
    assert free.answer == found.answer == "yes" and found.places["b"] == "layer5.s8" != free.places["b"]
    assert embed(chain, Nets(graph, [read_requirement("x[5, s16]")[0]]), subdivide=True).answer == "no"


def test_a_search_that_is_cut_short_does_not_answer() -> None:
    assert embed(U_NET, segmentation(), subdivide=True, steps=5).answer == "unknown"


def test_deep_spaces_take_no_longer_than_their_depth() -> None:
    graph = segmentation(100)
    assert embed(U_NET, graph, subdivide=True).answer == "yes"
    ladder = sketch({f"n{at}": 4 for at in range(102)}, *(f"n{at} n{at + 1}" for at in range(101)))
    assert embed(ladder, graph).answer == "no"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("h = x | conv(3)", "h = x + soft(x) * (x | conv(3))", "a branch inside a node"),
        ("output y = keep[2]", "output y = keep[2] + keep[1]", "read at 2 places"),
        ("output y = keep[2]", "output y = keep[2]\n  output early = h[1]", "without a route"),
        ("else keep[layer - 1]", "else keep[layer - 1] + h[layer - 1]", "without a route"),
    ],
)
def test_spaces_joined_otherwise_are_refused(old: str, new: str, says: str) -> None:
    text = """space s {
      input image: 3
      axis layer = 0..2
      gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
      node at layer {
        x = image | conv(3, 4) if layer == 0 else keep[layer - 1]
        h = x | conv(3)
        send h by soft(x) { keep: relu }
      }
      output y = keep[2]
    }"""
    assert embed(sketch({"a": 1}), rs.build(rs.loads(text)), subdivide=True).answer == "yes"
    with pytest.raises(rs.RouteError, match=says) as error:
        embed(sketch({"a": 1}), rs.build(rs.loads(text.replace(old, new))))
    assert [one.code for one in error.value.diagnostics] == ["RS713"]


# ---- brute force -----------------------------------------------------------------------------------------------------


def is_drawn_by(asked: Sketch, graph: RouteGraph, one: Sight, subdivide: bool) -> bool:
    """Whether a net, looked at whole, is the graph: for some choice of its nodes, nothing else branches or joins."""
    strides = strides_of(graph)
    places = {node.name for node in graph.nodes}
    ways: dict[str, list[str | None]] = {}
    reads: dict[str, int] = {}
    for value in graph.values:
        if value.node in places and any(arg in {"image"} for arg in value.args):
            reads[value.node] = 1
    entries = set(reads)
    for name in one.net:
        route = graph.by_name[name]
        assert isinstance(route, Route)
        ends = {graph.by_name[reader].node for reader in graph.readers[name]} & places
        ways.setdefault(route.node, []).append(next(iter(ends), None))
        for end in ends:
            ways.setdefault(end, [])
            reads[end] = reads.get(end, 0) + 1
    nodes = sorted(ways)
    if len(asked.strides) > len(nodes):
        return False
    for chosen in permutations(nodes, len(asked.strides)):
        at = dict(zip(chosen, asked.strides, strict=True))
        if len({strides[place] / asked.strides[name] for place, name in at.items()}) != 1:
            continue
        rest = [node for node in nodes if node not in at]
        if (rest and not subdivide) or any(len(ways[node]) != 1 or reads.get(node, 0) != 1 for node in rest):
            continue
        found: list[tuple[str | None, str | None]] = []
        is_straight = True
        for start in [*(("", entry) for entry in entries & set(nodes)), *((a, b) for a in at for b in ways[a])]:
            source, here = start
            seen = [strides[source]] if source else []
            while here is not None and here not in at:
                seen.append(strides[here])
                here = ways[here][0]
            if here is not None:
                seen.append(strides[here])
            if source == "" or here is None:
                is_straight &= len(set(seen)) <= 1
            is_straight &= seen in (sorted(seen), sorted(seen, reverse=True))
            found.append((at.get(source), None if here is None else at[here]))
        wanted = [*asked.edges, *((None, name) for name in asked.inputs), *((name, None) for name in asked.outputs)]
        if is_straight and sorted(map(str, found)) == sorted(map(str, wanted)):
            return True
    return False


@st.composite
def small_sketches(draw: st.DrawFn) -> Sketch:
    """Up to four nodes at strides 1, 2 and 4, edges forward."""
    number = draw(st.integers(1, 4))
    names = [f"n{at}" for at in range(number)]
    strides = {name: Fraction(draw(st.sampled_from([1, 1, 2, 4]))) for name in names}
    pairs = [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
    edges = tuple(draw(st.lists(st.sampled_from(pairs), unique=True, max_size=5))) if pairs else ()
    outputs = {name for name in names if all(a != name for a, _ in edges)}
    more = draw(st.sampled_from(["", *names]))
    return Sketch(strides, edges, (), tuple(name for name in names if name in outputs or name == more))


def agrees(seed: int, asked: Sketch) -> str | None:
    """Both ways to ask against looking at all nets; the answers, None where the space is none to ask about."""
    graph = random_graph(random.Random(seed))
    nets = all_nets(graph)
    told = ""
    for subdivide in (False, True):
        try:
            found = embed(asked, graph, subdivide=subdivide)
        except rs.RouteError as error:
            assert error.diagnostics[0].code == "RS713"
            return None
        expected = any(is_drawn_by(asked, graph, one, subdivide) for one in nets)
        assert found.answer == ("yes" if expected else "no"), (seed, asked, subdivide)
        if expected:
            check(graph, asked, found, subdivide)
        told += found.answer
    return told


@given(seed=st.integers(0, 200), asked=small_sketches())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_small_graphs_against_all_nets(seed: int, asked: Sketch) -> None:
    agrees(seed, asked)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_nets_drawn_from_a_space_are_found_in_it(first: int) -> None:
    told = []
    for seed in range(first, first + 20):
        graph = random_graph(random.Random(seed))
        try:
            grid_of(Flow(graph))
        except Fault:
            continue
        dice = random.Random(seed)
        nets = all_nets(graph)
        drawn = dice.sample(nets, min(3, len(nets)))
        small = [one.net for one in drawn if len({graph.by_name[name].node for name in one.net}) <= 5]
        told += [agrees(seed, sketch_of_net(graph, net)) for net in small]
    assert sum(one == "yesyes" for one in told) > 8


# ---- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        pytest.param("[" * 100_000, "is not JSON", id="deep"),
        ("[]", "does not say `nodes` and `edges`"),
        ('{"nodes": {}, "edges": []}', "no node"),
        ('{"nodes": {"a": 1}, "edges": [], "more": 1}', "does not say"),
        ('{"nodes": {"a": 1, "a": 2}, "edges": []}', "stands twice"),
        ('{"nodes": {"a": null}, "edges": []}', "has no stride"),
        ('{"nodes": {"a": true}, "edges": []}', "has no stride"),
        ('{"nodes": {"a": -1}, "edges": []}', "a stride of -1"),
        ('{"nodes": {"a": NaN}, "edges": []}', "a stride of nan"),
        ('{"nodes": {"a": 1e999}, "edges": []}', "a stride of inf"),
        ('{"nodes": {"aa": 1}, "edges": [["aa", "ab"]]}', "no node `ab`"),
        ('{"nodes": {"a": 1}, "edges": [["a"]]}', "is no edge"),
        ('{"nodes": {"a": 1}, "edges": [["a", "a"]]}', "circle"),
        ('{"nodes": {"a": 1, "b": 1}, "edges": [["a", "b"], ["b", "a"]]}', "circle"),
        ('{"nodes": {"a": 1, "b": 1}, "edges": [["a", "b"], ["a", "b"]]}', "two edges"),
        ('{"nodes": {"a": 1, "b": 1}, "edges": [], "inputs": ["a"]}', "nothing leads to node `b`"),
        ('{"nodes": {"a": 1, "b": 1}, "edges": [], "outputs": ["a"]}', "nothing leads on from node `b`"),
        ('{"nodes": {"a": 1}, "edges": [], "outputs": "a"}', "lists of nodes"),
        ('{"nodes": {"a": 1}, "edges": [], "inputs": ["a", "a"]}', "stands 2 times among the inputs"),
    ],
)
def test_graphs_that_are_none_are_refused(text: str, says: str) -> None:
    with pytest.raises(rs.RouteError, match=says) as error:
        read_sketch(text)
    assert [one.code for one in error.value.diagnostics] == ["RS714"]


def test_a_huge_graph_is_answered_at_once() -> None:
    number = 100_000
    edges = tuple((f"n{at}", f"n{at + 1}") for at in range(number - 1))
    huge = Sketch({f"n{at}": Fraction(1) for at in range(number)}, edges)
    assert "100,000 nodes" in embed(huge, segmentation()).why


class Likewise:
    """What is read of a `networkx.DiGraph`."""

    nodes = {"a": {"stride": 4}, "b": {"stride": 8.0}}  # noqa: RUF012
    edges = (("a", "b"),)

    def is_directed(self) -> bool:
        return True


def test_a_graph_of_another_library_is_read() -> None:
    assert sketch_of(Likewise()) == sketch({"a": 4, "b": 8}, "a b")
    with pytest.raises(rs.RouteError, match="no direction"):
        sketch_of(type("Undirected", (Likewise,), {"is_directed": lambda self: False})())


def test_strides_of_numpy_are_numbers_and_names_are_told_apart() -> None:
    counted = type("Counted", (Likewise,), {"nodes": {"a": {"stride": np.int64(4)}, "b": {"stride": np.float64(8)}}})
    assert sketch_of(counted()) == sketch({"a": 4, "b": 8}, "a b")
    twice = type("Twice", (Likewise,), {"nodes": {1: {"stride": 4}, "1": {"stride": 4}}, "edges": ()})
    with pytest.raises(rs.RouteError, match="two of its nodes are called `1`"):
        sketch_of(twice())
