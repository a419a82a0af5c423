"""How long a four-scale space takes to answer questions about its nets, by depth.

`python -m benchmarks.questions` prints the table in seconds; every answer is exact. States are those of the diagram of
all nets: they grow with the depth, the nets do with its power.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import routespace as rs
from routespace.graph.ir import RouteGraph
from routespace.language.asked import read_requirement
from routespace.questions.costs import ROUTES, WORK, PricedNets
from routespace.questions.nets import Nets
from routespace.questions.window import Window

SPACE = Path(__file__).parent.parent / "examples" / "segmentation.route"
DEPTHS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
SIZE = (1024, 2048)

BOUNDED = ("open(x[layer, scale]) <= 2",)
LOCAL = ("not down[layer, scale] or keep[layer + 1, scale + 1]", "any(x[l, s32] for l in 0..8)", "x[depth, s4]")


def asked(graph: RouteGraph, *conditions: str) -> Nets:
    return Nets(graph, [read_requirement(text)[0] for text in conditions])


def excluded(graph: RouteGraph) -> object:
    return asked(graph, "x[5, s32]", "keep[0, s4]", "not any(x[l, s16] for l in layer)").why_empty()


def middle(graph: RouteGraph) -> object:
    """Five nets in a window of 1 % around the middle of work and of parameters."""
    priced = PricedNets(Nets(graph), SIZE)
    ends = [(priced.cheapest(kind), priced.dearest(kind)) for kind in (0, 1)]
    windows = []
    for kind, (low, high) in enumerate(ends):
        assert low and high
        center = ((low.work, low.parameters)[kind] + (high.work, high.parameters)[kind]) // 2
        windows.append(Window(center * 199 // 200, center * 201 // 200))
    found = list(islice(priced.find(*windows), 5))
    assert len(found) == 5
    return found


def contained(graph: RouteGraph) -> object:
    nets = Nets(graph)
    (net,) = nets.sample(1)
    return nets.contains(net)


QUESTIONS: dict[str, Callable[[RouteGraph], object]] = {
    "count": lambda graph: Nets(graph).count(),
    "single path": lambda graph: asked(graph, "single_path").count(),
    "at most 2": lambda graph: asked(graph, *BOUNDED).count(),
    "local": lambda graph: asked(graph, *LOCAL).count(),
    "symmetric": lambda graph: asked(graph, "symmetric").count(),
    "down as up": lambda graph: asked(graph, "symmetric(down, up)").count(),
    "why empty": excluded,
    "sample 100": lambda graph: list(Nets(graph).sample(100)),
    "contains": contained,
    "cheapest": lambda graph: PricedNets(Nets(graph), SIZE).cheapest(WORK),
    "longest": lambda graph: PricedNets(asked(graph, "single_path"), SIZE).dearest(ROUTES),
    "find 5": middle,
}


def main() -> None:
    print("| depth | digits of count | states |", *(f" {name} |" for name in QUESTIONS), sep="")
    print("|---|---|---|", "---|" * len(QUESTIONS), sep="")
    for depth in DEPTHS:
        graph = rs.build(rs.load(SPACE, depth=depth))
        nets = Nets(graph)
        cells = [str(depth), str(len(str(nets.count()))), f"{sum(map(len, nets.diagram.levels)):,}"]
        for ask in QUESTIONS.values():
            begin = time.perf_counter()
            ask(graph)
            cells.append(f"{time.perf_counter() - begin:.2f}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
