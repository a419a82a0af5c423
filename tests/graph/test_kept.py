"""What is computed of a graph lives as long as the graph, and not longer."""

from __future__ import annotations

import gc
import weakref

import routespace as rs
from routespace.graph.bounds import bounds
from routespace.graph.infer import infer
from routespace.graph.kept import MOST_KEPT
from routespace.graph.passes.guard import guard
from routespace.graph.sizes import least_size

TEXT = "space s { input image: 3; output y = image | conv(3, 4) | relu }"


def test_nothing_outlives_a_graph() -> None:
    graph = rs.build(rs.loads(TEXT))
    for rule in (guard, least_size, lambda graph: infer(graph, (64, 64)), lambda graph: bounds(graph, (64, 64))):
        rule(graph)
    gone = weakref.ref(graph)
    del graph
    gc.collect()
    assert gone() is None


def test_a_result_is_made_once_for_each_size_and_few_are_kept() -> None:
    graph = rs.build(rs.loads(TEXT))
    first = infer(graph, (64, 64))
    assert infer(graph, (64, 64)) is first
    assert infer(graph, (64, 64), padded=True) is not first
    for height in range(1, 3 * MOST_KEPT):
        assert infer(graph, (height, 64)).shapes["image"].height == height
    assert all(len(results) <= MOST_KEPT for results in graph.results.values())
