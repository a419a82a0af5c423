"""The parameters of a space as Python sees them, computed as all its numbers are."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeGuard

from routespace.diagnostics import Findings
from routespace.space.expr import Call, Expr, Items, Name
from routespace.space.fault import Fault
from routespace.space.model import ParameterValue, Space
from routespace.space.names.table import FOLDS
from routespace.space.numbers import Numbers
from routespace.space.one_line import OneLine
from routespace.space.scope import Scope

MOST_LISTED = 20_000


class Values:
    """Values of parameters, each computed once."""

    def __init__(self, scope: Scope, numbers: Numbers) -> None:
        self.scope, self.numbers = scope, numbers
        self.listed = 0

    @classmethod
    def of(cls, space: Space) -> Values:
        scope = Scope.of(space)
        return cls(scope, Numbers(scope))

    def parameter(self, name: str) -> ParameterValue:
        """Value of a parameter. `RouteError` where it has none."""
        try:
            return self.value(self.scope.parameters[name])
        except Fault as fault:
            findings = Findings({source.path: source for source in self.scope.space.sources})
            fault.report(findings)
            findings.raise_errors()
            raise

    def check(self, findings: Findings) -> None:
        """Report parameters that have no value, read or not; one cause is told once."""
        told: set[object] = set()
        for name in self.scope.parameters:
            try:
                self._check(Name(name))
            except Fault as fault:
                if fault.cause not in told:
                    told.add(fault.cause)
                    fault.report(findings)

    def _check(self, expr: Expr) -> None:
        """`Fault` where `expr` has no value. Items that name other parameters are checked with those."""
        expr = self.behind(expr)
        if isinstance(expr, Items):
            for item in expr.items:
                if not isinstance(item, Name):
                    self._check(item)
        elif not _is_op(expr) and not (isinstance(expr, Name) and not self.numbers.is_number(expr.id)):
            self.numbers.value(expr, {})

    def value(self, expr: Expr) -> ParameterValue:
        """Value of an expression that a parameter is bound to. `Fault` where it has none."""
        expr = self.behind(expr)
        if isinstance(expr, Items):
            self.listed += len(expr.items)
            if self.listed > MOST_LISTED:
                raise Fault("RS803", f"the lists of this space have more than {MOST_LISTED} values", expr.span)
            return [self.value(item) for item in expr.items]
        if _is_op(expr):
            return OneLine().expr(expr)
        if isinstance(expr, Name) and not self.numbers.is_number(expr.id):
            return expr.id
        return as_python(self.numbers.value(expr, {}))

    def behind(self, expr: Expr) -> Expr:
        """What the name of a parameter stands for, unless it is a number."""
        seen: set[str] = set()
        while isinstance(expr, Name) and expr.id not in seen:
            seen.add(expr.id)
            bound = self.scope.parameters.get(expr.id)
            if not isinstance(bound, (Name, Items)) and not _is_op(bound):
                break
            expr = bound
        return expr


def _is_op(expr: Expr | None) -> TypeGuard[Call]:
    """Whether `expr` is an op with arguments."""
    return isinstance(expr, Call) and expr.name not in FOLDS


def as_python(value: object) -> ParameterValue:
    """A value of the language: a fraction is an int where it is whole, and a float where that is written as the same
    number.

    >>> as_python(Fraction(1, 10)), as_python(Fraction(1, 3))
    (0.1, Fraction(1, 3))
    """
    if isinstance(value, tuple):
        return [as_python(one) for one in value]
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    if isinstance(value, Fraction) and Fraction(str(float(value))) == value:
        return float(value)
    assert isinstance(value, (bool, int, Fraction))
    return value
