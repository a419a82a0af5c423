"""Values of names that are defined by an expression, each made once, however far the definitions lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from routespace.diagnostics import Span
from routespace.space.expr import Expr
from routespace.space.fault import Fault

Key: TypeAlias = tuple[str, tuple[Any, ...]]

MOST_OPEN = 20_000
MOST_KNOWN = 100_000
_NESTED = 2
_UNKNOWN = object()


class Needed(Exception):
    """A definition that has to be made before the one that reads it."""

    def __init__(self, key: Key, expr: Expr, env: Mapping[str, Any], span: Span | None) -> None:
        super().__init__(key)
        self.key, self.expr, self.env, self.span = key, expr, env, span


class Definitions:
    """Makes definitions on demand. Python's stack does not grow with the length of a chain: beyond a few steps a
    definition is left, made again from the start once what it needs is there."""

    def __init__(self, evaluate: Callable[[Expr, Mapping[str, Any]], Any]) -> None:
        self._evaluate = evaluate
        self._known: dict[Key, Any] = {}
        self._failed: dict[Key, Fault] = {}
        self._open: dict[Key, None] = {}
        self._depth = 0

    def value(self, key: Key, expr: Expr, env: Mapping[str, Any], span: Span | None) -> Any:
        """Value of `expr` where `env` holds, known as `key` (a name and its index), read at `span`."""
        known = self._known.get(key, _UNKNOWN)
        if known is not _UNKNOWN:
            return known
        if key in self._failed:
            raise self._failed[key].again()
        needed = Needed(key, expr, env, span)
        if self._depth >= _NESTED:
            raise needed
        return self._make(needed)

    def _make(self, first: Needed) -> Any:
        stack: list[Needed] = []
        waiting: Needed | None = first
        self._depth += 1
        try:
            while waiting is not None or stack:
                if waiting is not None:
                    self._begin(waiting)
                    stack.append(waiting)
                one, waiting = stack[-1], None
                try:
                    self._known[one.key] = self._evaluate(one.expr, one.env)
                except Needed as needed:
                    waiting = needed
                    continue
                except Fault as fault:
                    fault.through(one.span, f"`{one.key[0]}` is read here")
                    self._failed.update(dict.fromkeys((each.key for each in stack), fault.again()))
                    raise
                del self._open[stack.pop().key]
        finally:
            self._depth -= 1
            for one in stack:
                del self._open[one.key]
        return self._known[first.key]

    def _begin(self, one: Needed) -> None:
        name = one.key[0]
        if one.key in self._open:
            names = [key[0] for key in list(self._open)[list(self._open).index(one.key) :]]
            circle = list(dict.fromkeys(names))
            notes = [" → ".join(f"`{each}`" for each in [*circle, name])] if 1 < len(circle) <= 8 else []
            raise Fault(
                "RS306", f"`{name}` is defined by itself", one.expr.span, others=[(one.span, "read here")], notes=notes
            )
        if len(self._known) >= MOST_KNOWN:
            raise Fault("RS806", f"the indexed numbers of this space have more than {MOST_KNOWN} values", one.expr.span)
        if len(self._open) >= MOST_OPEN:
            raise Fault("RS802", f"`{name}` reads itself more than {MOST_OPEN} times over", one.expr.span)
        self._open[one.key] = None
