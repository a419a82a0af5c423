"""Axes and the places on them: which indices a node declaration stands at."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from routespace.diagnostics import Findings
from routespace.space.arithmetic import count
from routespace.space.expr import AxisDecl, Binary, Expr, Name, NodeDecl, Range
from routespace.space.fault import Fault
from routespace.space.numbers import Numbers
from routespace.space.scope import MOST_INDICES, Axis, Scope

MOST_NODES = 10_000
MOST_TRIED = 100_000


@dataclass(frozen=True, slots=True)
class Place:
    """One node: its name and the value of every axis it stands at."""

    name: str
    index: tuple[int, ...]
    env: dict[str, int]
    declaration: NodeDecl


def resolve_axes(scope: Scope, numbers: Numbers, findings: Findings) -> None:
    """Fill `scope.axes`; an axis that has no meaning is reported and left out."""
    for declared in scope.axis_declarations.values():
        try:
            scope.axes[declared.name] = _axis(declared, numbers)
        except Fault as fault:
            values = (declared.values,) if isinstance(declared.values, Range) else ()
            numbers.told(fault, {}, *values).report(findings)


def _axis(declared: AxisDecl, numbers: Numbers) -> Axis:
    if not isinstance(declared.values, Range):
        return Axis(declared.name, 0, declared.values, declared)
    low = numbers.integer(declared.values.low, {})
    high = numbers.integer(declared.values.high, {})
    if high < low:
        raise Fault("RS502", f"axis `{declared.name}` is empty: it runs from {low} to {high}", declared.values.span)
    if low < 0:
        raise Fault("RS313", f"axis `{declared.name}` starts at {low}; indices count from 0", declared.values.span)
    if high - low >= MOST_INDICES:
        raise Fault(
            "RS801",
            f"axis `{declared.name}` has {count(high - low + 1)} indices; at most {MOST_INDICES}",
            declared.values.span,
        )
    return Axis(declared.name, low, tuple(f"{declared.name}{i}" for i in range(low, high + 1)), declared)


def check_attributes(scope: Scope, numbers: Numbers, findings: Findings) -> None:
    """Report attributes that have no value at some index of their axis, read or not; one cause is told once."""
    told: set[object] = set()
    for axis in scope.axes.values():
        for attribute in axis.declaration.attributes:
            try:
                for at in range(axis.low, axis.high + 1):
                    numbers.number(attribute.value, {axis.name: at})
            except Fault as fault:
                if fault.cause not in told:
                    told.add(fault.cause)
                    fault.report(findings)


def places_of(scope: Scope, numbers: Numbers, findings: Findings) -> list[Place]:
    """Every node of the space in order of declaration and index; two at one place are reported."""
    places: list[Place] = []
    taken: dict[str, NodeDecl] = {}
    for declared in scope.nodes:
        found = 0
        try:
            for place in _enumerate(declared, scope, numbers):
                found += 1
                other = taken.setdefault(place.name, declared)
                if other is not declared:
                    is_bare = not declared.axes and declared.name is None
                    message = f"node `{place.name}` is declared twice"
                    help = "divide the places with `where`, or name the nodes"
                    if is_bare:
                        message, help = "two nodes have neither a name nor axes", "give each a name: `node NAME { … }`"
                    others = [(other.span, "first here")]
                    raise Fault("RS503", message, declared.span, "again here", others=others, help=help)
                places.append(place)
                if len(places) > MOST_NODES:
                    raise Fault("RS801", f"the space has more than {MOST_NODES} nodes", declared.span)
        except Fault as fault:
            fault.report(findings)
            if fault.code == "RS801":
                break
            continue
        if not found:
            findings.add(
                "RS504", "no index fits this node's condition: it stands nowhere", (declared.where or declared).span
            )
    return places


def _enumerate(declared: NodeDecl, scope: Scope, numbers: Numbers) -> Iterator[Place]:
    if not declared.axes:
        yield Place(declared.name or "node", (), {}, declared)
        return
    axes = [scope.axis(name, declared.span) for name in declared.axes]
    bounds = {axis.name: [axis.low, axis.high] for axis in axes}
    _narrow(declared.where, bounds, numbers)
    ranges = [range(bounds[axis.name][0], bounds[axis.name][1] + 1) for axis in axes]
    tried = 1
    for one in ranges:
        tried *= max(1, len(one))
    if tried > MOST_TRIED:
        message = f"this node has {count(tried)} candidate places; at most {MOST_TRIED} are tried"
        raise Fault("RS801", message, declared.span, help="compare an axis with a number in its `where`")
    for index in itertools.product(*ranges):
        env = dict(zip(declared.axes, index, strict=True))
        if declared.where is None or numbers.truth(declared.where, env):
            label = ".".join(axis.label(ordinal) for axis, ordinal in zip(axes, index, strict=True))
            yield Place(f"{declared.name}.{label}" if declared.name else label, index, env, declared)


def _narrow(condition: Expr | None, bounds: dict[str, list[int]], numbers: Numbers) -> None:
    """Shrink `bounds` by the conjuncts of `condition` that compare an axis with a constant."""
    if not isinstance(condition, Binary):
        return
    if condition.op == "and":
        _narrow(condition.left, bounds, numbers)
        _narrow(condition.right, bounds, numbers)
        return
    if not isinstance(condition.left, Name) or condition.left.id not in bounds:
        return
    try:
        constant: Any = numbers.value(condition.right, {})
    except Fault:
        return
    if not isinstance(constant, int) or isinstance(constant, bool):
        return
    bound = bounds[condition.left.id]
    if condition.op in ("==", ">=", ">"):
        bound[0] = max(bound[0], constant + (condition.op == ">"))
    if condition.op in ("==", "<=", "<"):
        bound[1] = min(bound[1], constant - (condition.op == "<"))
