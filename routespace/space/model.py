"""`Space`: one declared routing space with its imports resolved and its parameters bound."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from fractions import Fraction
from numbers import Integral, Rational, Real
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
    Unary,
)

ParameterValue: TypeAlias = "int | float | Fraction | bool | str | list[ParameterValue] | tuple[ParameterValue, ...]"


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
        """Value of a parameter as Python sees it: a number (an exact `Fraction` where no float is written as it), yes
        or no as bool, the name of an op, or a list.

        Raises `KeyError` for a name that is none of this space's parameters, and `RouteError` where a default has no
        value, which no space that was loaded has.
        """
        from routespace.space.values import Values

        return Values.of(self).parameter(name)

    @property
    def values(self) -> dict[str, ParameterValue]:
        """Every parameter with its value, as `parameter` tells it."""
        from routespace.space.values import Values

        found = Values.of(self)
        return {one.name: found.parameter(one.name) for one in self.parameters}

    @property
    def given(self) -> dict[str, ParameterValue]:
        """The parameters that are bound to something else than their defaults, with what `load` takes for it."""
        defaults = {one.name: one.default for one in self.declaration.params}
        return {one.name: self._given(one) for one in self.parameters if one.value != defaults[one.name]}

    def _given(self, binding: Binding) -> ParameterValue:
        try:
            return from_expr(binding.value)
        except TypeError:  # a space from JSON may bind what is computed
            return self.parameter(binding.name)

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
    """A Python value as the language writes it: yes and no, numbers, fractions, names, lists."""
    if isinstance(value, bool):
        return Name("yes" if value else "no")
    if isinstance(value, (int, float)):
        return Number(value)
    if isinstance(value, Integral):
        return Number(int(value))
    if isinstance(value, Rational):
        return Binary("/", Number(int(value.numerator)), Number(int(value.denominator)))
    if isinstance(value, Real):
        return Number(float(value))
    if isinstance(value, str):
        return Name(value)
    if isinstance(value, (list, tuple)):
        return Items(tuple(to_expr(item) for item in value))
    raise TypeError(f"{value!r} is not the value of a parameter")


def from_expr(value: Expr) -> ParameterValue:
    """The inverse of `to_expr`."""
    match value:
        case Number():
            return value.value
        case Unary(op="-", operand=Number() as positive):
            return -positive.value
        case Binary(op="/"):
            above, below = from_expr(value.left), from_expr(value.right)
            if isinstance(above, int) and isinstance(below, int) and below != 0:
                return Fraction(above, below)
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
