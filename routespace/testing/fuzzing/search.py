"""The search: cases of one space, one after the other, until a law is broken or the budget is spent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from routespace.graph.ir import RouteGraph
from routespace.graph.sizes import least_size
from routespace.memory import is_out_of_memory
from routespace.space.model import Space
from routespace.testing.cases import Case, at_size
from routespace.testing.dice import SeededDice
from routespace.testing.entries import ENTRY_LAWS
from routespace.testing.fuzzing.ask import Broken, Law, OutOfMemoryError, ask, laws_of, subject_of
from routespace.testing.fuzzing.clock import Clock, within
from routespace.testing.fuzzing.shrink import shrink
from routespace.testing.fuzzing.text import smaller, standalone, with_nets_it_has
from routespace.testing.laws import Subject, hits

WHOLE_EVERY = 8
"""One in so many examples is the space as it is; the others have small parameters."""
ENTRIES_EVERY = 5
"""One in so many asks the laws of gates and ops too, where there are others to ask."""
SHRINKING = 30.0
"""Seconds that shrinking may take, where so many are left."""

Told = Callable[[int, str], None]


@dataclass(frozen=True)
class Found:
    """A law that a case breaks: as it was met, and as small as it came to be."""

    broken: Broken
    case: Case
    met: Case
    also: tuple[str, ...]
    tries: int
    seconds: float


@dataclass
class Verdict:
    """What came of a search.

    `examples` counts the cases that were asked all laws, `hits` those in each situation. `begun` are the laws that hold
    of the case that was cut short, `left_out` declared nets that the space does not contain, and `ended` says why the
    search ended, where that was neither the time, the number of cases nor what it found.
    """

    name: str
    laws: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    examples: int = 0
    begun: tuple[str, ...] = ()
    seconds: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)
    found: Found | None = None
    ended: str | None = None


def fuzz(
    space: Space,
    *,
    examples: int = 100,
    seconds: float = 60.0,
    seed: int = 0,
    laws: Collection[str] | None = None,
    told: Told | None = None,
) -> Verdict:
    """Ask the laws (all that there are for `space`, or those named) of up to `examples` cases of it.

    Ends after `seconds`, whatever is under way then, or with the first case that breaks a law, which is then made small
    in the time that is left. `told` hears the number of each example and the law being asked. `ValueError` for a law
    that the space is not asked.

    >>> from routespace.language.load import loads
    >>> space = loads("space s { input i: 3; output y = i | conv(3, 2) | relu }")
    >>> verdict = fuzz(space, examples=1)
    >>> verdict.examples, verdict.found
    (1, None)
    """
    start = time.monotonic()
    clock = Clock(seconds)
    search = _Search(space, examples, seed, laws, told, clock)
    verdict = search.verdict
    try:
        within(clock, search.run)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        verdict.ended = str(error) if isinstance(error, OutOfMemoryError) else "out of memory in making a case"
    if search.case is not None and search.broken:
        verdict.examples += 1
        verdict.found = _small(search.case, search.broken, search.chosen, clock, start)
    verdict.seconds = time.monotonic() - start
    return verdict


class _Search:
    """Case after case; what was found so far is there when the search is cut short."""

    def __init__(
        self,
        space: Space,
        examples: int,
        seed: int,
        laws: Collection[str] | None,
        told: Told | None,
        clock: Clock,
    ) -> None:
        self.space, self.examples, self.seed, self.laws, self.clock = space, examples, seed, laws, clock
        self.told: Told = told or (lambda number, what: None)
        self.verdict = Verdict(space.name)
        self.chosen: Mapping[str, Law] = {}
        self.case: Case | None = None
        self.broken: list[Broken] = []

    def run(self) -> None:
        """Search until a law is broken or all cases were asked. Raises `ValueError` and `OutOfMemoryError`."""
        space, self.verdict.left_out = with_nets_it_has(self.space)
        whole = standalone(space)
        small = standalone(smaller(space))
        graph = Case(whole).graph
        least = least_size(graph)
        self.chosen = _chosen(graph, self.laws)
        self.verdict.laws = tuple(self.chosen)
        for number in range(self.examples):
            self.clock.check()
            text = whole if number % WHOLE_EVERY == 1 else small
            subject = subject_of(example(text, self.seed, number, least))
            self.case = subject.case
            self._ask(subject, number)
            if self.broken:
                return
            self.verdict.hits.update(hits(subject))
            self.verdict.examples, self.verdict.begun = number + 1, ()

    def _ask(self, subject: Subject, number: int) -> None:
        entries_every = ENTRIES_EVERY if set(self.chosen) - set(ENTRY_LAWS) else 1
        for name, law in self.chosen.items():
            self.clock.check()
            if name in ENTRY_LAWS and number % entries_every:
                continue
            if self.broken and name not in ENTRY_LAWS and self.broken[0].law in ENTRY_LAWS:
                break
            self.told(number, name)
            one = ask(name, law, subject)
            if one is not None:
                self.broken.append(one)
            else:
                self.verdict.begun += (name,)


def _chosen(graph: RouteGraph, names: Collection[str] | None) -> Mapping[str, Law]:
    known = laws_of(graph)
    if names is None:
        return known
    for name in names:
        if name not in known:
            raise ValueError(f"the space is not asked the law `{name}`; its laws are {', '.join(known)}")
    return {name: known[name] for name in known if name in names}


def example(text: str, seed: int, number: int, least: tuple[int, int]) -> Case:
    """Case `number` of a seed: weights, how much they open, and images; the first is the plainest."""
    dice = SeededDice(seed * 1_000_003 + number)
    if number == 0:
        return at_size(Case(text, weight_seed=seed, image_seed=seed), 64, 64)
    odd, small = dice.chance(40), dice.chance(40)
    base = least if small else (max(least[0], 64), max(least[1], 64))
    sides = [side + (dice.number(0, 31) if odd else dice.pick((0, 32))) for side in base]
    case = Case(
        text,
        weight_seed=dice.number(0, 10**6),
        tilt=dice.pick((0.0, -0.3, 0.5, -1.0)),
        batch=dice.pick((2, 1, 3, 0)),
        image_seed=dice.number(0, 10**6),
    )
    return at_size(case, *sides)


def _small(case: Case, broken: list[Broken], laws: Mapping[str, Law], clock: Clock, start: float) -> Found:
    first = broken[0]
    met = time.monotonic() - start
    as_told = {case: first}

    def breaks(other: Case) -> Broken | None:
        try:
            found = ask(first.law, laws[first.law], subject_of(other))
        except OutOfMemoryError:
            return None
        if found is None or not first.same_as(found):
            return None
        as_told[other] = found
        return found

    result, tries = shrink(case, breaks, min(SHRINKING, clock.left))
    return Found(as_told[result], result, case, tuple(one.law for one in broken[1:]), tries, met)
