"""The names that an expression reads, with their values where it stands: what a finding about it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from routespace.diagnostics import Span
from routespace.space.arithmetic import show
from routespace.space.expr import Expr, Index, Items, Name, Number, Range
from routespace.space.meanings import Env
from routespace.space.scope import Scope
from routespace.space.walk import children, name_of

MOST_SHOWN = 6
MOST_READ = 1000

Evaluate = Callable[[Expr, Env], Any]


def involved(exprs: Iterable[Expr], env: Env, scope: Scope, evaluate: Evaluate) -> dict[str, str]:
    """Names in `exprs` to their values in words, and those behind them: what a `let` or a parameter is computed from.

    `evaluate` gives None for what has no value. At most `MOST_SHOWN` names, the nearest first.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting: list[tuple[object, Env]] = [(expr, env) for expr in exprs]
    for part, around in waiting:
        if len(found) >= MOST_SHOWN or len(waiting) > MOST_READ:
            break
        if isinstance(part, (Name, Index)):
            name = name_of(part)
            if name not in seen and _is_told(name, around, scope):
                seen.add(name)
                text = _text(name, evaluate(part, around), scope)
                if text:
                    found[name] = text
                waiting += _behind(part, around, scope, evaluate)
        waiting += ((child, around) for child in children(part))
    return found


def parts_at(expr: Expr, span: Span | None) -> Iterator[Expr]:
    """The parts of `expr` that `span` is about: what stands within it, or all where it is somewhere else."""
    if span is None or expr.span is None or not _is_within(span, expr.span):
        yield expr
        return
    waiting: list[Any] = [expr]
    for part in waiting:
        place = getattr(part, "span", None)
        if place is not None and _is_within(place, span):
            yield part
        else:
            waiting += children(part)


def _is_within(inner: Span, outer: Span) -> bool:
    return inner.path == outer.path and outer.start <= inner.start and inner.end <= outer.end


def _is_told(name: str, env: Env, scope: Scope) -> bool:
    """Whether `name` stands for something that differs from space to space, or from place to place."""
    if name in env:
        return True
    return name in scope.parameters or name in scope.attributes or name in scope.lets


def _text(name: str, value: Any, scope: Scope) -> str:
    if value is None:
        return ""
    if isinstance(value, Name):
        return f"`{value.id}`" if value.id != name else ""
    if isinstance(value, tuple):
        shown = [show(one) for one in value if isinstance(one, (int, float))]
        return f"[{', '.join(shown)}]" if shown and len(shown) == len(value) <= 8 else ""
    axis = scope.axes.get(name)
    if axis is not None and value in axis and not isinstance(axis.declaration.values, Range):
        return f"{value} (`{axis.label(value)}`)"
    return show(value)


def _behind(part: Name | Index, env: Env, scope: Scope, evaluate: Evaluate) -> Iterable[tuple[object, Env]]:
    """What the value of a name is computed from, where that is more than a number that is written there."""
    name = name_of(part)
    if name in env:
        return ()
    bound = scope.parameters.get(name)
    if bound is not None:
        return () if isinstance(bound, (Number, Items)) else ((bound, {}),)
    if name in scope.lets:
        declared = scope.lets[name]
        at = [evaluate(one, env) for one in part.at] if isinstance(part, Index) else []
        if len(at) == len(declared.index) and None not in at:
            return ((declared.value, dict(zip(declared.index, at, strict=True))),)
    if name in scope.attributes:
        axis, value = scope.attributes[name]
        place = evaluate(part.at[0], env) if isinstance(part, Index) and part.at else env.get(axis.name)
        return ((value, {axis.name: place}),) if place is not None else ()
    return ()
