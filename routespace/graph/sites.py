"""Where streams are made: from a name and an index, as texts write them, to a node of a graph."""

from __future__ import annotations

from routespace.graph.ir import Node, RouteGraph
from routespace.space.scope import Scope, streams_of


class Sites:
    """The nodes of `graph`, whose space is `scope` with its axes resolved."""

    def __init__(self, graph: RouteGraph, scope: Scope) -> None:
        self.scope = scope
        self.homes: dict[str, dict[str, None]] = {}
        for declared in scope.nodes:
            home = declared.name or ("" if declared.axes else "node")
            for stream in streams_of(declared):
                self.homes.setdefault(stream, {})[home] = None
        self.node_at = {(self._home(node), *node.index): node.name for node in graph.nodes}

    def _home(self, node: Node) -> str:
        """What the declaration of a node is called."""
        label = ".".join(self.scope.axes[axis].label(at) for axis, at in node.index)
        return node.name.removesuffix(label).removesuffix(".")

    def node(self, stream: str, index: tuple[int, ...]) -> str | None:
        """The node that makes `stream` at `index`, if there is one and something reads it."""
        axes = self.scope.stream_axes.get(stream, ())
        if len(axes) != len(index):
            return None
        keys = ((home, *zip(axes, index, strict=True)) for home in self.homes.get(stream, ()))
        return next((self.node_at[key] for key in keys if key in self.node_at), None)
