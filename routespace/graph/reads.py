"""Reading streams by name and index from where one node stands."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

from routespace.diagnostics import Span, rename, write
from routespace.graph.draft import Ref, Streams
from routespace.graph.places import Place
from routespace.space.arithmetic import count
from routespace.space.expr import Each, Expr, If, Index, Name, Pipe, Sum
from routespace.space.fault import Fault
from routespace.space.registry import OPS
from routespace.space.scope import MOST_INDICES


class Reader:
    """What the names of streams mean at one place.

    `gates` are the gates of the place that have a name, None where one could not be made; `sent` are the streams its
    choices send, `local` all its streams, `failed` those that could not be made.
    """

    def __init__(self, streams: Streams, place: Place) -> None:
        self.streams, self.place = streams, place
        self.scope, self.numbers = streams.scope, streams.numbers
        self.node = place.name
        made = streams.made(place.declaration)
        self.sent, self.local = made.sent, made.all
        self.gates: dict[str, str | None] = {}
        self.failed: set[str] = set()

    def read_name(self, expr: Name) -> Ref:
        name = expr.id
        if name in self.gates:
            help = f"write `{name} * x`, or `sum by {name} {{ … }}`"
            raise Fault("RS314", f"a stream is needed here, `{name}` is a gate", expr.span, help=help)
        if name in self.local:
            return f"{self.node}.{name}"
        if name in self.scope.inputs:
            declared = self.scope.inputs[name]
            if not declared.index:
                return name
            missing = [axis for axis in declared.index if axis not in self.place.env]
            if missing:
                raise wrong_index(name, declared.index, 0, expr.span)
            return self._input(name, tuple(self.place.env[axis] for axis in declared.index), expr.span)
        axes = self.scope.stream_axes.get(name)
        if axes == ():
            place = self.streams.by_stream.get(name, {}).get(())
            return f"{place.name}.{name}" if place else None
        if axes is not None:
            raise wrong_index(name, axes, 0, expr.span)
        if known := self._other_kind(name):
            written = {"an op": f"x | {name}", "a gate": f"{name}(x) * x"}.get(known)
            usage = f"write `{written}` for a stream `x`" if written else None
            raise Fault("RS314", f"a stream is needed here, `{name}` is {known}", expr.span, help=usage)
        raise Fault(
            "RS201",
            f"unknown stream `{name}`",
            expr.span,
            help=rename(name, [*self.local, *self.scope.stream_names()]),
        )

    def _other_kind(self, name: str) -> str:
        """What a name that is no stream is, in words."""
        if name in self.scope.gates:
            return "a gate"
        if self.numbers.is_number(name):
            return "a number"
        return "an op" if name in OPS or name in self.scope.ops or name in self.scope.parameters else ""

    def read_index(self, expr: Index, env: dict[str, Any]) -> Ref:
        name = expr.name
        declared = self.scope.inputs.get(name)
        axes = declared.index if declared else self.scope.stream_axes.get(name)
        if axes is None:
            raise Fault("RS201", f"unknown stream `{name}`", expr.span, help=rename(name, self.scope.stream_names()))
        if len(expr.at) != len(axes):
            raise wrong_index(name, axes, len(expr.at), expr.span)
        index = tuple(self.numbers.integer(part, env) for part in expr.at)
        if declared:
            return self._input(name, index, expr.span)
        place = self.streams.by_stream.get(name, {}).get(index)
        self.streams.reads[id(expr)] = expr
        if place is not None:
            self.streams.falls[id(expr)] = "node"
        elif self.streams.falls.get(id(expr), "off") == "off":
            on_axes = all(
                ordinal in self.scope.axis(axis, expr.span) for axis, ordinal in zip(axes, index, strict=True)
            )
            self.streams.falls[id(expr)] = "between" if on_axes else "off"
        return f"{place.name}.{name}" if place else None

    def _input(self, name: str, index: tuple[int, ...], span: Span | None) -> Ref:
        declared = self.scope.inputs[name]
        axes = [self.scope.axis(axis, span) for axis in declared.index]
        if any(ordinal not in axis for axis, ordinal in zip(axes, index, strict=True)):
            return None
        return ".".join([name, *(axis.label(ordinal) for axis, ordinal in zip(axes, index, strict=True))])

    def crosses(self, ref: str) -> bool:
        """Whether a value is a stream on its way: sent by a route, or made by another node."""
        origin = self.streams.origins.get(ref)
        return origin is not None and (origin.name != self.node or ref[len(self.node) + 1 :] in self.sent)

    def family(self, expr: Expr, env: dict[str, Any]) -> list[dict[str, Any]]:
        """Environments for an indexed read whose axes are not all bound here, in order of the free axes."""
        free = [
            part.id
            for part in (expr.at if isinstance(expr, Index) else ())
            if isinstance(part, Name) and part.id in self.scope.axes and part.id not in env
        ]
        if not free:
            return [env]
        axes = [self.scope.axes[name] for name in free]
        if (members := prod(len(axis.labels) for axis in axes)) > MOST_INDICES:
            raise Fault("RS801", f"this reads {count(members)} streams at once; at most {MOST_INDICES}", expr.span)
        spans = [range(axis.low, axis.high + 1) for axis in axes]
        return [{**env, **dict(zip(free, index, strict=True))} for index in itertools.product(*spans)]

    def is_stream(self, expr: Expr) -> bool:
        match expr:
            case Index():
                return expr.name in self.scope.stream_axes or expr.name in self.scope.inputs
            case Name():
                return expr.id in self.local or expr.id in self.scope.inputs or expr.id in self.scope.stream_axes
            case Each():
                return self.is_stream(expr.value)
            case Pipe():
                return self.is_stream(expr.stages[0])
            case Sum():
                return any(self.is_stream(term) for term in expr.terms)
            case If():
                return self.is_stream(expr.value) or self.is_stream(expr.otherwise)
        return False


def wrong_index(name: str, axes: Sequence[str], given: int, span: Span | None) -> Fault:
    """What to say of a stream that is read by another number of indices than it has."""
    if not axes:
        return Fault("RS304", f"`{name}` has no index", span, help=write(name, span))
    message = f"`{name}` is read by index `{name}[{', '.join(axes)}]`"
    return Fault("RS304", f"{message}, {given} given" if given else message, span)
