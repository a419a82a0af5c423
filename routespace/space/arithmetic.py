"""Numbers of the language: whole numbers and exact fractions within bounds, yes and no, and lists as tuples."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, TypeAlias

from routespace.diagnostics import Span
from routespace.space.expr import Name
from routespace.space.fault import Fault

Value: TypeAlias = Any

LARGEST = 2**53
FINEST = 2**2048

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _divide(a: Any, b: Any) -> Any:
    value = Fraction(a, b)
    return value.numerator if value.denominator == 1 else value


def _power(a: Any, b: Any) -> Any:
    if not isinstance(b, int) or abs(b) > 64:
        raise OverflowError("an exponent is a whole number from -64 to 64")
    value = a**b if b >= 0 else Fraction(1) / Fraction(a) ** -b
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


COMPUTE: dict[str, Callable[[Any, Any], Any]] = {"-": operator.sub, "*": operator.mul, "/": _divide, "^": _power}


def compute(sign: str, a: Value, b: Value, span: Span | None) -> Value:
    """`a sign b`; `Fault` where that is no number of the language."""
    if a.__class__ in _NO_NUMBERS or b.__class__ in _NO_NUMBERS:
        raise Fault(
            "RS301", f"`{sign}` needs a number on both sides, not {kind(a if a.__class__ in _NO_NUMBERS else b)}", span
        )
    try:
        return bounded(COMPUTE[sign](a, b), span)
    except ZeroDivisionError:
        raise Fault("RS307", f"{_side(a)} {sign} {_side(b)} has no value: it divides by zero", span) from None
    except OverflowError as error:
        raise Fault("RS307", f"{_side(a)} {sign} {_side(b)} has no value: {error}", span) from None


def compare(sign: str, a: Value, b: Value, span: Span | None) -> bool:
    """Whether `a sign b`; only numbers have an order."""
    if sign not in ("==", "!=") and (a.__class__ in _NO_NUMBERS or b.__class__ in _NO_NUMBERS):
        raise Fault("RS301", f"`{sign}` compares numbers, not {kind(a if a.__class__ in _NO_NUMBERS else b)}", span)
    if (a.__class__ in _NO_NUMBERS or b.__class__ in _NO_NUMBERS) and a.__class__ is not b.__class__:
        raise Fault("RS301", f"{kind(a)} is never equal to {kind(b)}", span)
    return COMPARE[sign](a, b)


def total(values: Iterable[Value], span: Span | None) -> Value:
    result: Any = 0
    for value in values:
        result = bounded(result + value, span)
    return result


def fold(name: str, values: tuple[Value, ...], span: Span | None) -> Value:
    """`any`, `all`, `sum`, `min` or `max` of values."""
    wanted = "conditions" if name in ("any", "all") else "numbers"
    wrong = next(
        (one for one in values if not (isinstance(one, bool) if wanted == "conditions" else is_plain(one))), None
    )
    if wrong is not None:
        raise Fault(
            "RS303" if wanted == "conditions" else "RS301", f"`{name}` is of {wanted}, not of {kind(wrong)}", span
        )
    if name == "any":
        return any(values)
    if name == "all":
        return all(values)
    if name == "sum":
        return total(values, span)
    if not values:
        raise Fault("RS307", f"`{name}` of nothing has no value", span)
    return min(values) if name == "min" else max(values)


def bounded(value: Value, span: Span | None) -> Value:
    """`value`, if it is within the numbers that a space can use."""
    if value.__class__ is int:
        if not -LARGEST <= value <= LARGEST:
            raise Fault("RS804", "this number is beyond 2^53", span)
    elif value.__class__ is Fraction:
        parts = value.denominator
        if parts > FINEST:
            raise Fault("RS804", "this number is finer than 2^-2048", span)
        if not -LARGEST * parts <= value.numerator <= LARGEST * parts:
            raise Fault("RS804", "this number is beyond 2^53", span)
    return value


def literal(value: int | float, span: Span | None) -> Value:
    """The exact number that a text writes."""
    if isinstance(value, int):
        return bounded(value, span)
    exact = Fraction(str(value))
    return bounded(exact.numerator if exact.denominator == 1 else exact, span)


def is_plain(value: Value) -> bool:
    """Whether `value` is a number."""
    return value.__class__ not in _NO_NUMBERS


def kind(value: Value) -> str:
    if isinstance(value, Name):
        return "an op"
    if isinstance(value, tuple):
        return "a list" if all(isinstance(one, (int, Fraction, tuple)) for one in value) else "a list of ops"
    return "yes or no" if isinstance(value, bool) else "a number"


def show(value: Value) -> str:
    """A value in a message."""
    if isinstance(value, tuple):
        return "a list"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{float(value):g}" if isinstance(value, Fraction) and value.denominator > 64 else str(value)


def _side(value: Value) -> str:
    return f"({show(value)})" if "/" in show(value) else show(value)


def count(number: int) -> str:
    """A count in a message, however large."""
    return str(number) if number < 10**9 else "more than 10^9"


_NO_NUMBERS = frozenset({bool, tuple, Name})
