"""Whether a network that is given as an abstract graph is a net of a space, and where it lies in it.

The nodes of the space are gone through once. What has to be remembered is which edges of the graph were begun and not
ended, and at which nodes of the space: for a grid of few scales that is little, whatever its depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, pairwise, product
from typing import Literal, TypeAlias

from routespace.graph.ir import RouteGraph
from routespace.questions.grid import Grid, Place, grid_of
from routespace.questions.nets import Nets
from routespace.questions.sketch import Sketch
from routespace.space.fault import Fault

MOST_STATES, MOST_TRIED = 300_000, 2_000

Edge: TypeAlias = "tuple[str | None, str | None]"
"""An edge of the graph; from None the input leads to a node, and to None a node leads to the outputs."""
Pending: TypeAlias = "frozenset[tuple[Edge, Place]]"
Content: TypeAlias = "str | Edge | None"
"""What lies at a node of the space: a node of the graph, an edge that rides through, or nothing."""


@dataclass(frozen=True)
class Embedding:
    """`places`: the node of the space at which each node of the graph lies; `chains`: the routes that each edge rides.

    Both are empty unless the answer is yes. `why` says what was found otherwise.
    """

    answer: Literal["yes", "no", "unknown"]
    places: Mapping[str, str] = field(default_factory=dict)
    chains: Mapping[Edge, tuple[str, ...]] = field(default_factory=dict)
    why: str = ""

    @property
    def routes(self) -> frozenset[str]:
        """The open routes of the net that the graph is."""
        return frozenset(route for chain in self.chains.values() for route in chain)


def embed(sketch: Sketch, space: Nets | RouteGraph, *, subdivide: bool = False, steps: int = MOST_STATES) -> Embedding:
    """Place `sketch` in a space: each node at a node of its own, at strides in the same ratios, each edge on routes.

    An edge is one route, or with `subdivide` a chain of routes through nodes that nothing else uses and that never
    turns back in scale: it keeps the scale or moves it towards the end of the edge. Inputs lie at nodes that read the
    input of the space, or are led there from one at their own scale, and outputs likewise. The net found is one of
    `space` with all its requirements; it opens no other routes. Answers are exact; "unknown" where `steps` states
    of the search, or as many nets that a requirement forbids as may be tried, did not tell. `RouteError` RS713 for
    spaces whose nodes are joined in other ways than by routes.

    >>> import routespace as rs
    >>> from routespace.questions.sketch import read_sketch
    >>> sketch = read_sketch('{"nodes": {"a": 4, "b": 8, "c": 4}, "edges": [["a", "b"], ["b", "c"], ["a", "c"]]}')
    >>> space = rs.build(rs.load(rs.example("small")))
    >>> embed(sketch, space).answer
    'no'
    >>> embed(sketch, space, subdivide=True).places
    {'a': 'layer0.s4', 'b': 'layer1.s8', 'c': 'layer2.s4'}
    """
    nets = space if isinstance(space, Nets) else Nets(space)
    try:
        grid = grid_of(nets.flow)
    except Fault as fault:
        raise nets.refusal(fault) from None
    if len(sketch.strides) > len(grid.strides):
        return Embedding("no", why=f"it has {len(sketch.strides):,} nodes, the space {len(grid.strides):,}")
    placed: set[str] = set()
    tried = used = 0
    first = sketch.strides[sketch.inputs[0]]
    for unit in dict.fromkeys(grid.strides[entry] / first for entry in grid.entries if grid.strides[entry]):
        sweep = _Sweep(sketch, grid, unit, subdivide, steps - used)
        found = sweep.run()
        used += sweep.made
        placed |= sweep.placed
        if not found:
            return Embedding("unknown", why=f"the search did not end within {steps:,} states")
        for one in islice(sweep.embeddings(), MOST_TRIED - tried):
            if nets.contains(one.routes).is_contained:
                return one
            tried += 1
        if tried >= MOST_TRIED:
            return Embedding("unknown", why=f"{tried:,} nets that it could be do not fit, and there are more")
    return Embedding("no", why=_why(sketch, placed, tried))


def _why(sketch: Sketch, placed: set[str], tried: int) -> str:
    if tried:
        return "where it could lie, it is no net of this space"
    first = next((name for name in sketch.order if name not in placed), None)
    if first is None:
        return "each of its nodes has a place, but not all of them together"
    return f"no place is left for its node `{first}`"


class _Sweep:
    """Goes through the nodes of the grid, with strides of the graph counted in `unit`."""

    def __init__(self, sketch: Sketch, grid: Grid, unit: Fraction, subdivide: bool, most: int) -> None:
        self.sketch, self.grid, self.subdivide, self.most = sketch, grid, subdivide, most
        self.strides = {name: stride * unit for name, stride in sketch.strides.items()}
        edges: list[Edge] = [*((None, name) for name in sketch.inputs), *sketch.edges]
        edges += [(name, None) for name in sketch.outputs]
        self.arriving: dict[str, list[Edge]] = {name: [] for name in sketch.strides}
        self.leaving: dict[str, list[Edge]] = {name: [] for name in sketch.strides}
        for edge in edges:
            source, target = edge
            if source is not None:
                self.leaving[source].append(edge)
            if target is not None:
                self.arriving[target].append(edge)
        self.behind: dict[str, int] = {}
        for name in reversed(sketch.order):
            ends = (target for _, target in self.leaving[name] if target is not None)
            self.behind[name] = max((self.behind[end] + 1 for end in ends), default=0)
        self.order = tuple(grid.strides)
        place = {name: at for at, name in enumerate(self.order)}
        self.last = {one: max((place[end] for end in ends if end), default=-1) for one, ends in grid.joins.items()}
        self.rank = {edge: at for at, edge in enumerate(edges)}
        self.start: Pending = frozenset((edge, None) for edge in edges if edge[0] is None)
        self.levels: list[dict[Pending, list[tuple[Pending, Content]]]] = []
        self.placed: set[str] = set()
        self.made = 0

    def run(self) -> bool:
        """Find all states; whether that came to an end."""
        current: dict[Pending, list[tuple[Pending, Content]]] = {self.start: []}
        for at, place in enumerate(self.order):
            following: dict[Pending, list[tuple[Pending, Content]]] = {}
            for state in current:
                for content, found in self.ways(state, place):
                    if all(self.is_alive(edge, end, at) for edge, end in found):
                        following.setdefault(found, []).append((state, content))
                        if isinstance(content, str):
                            self.placed.add(content)
            self.made += len(following)
            if self.made > self.most:
                return False
            self.levels.append(following)
            current = following
        return True

    def ways(self, state: Pending, place: str) -> Iterator[tuple[Content, Pending]]:
        """What may lie at `place`, and what is pending then."""
        yield None, state
        reads_input = place in self.grid.joins[None]
        near = [(edge, end) for edge, end in state if place in self.grid.joins[end]]
        arrivals = dict(sorted(near, key=lambda one: self.rank[one[0]]))
        if reads_input and not any(end is None for end in arrivals.values()):
            return
        if self.subdivide:
            for edge, end in arrivals.items():
                if (end is None) == reads_input and self.may_ride(edge, end, place):
                    yield edge, state - {(edge, end)} | {(edge, place)}
        for name in dict.fromkeys(target for _, target in arrivals):
            if name is None or self.strides[name] != self.grid.strides[place]:
                continue
            taken = {(edge, arrivals[edge]) for edge in self.arriving[name] if edge in arrivals}
            if len(taken) == len(self.arriving[name]) and any(end is None for _, end in taken) == reads_input:
                yield name, state - taken | {(edge, place) for edge in self.leaving[name]}

    def may_ride(self, edge: Edge, end: Place, place: str) -> bool:
        """Whether an edge that came to `end` may go on through `place`, towards the scale that it leads to."""
        source, target = edge
        wanted = self.strides[target or source or ""]
        here = wanted if end is None else self.grid.strides[end]
        return min(here, wanted) <= self.grid.strides[place] <= max(here, wanted)

    def is_alive(self, edge: Edge, end: Place, at: int) -> bool:
        """Whether what leads on from `end` can still end `edge`, once place number `at` is behind."""
        target = edge[1]
        if target is None:
            return None in self.grid.joins[end] or (self.subdivide and self.last[end] > at)
        if end is None:
            return self.last[end] > at
        return self.last[end] > at and self.grid.ahead[end] > self.behind[target]

    def embeddings(self) -> Iterator[Embedding]:
        """All embeddings, from the states that are found."""
        for state in self.levels[-1]:
            if all(edge[1] is None and None in self.grid.joins[end] for edge, end in state):
                yield from self.unrolled(state)

    def unrolled(self, last: Pending) -> Iterator[Embedding]:
        """The embeddings that end in a state."""
        waiting: list[tuple[int, Pending, tuple[tuple[str, Content], ...]]] = [(len(self.levels) - 1, last, ())]
        while waiting:
            at, state, behind = waiting.pop()
            if at < 0:
                yield from self.routed(behind)
                continue
            for before, content in self.levels[at][state]:
                found = behind if content is None else ((self.order[at], content), *behind)
                waiting.append((at - 1, before, found))

    def routed(self, contents: tuple[tuple[str, Content], ...]) -> Iterator[Embedding]:
        """The embeddings that put `contents` at their places, one for each choice among routes with the same ends."""
        places: dict[str, str] = {}
        through: dict[Edge, list[Place]] = {edge: [] if edge[0] else [None] for edge in self.rank}
        for place, content in contents:
            if isinstance(content, str):
                places[content] = place
                for edge in self.arriving[content]:
                    through[edge].append(place)
                for edge in self.leaving[content]:
                    through[edge].append(place)
            elif content is not None:
                through[content].append(place)
        for (_, target), ends in through.items():
            if target is None:
                ends.append(None)
        hops = [
            (edge, self.grid.joins[one][other])
            for edge, ends in through.items()
            for one, other in pairwise(ends)
            if one is not None
        ]
        for chosen in product(*(routes for _, routes in hops)):
            chains: dict[Edge, tuple[str, ...]] = dict.fromkeys(through, ())
            for (edge, _), route in zip(hops, chosen, strict=True):
                chains[edge] += (route,)
            yield Embedding("yes", {name: places[name] for name in self.sketch.strides}, chains)
