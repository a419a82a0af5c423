"""A network as an abstract graph: nodes at strides and the edges between them, whatever computes in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Real
from typing import Any, TypeAlias

from routespace.diagnostics import Diagnostic, RouteError, did_you_mean
from routespace.plain_json import read_json

Edge: TypeAlias = tuple[str, str]

_HELP = 'write `{"nodes": {"a": 4, "b": 8}, "edges": [["a", "b"]]}`: strides by node, and edges from node to node'


@dataclass(frozen=True)
class Sketch:
    """Nodes with the stride of what they make, edges, and the nodes that read the input and that outputs read.

    Only ratios of strides count. Inputs are the nodes without an edge that arrives, outputs those without one that
    leaves, unless they are given. Raises `RouteError` RS714 for what is no network: an edge of a node that is not
    there, a circle, a node that no path from an input to an output leads through.

    >>> Sketch({"a": Fraction(4), "b": Fraction(8)}, (("a", "b"),)).outputs
    ('b',)
    """

    strides: Mapping[str, Fraction]
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    order: tuple[str, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not self.strides:
            raise unread("there is no node")
        for name in dict.fromkeys((*(end for edge in self.edges for end in edge), *self.inputs, *self.outputs)):
            if name not in self.strides:
                raise unread(f"there is no node `{name}`", did_you_mean(name, self.strides))
        for kind, names in (("inputs", self.inputs), ("outputs", self.outputs)):
            for name, number in Counter(names).items():
                if number > 1:
                    raise unread(f"node `{name}` stands {number} times among the {kind}")
        if len(set(self.edges)) < len(self.edges):
            source, target = next(edge for edge, number in Counter(self.edges).items() if number > 1)
            raise unread(f"two edges lead from `{source}` to `{target}`")
        for name, stride in self.strides.items():
            if stride <= 0:
                raise unread(f"node `{name}` has a stride of {stride}; strides are above 0")
        sources, targets = {source for source, _ in self.edges}, {target for _, target in self.edges}
        object.__setattr__(self, "inputs", self.inputs or tuple(one for one in self.strides if one not in targets))
        object.__setattr__(self, "outputs", self.outputs or tuple(one for one in self.strides if one not in sources))
        object.__setattr__(self, "order", self._ordered())
        for name in self.strides:
            if name not in targets and name not in self.inputs:
                raise unread(f"nothing leads to node `{name}`, and it is no input")
            if name not in sources and name not in self.outputs:
                raise unread(f"nothing leads on from node `{name}`, and it is no output")

    def _ordered(self) -> tuple[str, ...]:
        """Nodes, each behind those that lead to it."""
        missing = dict.fromkeys(self.strides, 0)
        onward: dict[str, list[str]] = {name: [] for name in self.strides}
        for source, target in self.edges:
            missing[target] += 1
            onward[source].append(target)
        found = [name for name, number in missing.items() if not number]
        for name in found:
            for target in onward[name]:
                missing[target] -= 1
                if not missing[target]:
                    found.append(target)
        if len(found) < len(missing):
            around = next(name for name, number in missing.items() if number)
            raise unread(f"edges around node `{around}` lead in a circle")
        return tuple(found)


def read_sketch(text: str) -> Sketch:
    """The graph that a JSON text declares: `nodes` with their strides, `edges`, and if wanted `inputs` and `outputs`.

    Raises `RouteError` RS714.

    >>> read_sketch('{"nodes": {"a": 4, "b": 8}, "edges": [["a", "b"]]}').inputs
    ('a',)
    """
    try:
        found = read_json(text)
    except ValueError as error:
        raise unread(f"this is not JSON: {error}", _HELP) from None
    if not isinstance(found, dict) or not {"nodes", "edges"} <= found.keys() <= {"nodes", "edges", "inputs", "outputs"}:
        raise unread("this does not say `nodes` and `edges`", _HELP)
    nodes, edges = found["nodes"], found["edges"]
    if not isinstance(nodes, dict) or not isinstance(edges, list):
        raise unread("`nodes` are strides by name, and `edges` a list", _HELP)
    for edge in edges:
        if not isinstance(edge, list) or len(edge) != 2 or not all(isinstance(end, str) for end in edge):
            raise unread(f"`{json.dumps(edge)[:80]}` is no edge: it names two nodes", _HELP)
    ends = [found.get(kind, []) for kind in ("inputs", "outputs")]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in ends):
        raise unread("`inputs` and `outputs` are lists of nodes", _HELP)
    strides = {name: _stride(name, stride) for name, stride in nodes.items()}
    return Sketch(strides, tuple((a, b) for a, b in edges), *map(tuple, ends))


def sketch_of(graph: Any) -> Sketch:
    """The graph of a `networkx.DiGraph`, or of what is read like one: every node has an attribute `stride`.

    Raises `RouteError` RS714 for a node without one, or a graph whose edges have no direction.
    """
    is_directed = getattr(graph, "is_directed", None)
    if is_directed is not None and not is_directed():
        raise unread("its edges have no direction")
    strides: dict[str, Fraction] = {}
    for node in graph.nodes:
        if str(node) in strides:
            raise unread(f"two of its nodes are called `{node}`")
        strides[str(node)] = _stride(str(node), graph.nodes[node].get("stride"))
    return Sketch(strides, tuple((str(edge[0]), str(edge[1])) for edge in graph.edges))


def _stride(name: str, given: object) -> Fraction:
    if isinstance(given, bool) or not isinstance(given, Real):
        raise unread(f"node `{name}` has no stride, but {json.dumps(given, default=str)[:80]}", _HELP)
    try:
        return Fraction(str(given))
    except ValueError:
        raise unread(f"node `{name}` has a stride of {given}", _HELP) from None


def unread(message: str, help: str | None = None) -> RouteError:
    """RS714."""
    return RouteError([Diagnostic("RS714", f"this graph cannot be read as a network: {message}", help=help)])
