"""Which sizes of images fit a space: those at which each of its ops gets what it needs."""

from __future__ import annotations

from routespace.graph.infer import Size, Sizes, image_size, infer
from routespace.graph.ir import RouteGraph
from routespace.graph.kept import kept
from routespace.space.fault import Fault


def misfit(graph: RouteGraph, size: Sizes) -> Fault | None:
    """What is wrong with images of `size`, or None where they fit."""
    try:
        infer(graph, size)
    except Fault as fault:
        return fault
    return None


@kept
def least_size(graph: RouteGraph) -> Size:
    """The smallest height, and the smallest width beside it, of images that fit.

    Not every larger size has to fit: where streams are halved and doubled again, only multiples do.
    """
    high, wide = graph.probe
    height = next(one for one in range(1, high + 1) if one == high or misfit(graph, (one, wide)) is None)
    width = next(one for one in range(1, wide + 1) if one == wide or misfit(graph, (height, one)) is None)
    return height, width


def refusal(graph: RouteGraph, size: Sizes) -> str | None:
    """Why images of `size` are refused, in words: what needs them to be otherwise, and the least that fit."""
    fault = misfit(graph, size)
    if fault is None:
        return None
    height, width = image_size(graph, size)
    least = least_size(graph)
    told = f"{fault.message} ({', '.join(fault.notes)})" if fault.notes else fault.message
    is_small = height < least[0] or width < least[1]
    rest = "the smallest that fit have" if is_small else "sizes that fit begin at"
    return f"images of {height}x{width} do not fit space `{graph.name}`: {told}; {rest} {least[0]}x{least[1]}"
