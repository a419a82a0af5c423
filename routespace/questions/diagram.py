"""All nets that satisfy some rules, as a diagram: one level for each route, one state for all that is left to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import add, mul
from typing import TypeAlias

from routespace.questions.formula import FALSE, TRUE, Formula, Formulas
from routespace.space.fault import Fault

MOST_STATES, MOST_AT_ONCE = 1_000_000, 30_000

Amount: TypeAlias = tuple[int, ...]
State: TypeAlias = tuple[frozenset[Formula], frozenset[tuple[Formula, Amount]]]


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be paid, of each kind of cost, by nets that satisfy a formula."""

    formula: Formula
    amount: Amount


@dataclass(frozen=True, slots=True)
class Arrow:
    """Where reading a route as closed or open leads, to a state of the next level, and what is paid on the way."""

    target: int
    amount: Amount


@dataclass(frozen=True)
class Diagram:
    """`levels[i][state]` are the arrows of route i, closed and open; None where no net is left.

    The first level has one state, and behind the last one there is one, the end. `fixed` is paid by all.
    """

    levels: tuple[tuple[tuple[Arrow | None, Arrow | None], ...], ...]
    fixed: Amount

    @cached_property
    def counts(self) -> tuple[tuple[int, ...], ...]:
        """How many nets go on from each state; behind the last level 1."""
        counts: list[tuple[int, ...]] = [(1,)]
        for level in reversed(self.levels):
            behind = counts[-1]
            counts.append(tuple(sum(behind[arrow.target] for arrow in arrows if arrow) for arrows in level))
        return tuple(reversed(counts))

    @property
    def count(self) -> int:
        return self.counts[0][0] if self.counts[0] else 0


EMPTY = ((),)


def draw_diagram(
    formulas: Formulas, routes: int, rules: Iterable[Formula], charges: Sequence[Charge] = (), kinds: int = 0
) -> Diagram:
    """The nets of `routes` routes that satisfy all `rules`. RS709 where too much would have to be remembered."""
    entering: list[list[Formula]] = [[] for _ in range(routes)]
    nothing = (0,) * kinds
    fixed = nothing
    for rule in dict.fromkeys(part for one in rules for part in _conjuncts(one)):
        if rule is FALSE:
            return Diagram(EMPTY, nothing)
        if rule is not TRUE:
            entering[rule.top].append(rule)
    paying: list[list[tuple[Formula, Amount]]] = [[] for _ in range(routes)]
    for charge in charges:
        if charge.formula is TRUE:
            fixed = plus(fixed, charge.amount)
        elif charge.formula is not FALSE:
            paying[charge.formula.top].append((charge.formula, charge.amount))

    current: dict[State, int] = {(frozenset(), frozenset()): 0}
    levels: list[tuple[tuple[Arrow | None, Arrow | None], ...]] = []
    total = 0
    for at in range(routes):
        following: dict[State, int] = {}
        level: list[tuple[Arrow | None, Arrow | None]] = []
        for rule_state, charge_state in current:
            asked, due = [*rule_state, *entering[at]], [*charge_state, *paying[at]]
            arrows: list[Arrow | None] = []
            for is_open in (False, True):
                left = _left(formulas, asked, at, is_open)
                if left is None:
                    arrows.append(None)
                    continue
                waiting, paid = _settled(formulas, due, at, is_open, nothing)
                target = following.setdefault((left, waiting), len(following))
                arrows.append(Arrow(target, paid))
            level.append((arrows[0], arrows[1]))
        levels.append(tuple(level))
        total += len(following)
        if total > MOST_STATES or len(following) > MOST_AT_ONCE:
            message = f"{len(following):,} cases would have to be told apart after {at + 1} of {routes} routes"
            help = "ask about fewer scales, or require what concerns neighbouring or mirrored layers only"
            raise Fault("RS709", message, help=help)
        current = following
    return Diagram(_alive(levels, bool(current)), fixed)


def furthest(diagram: Diagram, weights: Amount) -> tuple[tuple[int, ...], ...]:
    """The most that the ways on from each state add up to, each kind of cost counted by its weight."""
    found: list[tuple[int, ...]] = [(0,)]
    for level in reversed(diagram.levels):
        behind = found[-1]
        offers = ([dot(one.amount, weights) + behind[one.target] for one in arrows if one] for arrows in level)
        found.append(tuple(map(max, offers)))
    return tuple(reversed(found))


def dot(amount: Amount, weights: Amount) -> int:
    return sum(map(mul, amount, weights))


def _conjuncts(rule: Formula) -> tuple[Formula, ...]:
    return rule.parts if rule.parts and rule.least == len(rule.parts) else (rule,)


def _left(formulas: Formulas, asked: list[Formula], at: int, is_open: bool) -> frozenset[Formula] | None:
    """What the rules still ask after route `at`; None where one is broken."""
    left: list[Formula] = []
    for formula in asked:
        if formula.top == at:
            formula = formulas.after(formula, is_open)
            if formula is FALSE:
                return None
            if formula is TRUE:
                continue
        left.append(formula)
    return frozenset(left)


def _settled(
    formulas: Formulas, due: list[tuple[Formula, Amount]], at: int, is_open: bool, nothing: Amount
) -> tuple[frozenset[tuple[Formula, Amount]], Amount]:
    """What may still have to be paid after route `at`, and what is paid there."""
    paid = nothing
    waiting: dict[Formula, Amount] = {}
    for formula, amount in due:
        if formula.top == at:
            formula = formulas.after(formula, is_open)
            if formula is TRUE:
                paid = plus(paid, amount)
                continue
            if formula is FALSE:
                continue
        known = waiting.get(formula)
        waiting[formula] = amount if known is None else plus(known, amount)
    return frozenset(waiting.items()), paid


def _alive(
    levels: list[tuple[tuple[Arrow | None, Arrow | None], ...]], ends: bool
) -> tuple[tuple[tuple[Arrow | None, Arrow | None], ...], ...]:
    """`levels` without states that lead nowhere."""
    keep: dict[int, int] = {0: 0} if ends else {}
    found: list[tuple[tuple[Arrow | None, Arrow | None], ...]] = []
    for level in reversed(levels):
        kept: dict[int, int] = {}
        new: list[tuple[Arrow | None, Arrow | None]] = []
        for state, arrows in enumerate(level):
            low, high = (
                Arrow(keep[arrow.target], arrow.amount) if arrow and arrow.target in keep else None for arrow in arrows
            )
            if low or high:
                kept[state] = len(new)
                new.append((low, high))
        found.append(tuple(new))
        keep = kept
    return tuple(reversed(found))


def plus(one: Amount, other: Amount) -> Amount:
    return tuple(map(add, one, other))
