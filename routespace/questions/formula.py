"""Formulas over routes, each made once: equal ones are the same object, and what is left of them compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

NEVER = 2**60


class Formula:
    """A condition on the set of open routes.

    `top` is the first route, in reading order, that it depends on; `parts` and `least`..`most` say that between that
    many of the parts hold. A formula without parts is one route, or, with `top` NEVER, a constant.
    """

    __slots__ = ("high", "least", "low", "most", "parts", "top")

    def __init__(self, top: int, parts: tuple[Formula, ...] = (), least: int = 0, most: int = 0) -> None:
        self.top, self.parts, self.least, self.most = top, parts, least, most
        self.low: Formula | None = None
        self.high: Formula | None = None


TRUE, FALSE = Formula(NEVER), Formula(NEVER)

Key: TypeAlias = tuple[tuple[Formula, ...], int, int]


class Formulas:
    """Makes formulas."""

    def __init__(self) -> None:
        self._routes: dict[int, Formula] = {}
        self._counts: dict[Key, Formula] = {}

    def route(self, index: int) -> Formula:
        """Route `index` is open."""
        return self._routes.setdefault(index, Formula(index))

    def count(self, parts: Iterable[Formula], least: int, most: int) -> Formula:
        """At least `least` and at most `most` of `parts` hold; one that stands there twice counts twice."""
        left: list[Formula] = []
        for part in parts:
            if part is TRUE:
                least, most = least - 1, most - 1
            elif part is not FALSE:
                left.append(part)
        least, most = max(least, 0), min(most, len(left))
        if least > most:
            return FALSE
        if least == 0 and most == len(left):
            return TRUE
        if len(left) == 1 and least == 1:
            return left[0]
        left.sort(key=_top)
        key = (tuple(left), least, most)
        found = self._counts.get(key)
        if found is None:
            found = self._counts[key] = Formula(left[0].top, *key)
        return found

    def any(self, parts: Iterable[Formula]) -> Formula:
        """Some part holds; an `any` among the parts stands for its own parts."""
        found: dict[Formula, None] = {}
        for part in parts:
            if part.parts and part.least == 1 and part.most == len(part.parts):
                found.update(dict.fromkeys(part.parts))
            else:
                found[part] = None
        return self.count(found, 1, len(found))

    def all(self, parts: Iterable[Formula]) -> Formula:
        found = tuple(dict.fromkeys(parts))
        return self.count(found, len(found), len(found))

    def negation(self, part: Formula) -> Formula:
        if not part.parts or (part.least > 0 and part.most < len(part.parts)):
            return TRUE if part is FALSE else self.count((part,), 0, 0)
        if part.least == 0:
            return self.count(part.parts, part.most + 1, len(part.parts))
        return self.count(part.parts, 0, part.least - 1)

    def implies(self, one: Formula, other: Formula) -> Formula:
        return self.any((self.negation(one), other))

    def same(self, one: Formula, other: Formula) -> Formula:
        """Both hold or neither."""
        return self.negation(self.count((one, other), 1, 1))

    def after(self, formula: Formula, is_open: bool) -> Formula:
        """What is left of `formula` once its top route is read."""
        known = formula.high if is_open else formula.low
        if known is not None:
            return known
        if not formula.parts:
            found = TRUE if is_open else FALSE
        else:
            top = formula.top
            parts = [self.after(part, is_open) if part.top == top else part for part in formula.parts]
            found = self.count(parts, formula.least, formula.most)
        if is_open:
            formula.high = found
        else:
            formula.low = found
        return found


def holds(formula: Formula, is_open: Callable[[int], bool]) -> bool:
    """Whether `formula` holds of the net whose open routes `is_open` tells."""
    if formula is TRUE or formula is FALSE:
        return formula is TRUE
    if not formula.parts:
        return is_open(formula.top)
    return formula.least <= sum(holds(part, is_open) for part in formula.parts) <= formula.most


def _top(formula: Formula) -> int:
    return formula.top
