"""What is computed of a graph once, and kept as long as the graph is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar, cast

from routespace.graph.ir import RouteGraph

P = ParamSpec("P")
T = TypeVar("T")
Rule: TypeAlias = Callable[Concatenate[RouteGraph, P], T]

MOST_KEPT = 64
"""Results of one rule that a graph keeps, one for each size of images mostly."""
UNKNOWN = object()


def kept(rule: Rule[P, T]) -> Rule[P, T]:
    """`rule`, whose results a graph keeps by its other arguments, which are hashable.

    They live and die with the graph, which a cache of the process would hold on to.

    >>> import routespace as rs
    >>> graph = rs.build(rs.loads("space s { input image: 3; output y = image | relu }"))
    >>> @kept
    ... def values(graph: RouteGraph) -> list[str]:
    ...     return [value.name for value in graph.values]
    >>> values(graph) is values(graph)
    True
    """

    @wraps(rule)
    def known(graph: RouteGraph, *args: P.args, **named: P.kwargs) -> T:
        results = graph.results.setdefault(rule, {})
        key = (args, tuple(sorted(named.items())))
        made = results.get(key, UNKNOWN)
        if made is UNKNOWN:
            made = rule(graph, *args, **named)
            if len(results) >= MOST_KEPT:
                results.clear()
            results[key] = made
        return made  # type: ignore[no-any-return]

    return cast("Rule[P, T]", known)
