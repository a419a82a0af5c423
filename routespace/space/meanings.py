"""What a bare name means as a number where nothing around it gives it a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, TypeAlias

from routespace.diagnostics import Span, rename
from routespace.space.definitions import Definitions
from routespace.space.expr import Call, Items, Name
from routespace.space.fault import Fault
from routespace.space.registry import OPS
from routespace.space.scope import Scope
from routespace.space.walk import name_of

Env: TypeAlias = Mapping[str, Any]
Value: TypeAlias = Any
Closure: TypeAlias = Callable[[Env], Value]

AXES = ""
"""Among the names of an op: the indices of the axes around it, where its parameters hide some."""


def around(env: Env) -> Env:
    """Where the axes have the values that they have around an op."""
    found: Env = env.get(AXES, env)
    return found


class Meanings:
    """Parameters, attributes, indices of axes and `let`s of one space. Each is computed from declarations alone, never
    from the names that happen to have a value where it is read."""

    def __init__(self, scope: Scope, definitions: Definitions) -> None:
        self.scope, self.definitions = scope, definitions

    def is_number(self, name: str) -> bool:
        """Whether a bare `name` can be a number here."""
        seen: set[str] = set()
        bound = self.scope.parameters.get(name)
        while bound is not None and name not in seen:
            seen.add(name)
            if not isinstance(bound, Name):
                return not isinstance(bound, Items)
            name, bound = bound.id, self.scope.parameters.get(bound.id)
        return name in ("yes", "no") or name in self.scope.numbers

    def of(self, name: str, span: Span | None) -> Closure:
        """The value of `name`, as a function of the names that have one around it."""
        scope = self.scope
        define = self.definitions.value
        items = self.items(name)
        if items is not None and self._lists_ops(items):
            return partial(_raise, partial(self._of_parameter, name, "a list of ops", span))
        if name in scope.parameters and (self.is_number(name) or items is not None):
            bound = scope.parameters[name]
            return lambda env: define((name, ()), bound, {}, span)
        if name in scope.attributes:
            axis, value = scope.attributes[name]

            def attribute(env: Env) -> Value:
                at = around(env).get(axis.name)
                if at is None:
                    raise Fault(
                        "RS202",
                        f"`{name}` has no value here: it differs along `{axis.name}`",
                        span,
                        help=f"write `{name}[…]`",
                    )
                if axis.name in scope.axes:
                    scope.axes[axis.name].check(at, span)
                return define((name, (at,)), value, {axis.name: at}, span)

            return attribute
        if name in scope.axis_values:
            ordinal = scope.axis_values[name][1]
            return lambda env: ordinal
        if name in scope.lets:
            declared = scope.lets[name]
            if declared.index:
                raise Fault("RS304", f"`{name}` is read by index: `{name}[{', '.join(declared.index)}]`", span)
            return lambda env: define((name, ()), declared.value, {}, span)
        return partial(_raise, cache(partial(self._no_number, name, span)))

    def items(self, name: str) -> Items | None:
        """The list that a parameter is bound to, by way of others if need be."""
        seen: set[str] = set()
        bound = self.scope.parameters.get(name)
        while isinstance(bound, Name) and bound.id not in seen:
            seen.add(bound.id)
            bound = self.scope.parameters.get(bound.id)
        return bound if isinstance(bound, Items) else None

    def _lists_ops(self, items: Items) -> bool:
        return any(self._is_op(name_of(one)) for one in items.items if isinstance(one, (Name, Call)))

    def _is_op(self, name: str) -> bool:
        return (name in self.scope.ops or name in OPS) and not self.is_number(name)

    def _of_parameter(self, name: str, what: str, span: Span | None) -> Fault:
        """A parameter that is `what` where a number is needed."""
        declared = next((one.span for one in self.scope.space.declaration.params if one.name == name), None)
        others = [(declared, "declared here")] if declared else []
        return Fault("RS301", f"a number is needed here, `{name}` is {what}", span, others=others)

    def _no_number(self, name: str, span: Span | None) -> Fault:
        scope = self.scope
        if name in scope.axis_declarations:
            return Fault("RS202", f"`{name}` has no value here", span, f"a node at `{name}`, or an index, gives it one")
        if name in ("channels", "routes"):
            where = "an op has channels" if name == "channels" else "the body of a gate has routes"
            return Fault("RS202", f"`{name}` has no value here", span, f"only {where}")
        if name in scope.ops or name in scope.parameters or name in OPS:
            return self._of_parameter(name, "an op", span)
        if name in scope.stream_axes or name in scope.inputs:
            return Fault("RS301", f"a number is needed here, `{name}` is a stream", span)
        if name in scope.gates:
            return Fault("RS301", f"a number is needed here, `{name}` is a gate", span)
        return Fault("RS201", f"unknown name `{name}`", span, help=rename(name, scope.number_names()))


def _raise(fault: Callable[[], Fault], env: Env) -> Value:
    """The value of a name that has none."""
    raise fault().again()
