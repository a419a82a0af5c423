"""The abstract graph of a traced network: what `torch.fx` recorded, reduced to where streams branch, join and scale."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

from routespace.diagnostics import RouteError
from routespace.questions.sketch import Sketch, unread

Links: TypeAlias = dict[str, dict[str, None]]


def sketch_trace(traced: Any, finest: int | Fraction = 1) -> Sketch:
    """The graph of a `torch.fx` trace whose nodes carry shapes, as `torch.fx.passes.shape_prop.ShapeProp` leaves them.

    Maps (N, C, H, W) are nodes, at the stride that the height of the first input has to theirs; all else is left out.
    Nodes finer than `finest` at the beginning are the stem, and at the end the head; neither belongs to the graph. A
    node with one edge on either side and the stride of a neighbour becomes one with it: what is left are branchings,
    joins and changes of scale, so that residual blocks vanish, as does how many layers stand in a row. Embed such a
    graph with `subdivide`. RS714 for a trace without shapes or without such maps.
    """
    inner = getattr(traced, "graph", traced)
    heights = {node.name: height for node in inner.nodes if (height := _height(node)) is not None}
    entering = [node.name for node in inner.nodes if node.op == "placeholder" and node.name in heights]
    if not entering:
        raise unread("it is a trace without shapes of maps (N, C, H, W)", "run `ShapeProp(traced).propagate(images)`")
    strides = {name: Fraction(heights[entering[0]], height) for name, height in heights.items()}
    before: Links = {name: {} for name in strides}
    after: Links = {name: {} for name in strides}
    leaving: dict[str, None] = {}
    for node in inner.nodes:
        for read in node.all_input_nodes:
            if node.op == "output" and read.name in strides:
                leaving[read.name] = None
            elif node.name in strides and read.name in strides:
                before[node.name][read.name] = None
                after[read.name][node.name] = None
    if not leaving:
        raise _no_maps(inner)
    graph = _Reduced(strides, before, after, dict.fromkeys(entering), leaving)
    graph.cut(Fraction(finest))
    graph.smooth()
    return graph.sketch()


def _no_maps(graph: Any) -> RouteError:
    """RS714 of a trace that returns no maps: from the output back, the call that the last of them go into is named."""
    waiting, seen = [node for node in graph.nodes if node.op == "output"], set()
    for node in waiting:
        for read in node.all_input_nodes:
            if _height(read) is not None:
                shape = " x ".join(str(size) for size in _shape(read)[1:])
                last = f"the last of them, `{read.name}` of {shape}, goes into `{node.name}`"
                help = "trace the part of the network that makes maps, such as its backbone without its classifier"
                return unread(f"what it returns are no maps (N, C, H, W): {last}", help)
            if read not in seen:
                seen.add(read)
                waiting.append(read)
    return unread("no map (N, C, H, W) leads to what it returns")


def _height(node: Any) -> int | None:
    """Height of the map that a node makes; None where it makes no map."""
    shape = _shape(node)
    return int(shape[2]) if len(shape) == 4 and shape[2] else None


def _shape(node: Any) -> tuple[int, ...]:
    """The shape of the tensor that a node makes; () where it is not told."""
    return tuple(getattr(node.meta.get("tensor_meta", node.meta.get("val")), "shape", ()))


class _Reduced:
    """A graph that nodes are taken out of."""

    def __init__(
        self,
        strides: dict[str, Fraction],
        before: Links,
        after: Links,
        entering: dict[str, None],
        leaving: dict[str, None],
    ) -> None:
        self.strides, self.before, self.after = strides, before, after
        self.entering, self.leaving = entering, leaving

    def drop(self, name: str) -> None:
        """Take a node out and join what it joined."""
        reads, readers = self.before.pop(name), self.after.pop(name)
        for read in reads:
            del self.after[read][name]
            self.after[read].update(readers)
        for reader in readers:
            del self.before[reader][name]
            self.before[reader].update(reads)
        if name in self.entering:
            del self.entering[name]
            self.entering.update(readers)
        if name in self.leaving:
            del self.leaving[name]
            self.leaving.update(reads)
        del self.strides[name]

    def cut(self, finest: Fraction) -> None:
        """Take out stem and head, and what leads to no output."""
        stem: dict[str, None] = {}
        head: dict[str, None] = {}
        for name, stride in self.strides.items():
            if stride < finest and all(read in stem for read in self.before[name]):
                stem[name] = None
        for name in reversed(self.strides):
            if name not in stem and self.strides[name] < finest and all(one in head for one in self.after[name]):
                head[name] = None
        for name in stem:
            past = next((reader for reader in self.after[name] if reader in head), None)
            if past is not None:
                raise unread(f"`{name}` leads past all that is of stride {finest} or coarser to `{past}`")
        for name in (*stem, *head):
            self.drop(name)
        for name in reversed(list(self.strides)):
            if not self.after[name] and name not in self.leaving:
                self.drop(name)

    def smooth(self) -> None:
        """Take out nodes with one edge on either side that a neighbour can stand for."""
        waiting = dict.fromkeys(self.strides)
        while waiting:
            name, _ = waiting.popitem()
            if name not in self.strides or len(self.strides) == 1:
                continue
            reads, readers = list(self.before[name]), list(self.after[name])
            if len(reads) + (name in self.entering) != 1 or len(readers) + (name in self.leaving) != 1:
                continue
            if any(self.strides[one] == self.strides[name] for one in (*reads, *readers)):
                self.drop(name)
                waiting.update(dict.fromkeys((*reads, *readers)))

    def sketch(self) -> Sketch:
        edges = tuple((read, name) for name, reads in self.before.items() for read in reads)
        return Sketch(self.strides, edges, tuple(self.entering), tuple(self.leaving))
