"""Sizes: images that every op of a space can do with run in every form, and no others run in any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from routespace.graph.ir import Output, RouteGraph
from routespace.graph.sizes import least_size
from routespace.runtime.errors import InputError
from routespace.testing.laws.subject import FORMS, Subject
from routespace.testing.oracle.sizes import Plan, Size, Sizes, plan

LAW = "sizes are what ops need"


def sizes_are_what_ops_need(subject: Subject) -> None:
    """The least size is the first that fits, outputs have the sizes counted for them, and what does not fit is refused
    with an `InputError`, in every form."""
    least = _least(subject.graph)
    if least_size(subject.graph) != least:
        raise subject.fail(LAW, f"the least size is told as {least_size(subject.graph)}, and {least} fits")
    for height, width in _tried(least):
        case = replace(subject.case, height=height, width=width, batch=1)
        planned = _planned(subject.graph, case.size)
        for form in FORMS:
            try:
                outcome = subject.run(form, case.images)
            except InputError as error:
                if planned is not None:
                    raise subject.fail(LAW, f"{form} refuses {height}x{width}, which fit: {error}") from None
                continue
            if planned is None:
                raise subject.fail(LAW, f"{form} runs {height}x{width}, which do not fit")
            made = {key: tuple(output.shape[2:]) for key, output in subject.outputs(outcome).items()}
            wanted = _outputs(subject.graph, planned)
            if made != wanted:
                raise subject.fail(LAW, f"{form} makes {made} of {height}x{width}, {wanted} is counted")


def _least(graph: RouteGraph) -> Size:
    """The first height and width that a plan can be made for, beside sides that fit."""
    high, wide = graph.probe
    height = next(one for one in range(1, high + 1) if _planned(graph, (one, wide)) is not None)
    return height, next(one for one in range(1, wide + 1) if _planned(graph, (height, one)) is not None)


def _tried(least: Size) -> Iterator[Size]:
    """Sizes at the least one and around it, and odd ones."""
    height, width = least
    yield least
    yield height, width + 1
    if height > 1:
        yield height - 1, width
    if width > 1:
        yield height, width - 1
    yield height + 4, width + 2


def _planned(graph: RouteGraph, size: Sizes) -> Plan | None:
    try:
        return plan(graph, size)
    except ValueError:
        return None


def _outputs(graph: RouteGraph, planned: Plan) -> dict[str, Size]:
    """Height and width of each output, by key."""
    found = {value.key: planned.extents[value.name] for value in graph.values if isinstance(value, Output)}
    return {key: (extent.height, extent.width) for key, extent in found.items()}
