"""Small random spaces, random requirements, and the slow way to answer: look at every set of routes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import routespace as rs
from routespace.graph.ir import Gate, Input, Output, Route, RouteGraph
from routespace.graph.nets import Held

Net = frozenset[str]
SCALES = ("a", "b", "c")
MOST_ROUTES = 11


def write_space(dice: random.Random) -> str:
    """A small grid: layers, scales, routes to the next layer and sometimes further, gated blocks, several outputs."""
    depth, width = dice.choice([(1, 2), (2, 2), (3, 2), (2, 3), (3, 1), (4, 1), (3, 2)])
    far = dice.random() < 0.25
    names = [name for name in ("keep", "up", "down") if width > 1 or name == "keep"]
    reads = {"keep": "keep[layer - 1, scale]", "up": "up[layer - 1, scale + 1]", "down": "down[layer - 1, scale - 1]"}
    ops = {"keep": "relu", "up": "conv(1) | resize(to = scale - 1)", "down": "conv(3, stride = 2)", "far": "conv(1)"}
    arrivals = " + ".join([*(reads[name] for name in names), *(["far[layer - 2, scale]"] if far else [])])
    begins = (
        dice.choice(["layer == 0", "layer == 0", "layer <= 1 and scale == 1 or layer == 0"])
        if width > 1
        else "layer == 0"
    )
    where = dice.choice(["scale <= layer", "scale <= layer", "layer >= 0", "scale <= layer and scale <= depth - layer"])
    kind = dice.choice(["relu_tanh", "relu_tanh", "argmax"])
    block = dice.random() < 0.15
    closed = dice.choice(["", "", " closed keep = x"])
    branches = "\n".join(f"      {name}: {ops[name]}" for name in [*names, *(["far"] if far else [])])
    ends = dice.sample(range(width), dice.randint(1, width))
    outputs = [f"  output y{scale} = keep[depth, {SCALES[scale]}]{dice.choice(['', ' | conv(1)'])}" for scale in ends]
    if dice.random() < 0.15:
        outputs.append(f"  output early = x[{dice.randint(1, depth)}, a]")
    return f"""space random(depth = {depth}) {{
  input image: 3
  axis layer = 0..depth
  axis scale = {", ".join(SCALES[:width])} with stride = 4 * 2^scale
  gate soft per image {{ body mean | conv(1, routes, bias); activation {kind} }}
  node at layer, scale where {where} {{
    x = image | conv(3, 4, stride = 4 * 2^scale) if {begins} else {arrivals}
    h = {"x + soft(x) * (x | conv(3))" if block else "x | conv(3) | relu"}
    send h by soft(x) {{
{branches}
    }}{closed}
  }}
{chr(10).join(outputs)}
{dice.choice(["", "", "  share across(layer)"])}
  live {dice.choice(["by_route", "by_node"])}
}}
"""


def random_graph(dice: random.Random) -> RouteGraph:
    """A graph with a few routes, at least one."""
    while True:
        try:
            graph = rs.build(rs.loads(write_space(dice)))
        except rs.RouteError:
            continue
        if 1 <= sum(isinstance(value, Route) for value in graph.values) <= MOST_ROUTES:
            return graph


@dataclass(frozen=True)
class Sight:
    """What can be seen of one set of open routes."""

    graph: RouteGraph
    net: Net

    @cached_property
    def forward(self) -> set[str]:
        """Values that a path from an input leads to."""
        found: set[str] = set()
        for value in self.graph.values:
            if isinstance(value, Input):
                found.add(value.name)
            elif isinstance(value, Route):
                if value.name in self.net and value.source in found:
                    found.add(value.name)
            elif not isinstance(value, Gate) and any(arg in found for arg in value.args):
                found.add(value.name)
        return found

    @cached_property
    def backward(self) -> set[str]:
        """Values that a path leads on from to an output."""
        found: set[str] = set()
        for value in reversed(self.graph.values):
            if isinstance(value, Output):
                found.update((value.name, *value.args))
            elif isinstance(value, Route):
                if value.name in found and value.name in self.net:
                    found.add(value.source)
            elif value.name in found and not isinstance(value, Gate):
                found.update(value.args)
        return found

    def is_proper(self) -> bool:
        outputs = {value.name for value in self.graph.values if isinstance(value, Output)}
        return bool(outputs & self.forward) and self.net <= self.forward & self.backward

    def route(self, name: str, layer: int, scale: int) -> bool:
        return scale in range(3) and f"layer{layer}.{SCALES[scale]}.{name}" in self.net

    def node(self, layer: int, scale: int) -> bool:
        name = f"layer{layer}.{SCALES[scale]}"
        seen = self.forward & self.backward
        return any(
            value.node == name and value.name in seen and not isinstance(value, Gate) for value in self.graph.values
        )

    def open(self, layer: int, scale: int) -> int:
        return sum(one.startswith(f"layer{layer}.{SCALES[scale]}.") for one in self.net)

    @property
    def depth(self) -> int:
        assert self.graph.space is not None
        depth = self.graph.space.parameter("depth")
        assert isinstance(depth, int)
        return depth

    @property
    def scales(self) -> int:
        return max(node.index[1][1] for node in self.graph.nodes) + 1

    def places(self) -> Iterator[tuple[int, int]]:
        return product(range(self.depth + 1), range(self.scales))

    def hops(self) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
        """Every route from node to node there is, with its ends."""
        nodes = {node.name: (node.index[0][1], node.index[1][1]) for node in self.graph.nodes}
        for value in self.graph.values:
            if isinstance(value, Route) and value.sends:
                ends = {self.graph.by_name[one].node for one in self.graph.readers[value.name]} & nodes.keys()
                yield from ((value.name, nodes[value.node], nodes[end]) for end in ends)


Predicate = Callable[[Sight], bool]


def random_requirement(dice: random.Random, graph: RouteGraph) -> tuple[str, Predicate]:
    """A requirement and, written anew, what it means."""
    sight = Sight(graph, frozenset())
    names = sorted({value.name.rsplit(".", 1)[1] for value in graph.values if isinstance(value, Route) and value.sends})
    depth, scales = sight.depth, sight.scales

    def atom() -> tuple[str, Predicate]:
        layer, scale, name = dice.randint(0, depth), dice.randrange(scales), dice.choice([*names, "x", "x"])
        text = f"{name}[{layer}, {SCALES[scale]}]"
        if name == "x":
            return text, lambda one: one.node(layer, scale)
        return text, lambda one: one.route(name, layer, scale)

    def forbidden() -> tuple[str, Predicate]:
        text, says = atom()
        return f"not {text}", lambda one: not says(one)

    def implied() -> tuple[str, Predicate]:
        (text, says), (other_text, other) = atom(), atom()
        return f"not {text} or {other_text}", lambda one: not says(one) or other(one)

    def equal() -> tuple[str, Predicate]:
        (text, says), (other_text, other) = atom(), atom()
        return f"({text}) == ({other_text})", lambda one: says(one) == other(one)

    def reach() -> tuple[str, Predicate]:
        layer, scale = dice.randint(0, depth), dice.randrange(scales)
        text = f"any(x[l, {SCALES[scale]}] for l in 0..{layer})"
        return text, lambda one: any(one.node(at, scale) for at in range(layer + 1))

    def counted() -> tuple[str, Predicate]:
        name, scale, bound = dice.choice(names), dice.randrange(scales), dice.randint(0, depth)
        sign = dice.choice(["<=", ">=", "==", "!=", "<", ">"])
        text = f"sum({name}[l, {SCALES[scale]}] for l in layer) {sign} {bound}"
        return text, lambda one: bool(
            eval(f"{sum(one.route(name, at, scale) for at in range(depth + 1))} {sign} {bound}")
        )

    def at_most() -> tuple[str, Predicate]:
        bound = dice.randint(1, 2)
        return f"open(x[layer, scale]) <= {bound}", lambda one: all(one.open(*at) <= bound for at in one.places())

    def branching() -> tuple[str, Predicate]:
        text = "not x[layer, scale] or layer == 0 or open(x[layer, scale]) != 1"
        return text, lambda one: all(not one.node(*at) or at[0] == 0 or one.open(*at) != 1 for at in one.places())

    def neighbours() -> tuple[str, Predicate]:
        first, second, step = dice.choice(names), dice.choice(names), dice.choice([-1, 0, 1])
        text = f"not {first}[layer, scale] or layer == depth or {second}[layer + 1, scale + {step}]"
        return text.replace("+ -1", "- 1"), lambda one: all(
            not one.route(first, *at) or at[0] == depth or one.route(second, at[0] + 1, at[1] + step)
            for at in one.places()
        )

    def single() -> tuple[str, Predicate]:
        return "single_path", is_single

    def mirrored() -> tuple[str, Predicate]:
        return "symmetric", lambda one: is_mirrored(one, None)

    def mirrored_pair() -> tuple[str, Predicate]:
        pair = (names[0], names[-1])
        return f"symmetric({pair[0]}, {pair[1]})", lambda one: is_mirrored(one, pair)

    makers = [atom, forbidden, implied, equal, reach, counted, at_most, branching, neighbours, single]
    return dice.choice([*makers, mirrored, mirrored_pair])()


def is_single(one: Sight) -> bool:
    """Just one sequence of open routes leads from an input to an output."""
    graph = one.graph
    ways = {value.name: int(isinstance(value, Input)) for value in graph.values}
    ahead: dict[str, set[str]] = {value.name: set() for value in graph.values}  # what a value leads to without routes
    for value in reversed(graph.values):
        for reader in graph.readers[value.name]:
            if isinstance(graph.by_name[reader], Route):
                if value.name == graph.by_name[reader].source:  # type: ignore[union-attr]
                    ahead[value.name].add(reader)
            elif not isinstance(graph.by_name[reader], Gate):
                ahead[value.name] |= {reader, *ahead[reader]}
    total = 0
    for value in graph.values:
        if isinstance(value, Input) or value.name in one.net:
            found = ahead[value.name]
            total += ways[value.name] * any(isinstance(graph.by_name[end], Output) for end in found)
            for end in found & one.net:
                ways[end] += ways[value.name]
    return total == 1


def is_mirrored(one: Sight, pair: tuple[str, str] | None) -> bool:
    def turned(place: tuple[int, int]) -> tuple[int, int]:
        layers = [node.index[0][1] for node in one.graph.nodes]
        return min(layers) + max(layers) - place[0], place[1]

    hops = list(one.hops())
    for name, start, end in hops:
        word = name.rsplit(".", 1)[1]
        if pair is not None and word not in pair:
            continue
        wanted = None if pair is None else pair[1 - pair.index(word)]
        back = [
            other
            for other, begin, stop in hops
            if (begin, stop) == (turned(end), turned(start)) and (wanted is None or other.endswith(f".{wanted}"))
        ]
        if (name in one.net) != any(other in one.net for other in back):
            return False
    return True


def all_nets(graph: RouteGraph) -> list[Sight]:
    """Every proper net."""
    routes = [value.name for value in graph.values if isinstance(value, Route)]
    chosen = (
        frozenset(name for name, bit in zip(routes, bits, strict=True) if bit)
        for bits in product((0, 1), repeat=len(routes))
    )
    return [one for net in chosen if (one := Sight(graph, net)).is_proper()]


def held(graph: RouteGraph, net: Iterable[str]) -> Held:
    return Held({gate: tuple(float(one.name in net) for one in routes) for gate, routes in graph.routes_of.items()})
