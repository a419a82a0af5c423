"""Static numbers of a space: compiled once to closures, run per index."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from routespace.diagnostics import Span, did_you_mean
from routespace.graph.fault import Fault
from routespace.graph.scope import Scope
from routespace.space.expr import (
    Binary,
    Call,
    Each,
    Expr,
    If,
    Index,
    Items,
    LetDecl,
    Name,
    Number,
    Range,
    Sum,
    Unary,
)

Env: TypeAlias = Mapping[str, Any]
Value: TypeAlias = Any
Closure: TypeAlias = Callable[[Env], Value]

LARGEST = 2**53
MOST_STEPS = 4096

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FOLDS: dict[str, Callable[[Any], Any]] = {"any": any, "all": all, "sum": sum, "min": min, "max": max}


class Numbers:
    """Evaluates numeric and boolean expressions of one space."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._closures: dict[int, tuple[Expr, Closure]] = {}
        self._lets: dict[tuple[str, tuple[Any, ...]], Value] = {}
        self._open_lets: list[tuple[str, tuple[Any, ...]]] = []
        self._compiling: list[str] = []

    def closure(self, expr: Expr) -> Closure:
        """`expr` as a function of the names that have a value where it stands."""
        known = self._closures.get(id(expr))
        if known is None:
            known = (expr, self._compile(expr))
            self._closures[id(expr)] = known
        return known[1]

    def value(self, expr: Expr, env: Env) -> Value:
        return self.closure(expr)(env)

    def number(self, expr: Expr, env: Env) -> Any:
        """A number (not a truth value, not a list)."""
        value = self.value(expr, env)
        if isinstance(value, (bool, list)):
            raise Fault("RS301", f"a number is needed here, not {_kind(value)}", expr.span)
        return value

    def integer(self, expr: Expr, env: Env) -> int:
        value = self.number(expr, env)
        if isinstance(value, int):
            return value
        if isinstance(value, Fraction) and value.denominator == 1:
            return value.numerator
        raise Fault("RS302", f"a whole number is needed here, this is {_show(value)}", expr.span)

    def truth(self, expr: Expr, env: Env) -> bool:
        value = self.value(expr, env)
        if isinstance(value, bool):
            return value
        raise Fault("RS303", f"a condition is needed here, not {_kind(value)}", expr.span)

    def is_number(self, name: str) -> bool:
        """Whether a bare `name` can be a number here."""
        bound = self.scope.parameters.get(name)
        if bound is not None:
            return not isinstance(bound, (Name, Items)) or (isinstance(bound, Name) and bound.id in ("yes", "no"))
        return name in self.scope.number_names()

    def _compile(self, expr: Expr) -> Closure:
        match expr:
            case Number():
                constant = Fraction(str(expr.value)) if isinstance(expr.value, float) else expr.value
                _bounded(constant, expr.span)
                return lambda env: constant
            case Name():
                return self._name(expr)
            case Index():
                return self._indexed(expr)
            case Sum():
                return self._sum(expr)
            case Binary():
                return self._binary(expr)
            case Unary():
                self.closure(expr.operand)
                if expr.op == "not":
                    return lambda env: not self.truth(expr.operand, env)
                return lambda env: -self.number(expr.operand, env)
            case If():
                value, otherwise = self.closure(expr.value), self.closure(expr.otherwise)
                return lambda env: value(env) if self.truth(expr.condition, env) else otherwise(env)
            case Items():
                items = [self.closure(item) for item in expr.items]
                return lambda env: [item(env) for item in items]
            case Call():
                return self._fold(expr)
        raise Fault("RS301", "a number is needed here", expr.span)

    def _name(self, expr: Name) -> Closure:
        name = expr.id
        scope = self.scope
        if name in ("yes", "no"):
            truth = name == "yes"
            return lambda env: truth
        if name in scope.axis_declarations or name in ("channels", "routes"):
            return lambda env: _lookup(env, name, expr.span)
        bound = scope.parameters.get(name)
        fallback: Closure | None = None
        if bound is not None:
            if isinstance(bound, Name) and bound.id not in ("yes", "no") and not self.is_number(bound.id):
                fallback = None
            else:
                fallback = self._named(name, bound, expr.span)
        elif name in scope.attributes:
            axis, value = scope.attributes[name]
            inner = self._named(name, value, expr.span)
            fallback = lambda env: inner({axis.name: _lookup(env, axis.name, expr.span)})  # noqa: E731
        elif name in scope.axis_values:
            ordinal = scope.axis_values[name][1]
            return lambda env: ordinal
        elif name in scope.lets:
            declared = scope.lets[name]
            if declared.index:
                raise Fault("RS304", f"`{name}` is read by index: `{name}[{', '.join(declared.index)}]`", expr.span)
            fallback = lambda env: self._let(declared, (), expr.span)  # noqa: E731

        def read(env: Env) -> Value:
            if name in env:
                return env[name]
            if fallback is not None:
                return fallback(env)
            raise self._unknown(name, expr.span)

        return read

    def _named(self, name: str, value: Expr, span: Span | None) -> Closure:
        """Closure of what `name` is defined as; a definition by itself is an error."""
        if name in self._compiling:
            raise Fault("RS306", f"`{name}` is defined by itself", value.span, others=[(span, "read here")])
        self._compiling.append(name)
        try:
            return self.closure(value)
        finally:
            self._compiling.pop()

    def _unknown(self, name: str, span: Span | None) -> Fault:
        scope = self.scope
        if name in scope.ops or name in scope.parameters:
            return Fault("RS301", f"a number is needed here, `{name}` is an op", span)
        if name in scope.stream_axes or name in scope.inputs:
            return Fault("RS301", f"a number is needed here, `{name}` is a stream", span)
        return Fault("RS201", f"unknown name `{name}`", span, help=did_you_mean(name, scope.number_names()))

    def _indexed(self, expr: Index) -> Closure:
        scope, name = self.scope, expr.name
        at = [self.closure(part) for part in expr.at]
        if name in scope.attributes:
            axis, value = scope.attributes[name]
            inner = self._named(name, value, expr.span)
            if len(at) != 1:
                raise Fault("RS304", f"`{name}` has one index, its axis `{axis.name}`", expr.span)
            return lambda env: inner({axis.name: at[0](env)})
        if name in scope.lets:
            declared = scope.lets[name]
            if len(at) != len(declared.index):
                raise Fault(
                    "RS304",
                    f"`{name}` has {len(declared.index)} indices, {len(at)} are given",
                    expr.span,
                    others=[(declared.span, "declared here")],
                )
            return lambda env: self._let(declared, tuple(part(env) for part in at), expr.span)
        bound = scope.parameters.get(name)
        if isinstance(bound, Items) and len(at) == 1:
            return lambda env: self._item(self.closure(bound)(env), at[0](env), expr.span)
        raise Fault("RS201", f"`{name}` is not a number that is read by index", expr.span)

    @staticmethod
    def _item(items: list[Any], index: Any, span: Span | None) -> Value:
        if not isinstance(index, int) or not 0 <= index < len(items):
            raise Fault("RS305", f"index {_show(index)} is outside the list of {len(items)}", span)
        return items[index]

    def _let(self, declared: LetDecl, index: tuple[Any, ...], span: Span | None) -> Value:
        key = (declared.name, index)
        if key in self._lets:
            return self._lets[key]
        if key in self._open_lets:
            raise Fault("RS306", f"`{declared.name}` is defined by itself", declared.span, others=[(span, "read here")])
        if len(self._open_lets) > 200:
            raise Fault("RS802", f"`{declared.name}` recurses deeper than 200 steps", declared.span)
        self._open_lets.append(key)
        try:
            value = self.value(declared.value, dict(zip(declared.index, index, strict=True)))
        finally:
            self._open_lets.pop()
        self._lets[key] = value
        return value

    def _sum(self, expr: Sum) -> Closure:
        terms = [(term, self.closure(term)) for term in expr.terms]

        def total(env: Env) -> Value:
            result: Any = 0
            for term, closure in terms:
                value = closure(env)
                if isinstance(value, (bool, list)):
                    raise Fault("RS301", f"a number is needed here, not {_kind(value)}", term.span)
                result += value
            return _bounded(result, expr.span)

        return total

    def _binary(self, expr: Binary) -> Closure:
        left, right, span = self.closure(expr.left), self.closure(expr.right), expr.span
        if expr.op == "and":
            return lambda env: self.truth(expr.left, env) and self.truth(expr.right, env)
        if expr.op == "or":
            return lambda env: self.truth(expr.left, env) or self.truth(expr.right, env)
        if expr.op in _COMPARE:
            compare = _COMPARE[expr.op]
            ordered = expr.op not in ("==", "!=")

            def holds(env: Env) -> bool:
                a, b = left(env), right(env)
                if ordered and (isinstance(a, (bool, list)) or isinstance(b, (bool, list))):
                    raise Fault("RS301", "only numbers have an order", span)
                return compare(a, b)

            return holds
        compute = {"-": operator.sub, "*": operator.mul, "/": _divide, "^": _power}[expr.op]

        def result(env: Env) -> Value:
            a, b = left(env), right(env)
            if isinstance(a, (bool, list)) or isinstance(b, (bool, list)):
                raise Fault("RS301", "a number is needed on both sides", span)
            try:
                return _bounded(compute(a, b), span)
            except (ZeroDivisionError, OverflowError) as error:
                raise Fault("RS307", f"{_show(a)} {expr.op} {_show(b)} has no value: {error}", span) from None

        return result

    def _fold(self, expr: Call) -> Closure:
        fold = _FOLDS.get(expr.name)
        if fold is None or not expr.args or any(arg.name for arg in expr.args):
            raise Fault("RS301", f"a number is needed here; `{expr.name}(…)` is none", expr.span)
        if len(expr.args) == 1 and isinstance(expr.args[0].value, Each):
            each = expr.args[0].value
            body = self.closure(each.value)
            return lambda env: _bounded(
                _folded(fold, [body({**env, each.var: item}) for item in self.domain(each.domain, env)], expr),
                expr.span,
            )
        parts = [self.closure(arg.value) for arg in expr.args]

        def folded(env: Env) -> Value:
            values = [part(env) for part in parts]
            flat = values[0] if len(values) == 1 and isinstance(values[0], list) else values
            return _bounded(_folded(fold, flat, expr), expr.span)

        return folded

    def domain(self, expr: Expr, env: Env) -> list[Any]:
        """The values a bounded `for` runs over: a range, an axis or a list."""
        if isinstance(expr, Range):
            low, high = self.integer(expr.low, env), self.integer(expr.high, env)
            if high - low > MOST_STEPS:
                raise Fault("RS803", f"a range of {high - low + 1} steps; at most {MOST_STEPS} are allowed", expr.span)
            return list(range(low, high + 1))
        if isinstance(expr, Name) and expr.id in self.scope.axes:
            axis = self.scope.axes[expr.id]
            return list(range(axis.low, axis.high + 1))
        value = self.value(expr, env)
        if isinstance(value, list):
            return value
        raise Fault("RS301", "`for` runs over a range, an axis or a list", expr.span)


