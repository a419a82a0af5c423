"""`Space`: one declared routing space with its imports resolved and its parameters bound."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Any, TypeAlias

from routespace.diagnostics import Source
from routespace.space.expr import (
    Binary,
    Clause,
    Expr,
    GateDecl,
    Items,
    Name,
    NetDecl,
    Number,
    OpDecl,
    SpaceDecl,
    Sum,
    Unary,
)

ParameterValue: TypeAlias = "int | float | bool | str | list[ParameterValue] | tuple[ParameterValue, ...]"


@dataclass(frozen=True)
class Binding:
    """A parameter and the value it has in this space."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Space:
    """What a `.route` file says about one space.

    `declaration` is the text's own; `parameters` are bound in the order of its signature; `overrides` are policies
    given from outside, which win over those of the text; `library` holds the ops and gates imported or declared
    beside the space; `nets` are the nets declared in it; `sources` are the texts that spans point into.
    """

    declaration: SpaceDecl
    parameters: tuple[Binding, ...] = ()
    overrides: tuple[Clause, ...] = ()
    library: tuple[OpDecl | GateDecl, ...] = ()
    nets: tuple[NetDecl, ...] = ()
    sources: tuple[Source, ...] = field(default=(), compare=False, repr=False)

    @property
    def is_read(self) -> bool:
        """Whether the names of this very space were looked up and found right, as those of a loaded one are."""
        return "_is_read" in self.__dict__

    def mark_read(self) -> None:
        """Note that names were looked up and found right; a space made from this one starts without the note."""
        self.__dict__["_is_read"] = True

    @property
    def remembered(self) -> Any:
        """What was made of this very space, if anything was: its graph."""
        return self.__dict__.get("_remembered")

    def remember(self, made: object) -> None:
        """Keep what was made of this space, so that it is made once; a space made from this one starts without it."""
        self.__dict__["_remembered"] = made

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """The policies that the text declares, and those given from outside."""
        return (*(one for one in self.declaration.body if isinstance(one, Clause)), *self.overrides)

    def parameter(self, name: str) -> ParameterValue:
        """Value of a parameter as Python sees it.

        Raises `KeyError` for a name that is none of this space's parameters.
        """
        bound = {binding.name: binding.value for binding in self.parameters}
        return _value(bound.pop(name), bound)

    def net(self, name: str) -> NetDecl:
        """The net called `name`; `KeyError` where there is none."""
        for net in self.nets:
            if net.name == name:
                return net
        raise KeyError(name)

    def to_json(self, indent: int | None = 2) -> str:
        """This space as JSON; `Space.from_json` reads it back."""
        from routespace.space.json import dump_space

        return dump_space(self, indent)

    @staticmethod
    def from_json(text: str) -> Space:
        """A space from its JSON. Raises `RouteError` where the text is not one."""
        from routespace.space.json import load_space

        return load_space(text)


def to_expr(value: ParameterValue) -> Expr:
    """A Python value as the language writes it: yes and no, numbers, names, lists."""
    if isinstance(value, bool):
        return Name("yes" if value else "no")
    if isinstance(value, (int, float)):
        return Number(value)
    if isinstance(value, Integral):
        return Number(int(value))
    if isinstance(value, Real):
        return Number(float(value))
    if isinstance(value, str):
        return Name(value)
    if isinstance(value, (list, tuple)):
        return Items(tuple(to_expr(item) for item in value))
    raise TypeError(f"{value!r} is not the value of a parameter")


def _value(expr: Expr, bound: dict[str, Expr]) -> ParameterValue:
    """Value of a parameter whose default is computed from other parameters."""
    match expr:
        case Name() if expr.id in bound:
            return _value(bound[expr.id], {name: value for name, value in bound.items() if name != expr.id})
        case Unary(op="-"):
            return -_number(expr.operand, bound)
        case Sum():
            return sum(_number(term, bound) for term in expr.terms)
        case Binary() if expr.op in _ARITHMETIC:
            return _ARITHMETIC[expr.op](_number(expr.left, bound), _number(expr.right, bound))
    return from_expr(expr)


_ARITHMETIC: dict[str, Callable[[Any, Any], int | float]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}


def _number(expr: Expr, bound: dict[str, Expr]) -> int | float:
    value = _value(expr, bound)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{expr!r} is not a number")
    return value


def from_expr(value: Expr) -> ParameterValue:
    """The inverse of `to_expr`."""
    match value:
        case Number():
            return value.value
        case Unary(op="-", operand=Number() as positive):
            return -positive.value
        case Name(id="yes" | "no"):
            return value.id == "yes"
        case Name():
            return value.id
        case Items():
            return [from_expr(item) for item in value.items]
    raise TypeError(f"{value!r} is not the value of a parameter")


def without_spans(value: Any) -> Any:
    """A copy of a declaration tree that does not know where it stood."""
    if isinstance(value, tuple):
        return tuple(without_spans(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changes = {
            one.name: None if one.name == "span" else without_spans(getattr(value, one.name)) for one in fields(value)
        }
        return replace(value, **changes)
    return value
