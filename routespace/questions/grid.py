"""A space as a graph: nodes, at strides, and the routes that join them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from routespace.graph.infer import infer
from routespace.graph.ir import Gate, Input, Output, Route, Value
from routespace.questions.flow import Flow
from routespace.space.fault import Fault

Place: TypeAlias = "str | None"
"""A node of a space; None is its input, or what its outputs read."""


@dataclass(frozen=True)
class Grid:
    """Nodes in an order in which each stands behind those that lead to it, and what joins them.

    `joins[a][b]` are the routes from a to b, which exclude each other; from the input, None, no route is needed, and to
    the outputs lead the routes `joins[a][None]`. `ahead` counts the nodes on the longest way on from each. The stride
    of a node without maps is 0.
    """

    strides: dict[str, Fraction]
    joins: dict[Place, dict[Place, tuple[str, ...]]]
    ahead: dict[str, int]

    @property
    def entries(self) -> tuple[str, ...]:
        return tuple(name for name in self.joins[None] if name is not None)


def grid_of(flow: Flow) -> Grid:
    """The nodes and routes of a graph. RS713 where nodes are joined by more than routes that have one reader each."""
    graph = flow.graph
    shapes = infer(graph, graph.probe).shapes
    strides: dict[str, Fraction] = {}
    found: dict[Place, dict[Place, list[str]]] = {None: {}}
    for value in graph.values:
        if value.node in flow.index_of and not isinstance(value, Gate):
            strides[value.node] = strides.get(value.node) or Fraction(shapes[value.name].stride)
            found.setdefault(value.node, {})
        _check(flow, value)
        if isinstance(value, Route):
            ends: list[Place] = [*flow.ends(value)]
            found[value.node].setdefault(ends[0] if ends else None, []).append(value.name)
        elif value.node in flow.index_of and any(isinstance(graph.by_name[arg], Input) for arg in value.args):
            found[None].setdefault(value.node, [])
    ahead: dict[str, int] = {}
    order = _ordered({name: [end for end in found[name] if end is not None] for name in strides})
    for name in reversed(order):
        ahead[name] = max((ahead[target] + 1 for target in found[name] if target is not None), default=0)
    joins = {place: {end: tuple(names) for end, names in ends.items()} for place, ends in found.items()}
    return Grid({name: strides[name] for name in order}, joins, ahead)


def _ordered(onward: dict[str, list[str]]) -> list[str]:
    """Nodes by how far they are from the first ones, as they stand where that is equal."""
    try:
        backward = list(TopologicalSorter(onward).static_order())
    except CycleError as error:
        names = ", ".join(f"`{name}`" for name in error.args[1][:3])
        raise Fault("RS713", f"nodes {names} read each other") from None
    depth = dict.fromkeys(onward, 0)
    for name in reversed(backward):
        for target in onward[name]:
            depth[target] = max(depth[target], depth[name] + 1)
    return sorted(onward, key=lambda name: depth[name])


def _check(flow: Flow, value: Value) -> None:
    graph, help = flow.graph, "embedding is for spaces whose nodes are joined by routes that one node or output reads"
    if isinstance(value, Route):
        readers = {graph.by_name[name].node or name for name in graph.readers[value.name]}
        if not value.sends:
            raise Fault("RS713", f"`{value.name}` is a branch inside a node", value.span, help=help)
        if len(readers) > 1:
            message = f"route `{value.name}` is read at {len(readers)} places at once"
            raise Fault("RS713", message, value.span, help=help)
    elif not isinstance(value, Gate):
        home = "" if isinstance(value, Output) else value.node
        for arg in value.args:
            read = graph.by_name[arg]
            if read.node != home and read.node in flow.index_of and not isinstance(read, Route):
                message = f"`{read.name}` is read from outside its node without a route"
                raise Fault("RS713", message, value.span, others=[(read.span, "made here")], help=help)
