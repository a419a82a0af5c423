"""What the names inside ops stand for: parameters bound to numbers, to ops, or to lists of ops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from typing import Any, TypeAlias

from routespace.diagnostics import Span, rename, write
from routespace.space.arithmetic import kind
from routespace.space.expr import Arg, Call, Each, Expr, GateDecl, Items, Name, OpDecl, Param
from routespace.space.fault import Fault, head_of
from routespace.space.meanings import AXES, around
from routespace.space.numbers import Env, Numbers
from routespace.space.registry import OPS
from routespace.space.scope import Scope
from routespace.space.walk import children, name_of


@dataclass(frozen=True, slots=True)
class Given:
    """An op handed to a parameter: its expression and the names that had a value where it was handed over."""

    expr: Expr
    env: tuple[tuple[str, Any], ...]


Term: TypeAlias = tuple[Expr, Env]


class Binding:
    """Names of ops of one space. An op sees its parameters, its channels and the axes; nothing else of its caller."""

    def __init__(self, scope: Scope, numbers: Numbers) -> None:
        self.scope, self.numbers = scope, numbers

    def outer(self, env: Env) -> dict[str, Any]:
        """The names of `env` that have a value in every op."""
        found = self._axes(env)
        if "channels" in env:
            found["channels"] = env["channels"]
        return found

    def _axes(self, env: Env) -> dict[str, Any]:
        indices = around(env)
        return {name: indices[name] for name in self.scope.axes if name in indices}

    def inside(
        self,
        declared: OpDecl | GateDecl,
        args: tuple[Arg, ...],
        env: Env,
        span: Span | None,
        channels: int | None = None,
    ) -> dict[str, Any]:
        """The names that have a value inside a declared op or gate; `channels` are those of its input, if known."""
        inner = self.outer(env)
        if channels is not None:
            inner["channels"] = channels
        bound = self._bind(declared.name, declared.params, args, env, span, head_of(declared))
        if not self.scope.axes.keys().isdisjoint(bound):
            inner[AXES] = self._axes(env)
        return inner | bound

    def is_op(self, name: str, env: Env) -> bool:
        """Whether `name` means an op, or a list of them, where `env` holds."""
        if name in env:
            return isinstance(env[name], Name) or _is_ops(env[name])
        bound = self._bound(name)
        if isinstance(bound, Items):
            return any(self._makes_op(item, {}) for item in bound.items)
        return self._makes_op(Name(name), {})

    def target(self, name: str, env: Env, span: Span | None) -> str:
        """The declared or registered op that `name` means where `env` holds."""
        value = env.get(name)
        if isinstance(value, Name):
            name, value = value.id, None
        elif value is None:
            name, value = self._target(name), self._bound(name)
        if _is_ops(value) or isinstance(value, Items):
            raise Fault("RS308", f"`{name}` is a list of ops", span, help=write(f"sum({name})", span))
        if isinstance(value, Call):
            help = f"declare `op NAME = {value.name}(…)` and let `{name}` be NAME"
            raise Fault(
                "RS602",
                f"`{name}` is an op with arguments; a parameter can only be the name of an op yet",
                span,
                help=help,
            )
        if value is not None or name in ("yes", "no"):
            what = "yes or no" if value is None else "a number" if is_dataclass(value) else kind(value)
            raise Fault("RS308", f"an op is needed here, `{name}` is {what}", span)
        return name

    def terms(self, call: Call, env: Env) -> list[Term]:
        """Ops inside `sum(…)`: listed, or the items of a list that a parameter is bound to."""
        found: list[Term] = []
        for arg in call.args:
            value = arg.value
            if isinstance(value, Each):
                raise Fault("RS308", "`for` makes streams, not ops", value.span)
            bound = env.get(value.id, self._bound(value.id)) if isinstance(value, Name) else value
            if isinstance(bound, tuple) and _is_ops(bound):
                found += [(given.expr, dict(given.env)) for given in bound]
            elif isinstance(bound, Items):
                inner = env if bound is value else self.outer(env)
                found += [(item, inner) for item in bound.items]
            else:
                found.append((value, env))
        if not found:
            raise Fault("RS310", f"`{call.name}` of no ops", call.span, help="name at least one")
        return found

    def _bind(
        self,
        what: str,
        params: tuple[Param, ...],
        args: tuple[Arg, ...],
        env: Env,
        span: Span | None,
        declared: Span | None,
    ) -> dict[str, Any]:
        """The parameters of a declared op or gate with their values."""
        names = [one.name for one in params]
        given: dict[str, Expr] = {}
        for place, arg in enumerate(args):
            name = arg.name or (names[place] if place < len(names) else None)
            others = [(declared, "declared here")]
            if name is None:
                count = f"{len(names)} argument{'s' if len(names) != 1 else ''}" if names else "no arguments"
                given_here = f"{len(args)} {'is' if len(args) == 1 else 'are'} given"
                raise Fault("RS309", f"`{what}` takes {count}, {given_here}", arg.span or span, others=others)
            if name not in names:
                help = rename(name, names)
                raise Fault("RS309", f"`{what}` has no argument `{name}`", arg.span or span, others=others, help=help)
            if name in given:
                raise Fault("RS309", f"`{name}` of `{what}` is given twice", arg.span or span, others=others)
            if arg.mode is not None:
                raise Fault("RS602", "arguments split by mode are not supported yet", arg.span or span)
            given[name] = arg.value
        bound: dict[str, Any] = {}
        for one in params:
            if one.name in given:
                bound[one.name] = self.value(given[one.name], env)
            elif one.default is not None:
                bound[one.name] = self.value(one.default, self.outer(env))
            else:
                raise Fault("RS309", f"`{what}` needs `{one.name}`", span, others=[(declared, "declared here")])
        return bound

    def value(self, value: Expr, env: Env) -> Any:
        """What a parameter is bound to: a number, the `Name` of an op, or a tuple of either."""
        if isinstance(value, Name):
            if value.id in env:
                return env[value.id]
            if self.is_op(value.id, env):
                bound = self._bound(value.id)
                if isinstance(bound, Items):
                    return self._listed(bound, self.outer(env))
                return Name(self._target(value.id), value.span)
        if isinstance(value, Items) and any(self._makes_op(item, env) for item in value.items):
            return self._listed(value, env)
        return self.numbers.value(value, env)

    def reads(self, expr: object) -> tuple[str, ...]:
        """Sorted names that an op or a statement depends on, through the ops and parameters that it names."""
        found: set[str] = set()
        waiting: list[object] = [expr]
        while waiting:
            value = waiting.pop()
            name = name_of(value)
            if name and name not in found:
                found.add(name)
                waiting += self._behind(name)
            waiting += children(value)
        return tuple(sorted(found))

    def _behind(self, name: str) -> Iterator[object]:
        scope = self.scope
        if name in scope.ops:
            yield scope.ops[name]
        if name in scope.parameters:
            yield scope.parameters[name]
        if name in scope.attributes:
            yield Name(scope.attributes[name][0].name)

    def _listed(self, items: Items, env: Env) -> tuple[Given, ...]:
        held: list[Given] = []
        for item in items.items:
            if isinstance(item, Name) and isinstance(env.get(item.id), Name):
                held.append(Given(env[item.id], ()))
            else:
                held.append(Given(item, tuple((name, env[name]) for name in (*self.reads(item), AXES) if name in env)))
        return tuple(held)

    def _makes_op(self, item: Expr, env: Env) -> bool:
        """Whether an item of a list is an op rather than a number."""
        if isinstance(item, Name):
            if item.id in env:
                return isinstance(env[item.id], Name)
            return self._bound(item.id) is None and self._is_declared(self._target(item.id))
        return isinstance(item, Call) and self._is_declared(item.name)

    def _is_declared(self, name: str) -> bool:
        return name in self.scope.ops or (name in OPS and name not in self.scope.gates)

    def _target(self, name: str) -> str:
        """The name behind parameters that are bound to the names of each other."""
        seen: set[str] = set()
        bound = self.scope.parameters.get(name)
        while isinstance(bound, Name):
            if name in seen:
                raise Fault("RS306", f"parameter `{name}` is defined by itself", bound.span)
            seen.add(name)
            name, bound = bound.id, self.scope.parameters.get(bound.id)
        return name

    def _bound(self, name: str) -> Expr | None:
        """What the parameter behind `name` is bound to, unless that is a name."""
        return self.scope.parameters.get(self._target(name))


def _is_ops(value: object) -> bool:
    return isinstance(value, tuple) and any(isinstance(one, Given) for one in value)
