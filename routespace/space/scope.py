"""What the names of one space stand for, before anything is expanded."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from routespace.diagnostics import Span
from routespace.space.expr import (
    AxisDecl,
    Clause,
    Expr,
    GateDecl,
    InputDecl,
    LetDecl,
    NodeDecl,
    OpDecl,
    OutputDecl,
    Range,
    ShareDecl,
)
from routespace.space.fault import Fault, head_of
from routespace.space.model import Space
from routespace.space.registry import OPS

MOST_INDICES = 20_000


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis with its ordinals: `low` is the first, `labels` name them (`layer3`, or `s8`)."""

    name: str
    low: int
    labels: tuple[str, ...]
    declaration: AxisDecl

    @property
    def high(self) -> int:
        return self.low + len(self.labels) - 1

    def __contains__(self, ordinal: object) -> bool:
        return isinstance(ordinal, int) and self.low <= ordinal <= self.high

    def check(self, ordinal: object, span: Span | None) -> None:
        """`Fault` RS501 if the index written at `span` is not one of the axis."""
        if ordinal not in self:
            others = [(head_of(self.declaration), f"it runs from {self.low} to {self.high}")]
            raise Fault("RS501", f"index {ordinal} is off the axis `{self.name}`", span, others=others)

    def label(self, ordinal: int) -> str:
        return self.labels[ordinal - self.low]


@dataclass
class Scope:
    """Declarations of a space by name."""

    space: Space
    parameters: dict[str, Expr] = field(default_factory=dict)
    inputs: dict[str, InputDecl] = field(default_factory=dict)
    axis_declarations: dict[str, AxisDecl] = field(default_factory=dict)
    axes: dict[str, Axis] = field(default_factory=dict)
    lets: dict[str, LetDecl] = field(default_factory=dict)
    ops: dict[str, OpDecl] = field(default_factory=dict)
    gates: dict[str, GateDecl] = field(default_factory=dict)
    nodes: list[NodeDecl] = field(default_factory=list)
    outputs: list[OutputDecl] = field(default_factory=list)
    shares: list[ShareDecl] = field(default_factory=list)
    clauses: list[Clause] = field(default_factory=list)

    @classmethod
    def of(cls, space: Space) -> Scope:
        scope = cls(space, {binding.name: binding.value for binding in space.parameters})
        for declared in (*space.library, *space.declaration.body):
            match declared:
                case InputDecl():
                    scope.inputs[declared.name] = declared
                case AxisDecl():
                    scope.axis_declarations[declared.name] = declared
                case LetDecl():
                    scope.lets[declared.name] = declared
                case OpDecl():
                    scope.ops[declared.name] = declared
                case GateDecl():
                    scope.gates[declared.name] = declared
                case NodeDecl():
                    scope.nodes.append(declared)
                case OutputDecl():
                    scope.outputs.append(declared)
                case ShareDecl():
                    scope.shares.append(declared)
                case Clause():
                    scope.clauses.append(declared)
        return scope

    @cached_property
    def attributes(self) -> dict[str, tuple[AxisDecl, Expr]]:
        """Attribute name to the axis it belongs to and its expression."""
        return {
            attribute.name: (axis, attribute.value)
            for axis in self.axis_declarations.values()
            for attribute in axis.attributes
        }

    @cached_property
    def axis_values(self) -> dict[str, tuple[str, int]]:
        """Name of an axis value to its axis and ordinal (`s8` is scale 1)."""
        return {
            label: (axis.name, ordinal)
            for axis in self.axis_declarations.values()
            if not isinstance(axis.values, Range)
            for ordinal, label in enumerate(axis.values)
        }

    @cached_property
    def stream_axes(self) -> dict[str, tuple[str, ...]]:
        """Every stream that a node declares, and the axes it is read by."""
        return {name: node.axes for node in self.nodes for name in streams_of(node)}

    @cached_property
    def numbers(self) -> frozenset[str]:
        return frozenset(self.number_names())

    def number_names(self) -> list[str]:
        return [
            *self.parameters,
            *self.axis_declarations,
            *self.axis_values,
            *self.attributes,
            *self.lets,
            "channels",
            "routes",
        ]

    def op_names(self) -> list[str]:
        return [*self.ops, *OPS, *(name for name in self.parameters)]

    def stream_names(self) -> list[str]:
        return [*self.inputs, *self.stream_axes]

    def axis(self, name: str, span: Span | None) -> Axis:
        axis = self.axes.get(name)
        if axis is None:
            raise Fault("RS205", f"`{name}` is not an axis that can be used", span)
        return axis


def streams_of(node: NodeDecl) -> list[str]:
    """Names of the streams that a node declaration makes readable."""
    from routespace.space.expr import Equation

    names: list[str] = []
    for part in node.body:
        if isinstance(part, Equation):
            names.append(part.name)
        else:
            names.extend(branch.name for branch in part.branches)
    return names
