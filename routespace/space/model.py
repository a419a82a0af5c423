"""`Space`: one declared routing space with its imports resolved and its parameters bound."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeAlias

from routespace.diagnostics import Source
from routespace.space.expr import (
    Clause,
    Expr,
    GateDecl,
    Items,
    Name,
    NetDecl,
    Number,
    OpDecl,
    SpaceDecl,
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
    def name(self) -> str:
        return self.declaration.name

    def parameter(self, name: str) -> ParameterValue:
        """Value of a parameter as Python sees it.

        Raises `KeyError` for a name that is none of this space's parameters.
        """
        for binding in self.parameters:
            if binding.name == name:
                return from_expr(binding.value)
        raise KeyError(name)

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
    if isinstance(value, str):
        return Name(value)
    return Items(tuple(to_expr(item) for item in value))


def from_expr(value: Expr) -> ParameterValue:
    """The inverse of `to_expr`."""
    match value:
        case Number():
            return value.value
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