def _folded(fold: Callable[[Any], Any], values: list[Any], expr: Call) -> Value:
    try:
        return fold(values)
    except (ValueError, TypeError):
        raise Fault("RS307", f"`{expr.name}` of {len(values)} values has no value", expr.span) from None


def _lookup(env: Env, name: str, span: Span | None) -> Value:
    try:
        return env[name]
    except KeyError:
        raise Fault("RS202", f"`{name}` has no value here", span, "only where an index or an op gives it one") from None


def _divide(a: Any, b: Any) -> Any:
    value = Fraction(a) / Fraction(b)
    return value.numerator if value.denominator == 1 else value


def _power(a: Any, b: Any) -> Any:
    if not isinstance(b, int) or abs(b) > 64:
        raise OverflowError("the exponent is not a whole number between -64 and 64")
    if b < 0:
        return Fraction(1) / Fraction(a) ** -b
    result: Any = a**b
    return result


def _bounded(value: Any, span: Span | None) -> Any:
    if isinstance(value, (int, Fraction)) and not -LARGEST <= value <= LARGEST:
        raise Fault("RS804", "this number is larger than 2^53", span)
    return value


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "yes or no"


def _show(value: Any) -> str:
    return str(float(value)) if isinstance(value, Fraction) and value.denominator > 64 else str(value)
