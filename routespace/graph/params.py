"""How many numbers a graph would train, counted from its ops alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from routespace.graph.ir import Apply, Gate, Leaf, Op, Route, RouteGraph
from routespace.space.registry import OPS


@dataclass(frozen=True)
class ParameterCount:
    """Trained numbers by value name, those of `gates` by themselves too; `uncounted` are ops without a rule."""

    by_value: dict[str, int]
    gates: int
    uncounted: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.by_value.values())

    @property
    def without_gates(self) -> int:
        return self.total - self.gates


def count_parameters(graph: RouteGraph) -> ParameterCount:
    """The parameters (running statistics are none) of what `graph` compiles to.

    >>> import routespace as rs
    >>> count_parameters(rs.build(rs.loads('''space tiny {
    ...   input image: 3
    ...   output y = image | conv(3, 2, bias)
    ... }'''))).total
    56
    """
    by_value: dict[str, int] = {}
    uncounted: dict[str, None] = {}
    shared: set[str] = set()
    gates = 0
    for value in graph.values:
        if not isinstance(value, (Apply, Gate, Route)):
            continue
        if value.weights and value.weights in shared:
            continue
        shared.add(value.weights)
        count = 0
        for leaf in leaves(value.body if isinstance(value, Gate) else value.op):
            rule = OPS[leaf.entry].params
            if rule is None:
                uncounted[leaf.entry] = None
            else:
                count += rule(dict(leaf.args), leaf.channels)
        by_value[value.name] = count
        gates += count if isinstance(value, Gate) else 0
    return ParameterCount(by_value, gates, tuple(uncounted))


def leaves(op: Op) -> Iterator[Leaf]:
    """The registered ops of a tree, in order."""
    if isinstance(op, Leaf):
        yield op
    else:
        for part in op.parts:
            yield from leaves(part)
