"""A space as one text of its own, and smaller ones of the same kinds of parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from routespace.diagnostics import RouteError
from routespace.graph.build import build
from routespace.graph.ir import Route, RouteGraph
from routespace.graph.nets import hold
from routespace.graph.verify import verify
from routespace.language.format import format_file, format_text
from routespace.language.prelude import prelude_ops
from routespace.space.expr import Clause, File, Number, Param, TopLevel
from routespace.space.fault import Fault
from routespace.space.model import Binding, Space, without_spans
from routespace.testing.oracle.sizes import leaf_paths, op_of

SMALL = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def standalone(space: Space) -> str:
    """The text of a file that declares `space` with nothing imported and nothing given from outside.

    >>> from routespace.language.load import loads
    >>> print(standalone(loads("space s(width = 8) { input i: 3; output y = i | conv(3, width) }", width=4)), end="")
    space s(width = 4) {
      input i: 3
      output y = i | conv(3, width)
    }
    """
    bound = {one.name: one.value for one in space.parameters}
    declared = space.declaration
    params = tuple(Param(one.name, bound.get(one.name, one.default)) for one in declared.params)
    given = {one.name for one in space.overrides}
    body = tuple(one for one in declared.body if not (isinstance(one, Clause) and one.name in given))
    whole = replace(declared, params=params, body=(*body, *space.overrides))
    beside = [one for one in space.library if one.name not in prelude_ops()]
    items: tuple[TopLevel, ...] = (*beside, whole, *space.nets)
    return format_text(format_file(File("<space>", without_spans(items))))


def with_nets_it_has(space: Space) -> tuple[Space, tuple[str, ...]]:
    """`space` without the nets that it does not have the routes for, and their names."""
    graph, strangers = build(space), []
    for net in space.nets:
        try:
            hold(graph, net)
        except RouteError:
            strangers.append(net.name)
    return replace(space, nets=tuple(net for net in space.nets if net.name not in strangers)), tuple(strangers)


def smaller(space: Space) -> Space:
    """`space` with its whole numbers as small as they go, one by one, while it has every kind of op, gate and route.

    What is large only by its parameters is searched faster so.
    """
    wanted = kinds(build(space))
    for place, one in enumerate(space.parameters):
        if not isinstance(one.value, Number) or not isinstance(one.value.value, int):
            continue
        for number in (number for number in SMALL if number < one.value.value):
            changed = _with(space, place, Binding(one.name, Number(number)))
            if kinds_of(changed) == wanted:
                space = changed
                break
    return space


def _with(space: Space, place: int, binding: Binding) -> Space:
    parameters = (*space.parameters[:place], binding, *space.parameters[place + 1 :])
    return replace(space, parameters=parameters, nets=())


def kinds_of(space: Space) -> frozenset[str] | None:
    """The kinds of parts of a space; None where it cannot be built."""
    try:
        return kinds(verify(build(space)))
    except (RouteError, Fault):
        return None


def kinds(graph: RouteGraph) -> frozenset[str]:
    """Names of the ops, activations, routes and kinds of values in a graph."""
    return frozenset(_kinds(graph))


def _kinds(graph: RouteGraph) -> Iterator[str]:
    for value in graph.values:
        yield type(value).__name__
        found = op_of(value)
        if found is not None:
            yield from (f"op {leaf.entry}" for _, leaf in leaf_paths("", found[1]))
        if isinstance(value, Route):
            yield f"closed {value.closed is not None}"
    for gate in graph.gates:
        yield f"gate {gate.activation}"
        yield from (f"route {route}" for route in gate.routes)
