"""Static numbers of a space: compiled once to closures, run per index."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from routespace.diagnostics import Span
from routespace.space.arithmetic import (
    COMPARE,
    LARGEST,
    bounded,
    compare,
    compute,
    fold,
    is_plain,
    kind,
    literal,
    show,
)
from routespace.space.definitions import Definitions, Needed
from routespace.space.expr import (
    Binary,
    Call,
    Choice,
    Each,
    Expr,
    If,
    Index,
    Items,
    Name,
    Number,
    Pipe,
    Range,
    Sum,
    Unary,
)
from routespace.space.fault import Fault
from routespace.space.involved import involved, parts_at
from routespace.space.meanings import Closure, Env, Meanings, Value
from routespace.space.names.table import FOLDS
from routespace.space.scope import Scope

MOST_STEPS = 4096
MOST_WORK = 1_500_000
MOST_TOLD = 200
_FRACTION = 12  # steps that a division takes, compared with other operations
_LOOP = 8  # steps that a `for` takes beside those of what it runs over

_ABOUT_DEFINITIONS = ("RS306", "RS802", "RS806")
"""What is wrong with definitions whatever the values are that they start from."""

_SHAPES = {Pipe: "a chain of ops", Choice: "a choice", Range: "a range", Each: "a `for`"}


class Numbers:
    """Evaluates numeric and boolean expressions of one space."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.work = 0
        self._closures: dict[int, tuple[Expr, Closure, int]] = {}
        self._compiled = 0
        self._told = 0
        self._definitions = Definitions(self.value)
        self._meanings = Meanings(scope, self._definitions)

    def value(self, expr: Expr, env: Env) -> Value:
        """Value of `expr` with the names that have a value where it stands. Its size counts as work."""
        try:
            _, closure, size = self._closures.get(id(expr)) or self._entry(expr)
            self._spend(size, expr.span)
            return closure(env)
        except Fault as fault:
            raise self.told(fault, env, expr) from None

    def number(self, expr: Expr, env: Env) -> Any:
        """A number (not a truth value, not a list)."""
        return self._wanted(self.value(expr, env), expr, env)

    def _wanted(self, value: Value, expr: Expr, env: Env) -> Value:
        try:
            return _plain(value, expr.span)
        except Fault as fault:
            raise self.told(fault, env, expr) from None

    def integer(self, expr: Expr, env: Env) -> int:
        value = self.value(expr, env)
        if type(value) is int:
            return value
        value = self._wanted(value, expr, env)
        if isinstance(value, Fraction) and value.denominator == 1:
            return value.numerator
        raise self.told(Fault("RS302", f"a whole number is needed here, this is {show(value)}", expr.span), env, expr)

    def told(self, fault: Fault, env: Env, *exprs: Expr) -> Fault:
        """`fault` with the values, where `env` holds, of the names in the expressions that it is about; the first of
        very many."""
        self._told += 1
        if fault.code in _ABOUT_DEFINITIONS or self._told > MOST_TOLD:
            return fault
        parts = [part for expr in exprs for part in parts_at(expr, fault.span)]
        fault.tell(involved(parts, env, self.scope, self._quietly))
        return fault

    def _quietly(self, expr: Expr, env: Env) -> Value:
        """Value of `expr` if it has one that is at hand, else None."""
        try:
            if isinstance(expr, Name):
                return env[expr.id] if expr.id in env else self._meanings.of(expr.id, expr.span)(env)
            return self.closure(expr)(env)
        except (Fault, Needed):
            return None

    def truth(self, expr: Expr, env: Env) -> bool:
        value = self.value(expr, env)
        try:
            return _truth(value, expr.span)
        except Fault as fault:
            raise self.told(fault, env, expr) from None

    def is_number(self, name: str) -> bool:
        """Whether a bare `name` can be a number here."""
        return self._meanings.is_number(name)

    def domain(self, expr: Expr, env: Env) -> tuple[Any, ...]:
        """The values a bounded `for` runs over: a range, an axis or a list."""
        if isinstance(expr, Range):
            low, high = self.integer(expr.low, env), self.integer(expr.high, env)
            if high - low >= MOST_STEPS:
                raise Fault("RS803", f"a range of {high - low + 1} steps; at most {MOST_STEPS} are possible", expr.span)
            return tuple(range(low, high + 1))
        if isinstance(expr, Name) and expr.id in self.scope.axes and expr.id not in env:
            axis = self.scope.axes[expr.id]
            if axis.high - axis.low >= MOST_STEPS:
                steps = axis.high - axis.low + 1
                raise Fault(
                    "RS803", f"axis `{expr.id}` has {steps} steps; `for` runs over {MOST_STEPS} at most", expr.span
                )
            return tuple(range(axis.low, axis.high + 1))
        value = self.value(expr, env)
        if isinstance(value, tuple):
            return value
        raise Fault("RS301", f"`for` runs over a range, an axis or a list, not over {kind(value)}", expr.span)

    def closure(self, expr: Expr) -> Closure:
        """`expr` as a function of the names that have a value where it stands."""
        return self._entry(expr)[1]

    def _entry(self, expr: Expr) -> tuple[Expr, Closure, int]:
        known = self._closures.get(id(expr))
        if known is None:
            before = self._compiled
            closure = self._compile(expr)
            known = (expr, closure, max(1, self._compiled - before))
            self._closures[id(expr)] = known
        return known

    def _spend(self, work: int, span: Span | None) -> None:
        self.work += work
        if self.work > MOST_WORK:
            raise Fault("RS806", f"the numbers of this space take more than {MOST_WORK} steps to compute", span)

    def _compile(self, expr: Expr) -> Closure:
        self._compiled += _FRACTION if isinstance(expr, Binary) and expr.op == "/" else 1
        match expr:
            case Number():
                constant = literal(expr.value, expr.span)
                return lambda env: constant
            case Name():
                return self._name(expr)
            case Index():
                return self._indexed(expr)
            case Sum():
                return self._sum(expr)
            case Binary():
                return self._binary(expr)
            case Unary(op="not"):
                condition = self._condition(expr.operand)
                return lambda env: not condition(env)
            case Unary():
                number = self._plain(expr.operand)
                return lambda env: -number(env)
            case If():
                chosen, value, otherwise = (
                    self._condition(expr.condition),
                    self.closure(expr.value),
                    self.closure(expr.otherwise),
                )
                return lambda env: value(env) if chosen(env) else otherwise(env)
            case Items():
                items = [self.closure(item) for item in expr.items]
                return lambda env: tuple([item(env) for item in items])
            case Call():
                return self._fold(expr)
        raise Fault("RS301", "a number is needed here", expr.span, f"this is {_SHAPES.get(expr.__class__, 'none')}")

    def _condition(self, expr: Expr) -> Callable[[Env], bool]:
        closure, span = self.closure(expr), expr.span
        return lambda env: _truth(closure(env), span)

    def _plain(self, expr: Expr) -> Closure:
        closure, span = self.closure(expr), expr.span
        return lambda env: _plain(closure(env), span)

    def _name(self, expr: Name) -> Closure:
        name, span = expr.id, expr.span
        if name in ("yes", "no"):
            truth = name == "yes"
            return lambda env: truth
        otherwise = self._meanings.of(name, span)

        def read(env: Env) -> Value:
            return env[name] if name in env else otherwise(env)

        return read

    def _indexed(self, expr: Index) -> Closure:
        scope, name, span = self.scope, expr.name, expr.span
        at = [self._plain(part) for part in expr.at]
        define = self._definitions.value
        if name in scope.attributes:
            axis, value = scope.attributes[name]
            if len(at) != 1:
                raise Fault("RS304", f"`{name}` has one index, its axis `{axis.name}`", span)
            first, at_span = at[0], expr.at[0].span

            def attribute(env: Env) -> Value:
                ordinal = first(env)
                if axis.name in scope.axes:
                    scope.axes[axis.name].check(ordinal, at_span)
                return define((name, (ordinal,)), value, {axis.name: ordinal}, span)

            return attribute
        if name in scope.lets:
            declared = scope.lets[name]
            if len(at) != len(declared.index):
                raise Fault(
                    "RS304",
                    f"`{name}` is read by index `{name}[{', '.join(declared.index)}]`, {len(at)} given",
                    span,
                    others=[(declared.span, "declared here")],
                )

            def let(env: Env) -> Value:
                index = tuple([part(env) for part in at])
                return define((name, index), declared.value, dict(zip(declared.index, index, strict=True)), span)

            return let
        if self._meanings.items(name) is not None and len(at) == 1:
            items, first = self._meanings.of(name, span), at[0]
            return lambda env: self._item(items(env), first(env), span)
        if name in scope.stream_axes or name in scope.inputs:
            raise Fault("RS301", f"a number is needed here, `{name}` is a stream", span)
        raise Fault("RS301", f"`{name}` is no list and no `let` with an index", span)

    @staticmethod
    def _item(items: Value, index: Value, span: Span | None) -> Value:
        if not isinstance(index, int) or not 0 <= index < len(items):
            raise Fault("RS305", f"index {show(index)} is outside the list: its {len(items)} items count from 0", span)
        return items[index]

    def _sum(self, expr: Sum) -> Closure:
        terms = [self._plain(term) for term in expr.terms]
        span = expr.span

        def total(env: Env) -> Value:
            result: Any = 0
            for term in terms:
                result += term(env)
            return bounded(result, span)

        return total

    def _binary(self, expr: Binary) -> Closure:
        sign, span = expr.op, expr.span
        if sign in ("and", "or"):
            one, other = self._condition(expr.left), self._condition(expr.right)
            if sign == "and":
                return lambda env: one(env) and other(env)
            return lambda env: one(env) or other(env)
        left, right = self.closure(expr.left), self.closure(expr.right)
        if sign in COMPARE:
            return lambda env: compare(sign, left(env), right(env), span)
        return lambda env: compute(sign, left(env), right(env), span)

    def _fold(self, expr: Call) -> Closure:
        name, span = expr.name, expr.span
        if name not in FOLDS:
            raise Fault("RS301", f"a number is needed here; `{name}(…)` is none", span)
        if not expr.args or any(arg.name for arg in expr.args):
            raise Fault("RS309", f"`{name}` takes values, a list, or `… for … in …`", span)
        if len(expr.args) == 1 and isinstance(expr.args[0].value, Each):
            return self._each(name, expr.args[0].value, span)
        parts = [self.closure(arg.value) for arg in expr.args]

        def folded(env: Env) -> Value:
            values = tuple([part(env) for part in parts])
            flat = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
            return fold(name, flat, span)

        return folded

    def _each(self, name: str, each: Each, span: Span | None) -> Closure:
        _, body, size = self._entry(each.value)

        def folded(env: Env) -> Value:
            items = self.domain(each.domain, env)
            self._spend(size * len(items) + _LOOP, span)
            inner, values = dict(env), []
            for item in items:
                inner[each.var] = item
                values.append(body(inner))
            return fold(name, tuple(values), span)

        return folded


def _plain(value: Value, span: Span | None) -> Value:
    if not is_plain(value):
        raise Fault("RS301", f"a number is needed here, not {kind(value)}", span)
    return value


def _truth(value: Value, span: Span | None) -> bool:
    if not isinstance(value, bool):
        help = "compare it with something: `… > 0`" if is_plain(value) else None
        raise Fault("RS303", f"a condition is needed here, not {kind(value)}", span, help=help)
    return value


__all__ = ["LARGEST", "Env", "Numbers"]
