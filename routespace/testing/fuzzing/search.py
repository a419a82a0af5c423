"""The search: cases of one space, one after the other, until a law is broken or the budget is spent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from routespace.graph.ir import RouteGraph
from routespace.graph.sizes import least_size
from routespace.space.model import Space
from routespace.testing.cases import Case, at_size
from routespace.testing.dice import SeededDice
from routespace.testing.entries import ENTRY_LAWS
from routespace.testing.fuzzing.ask import Broken, Law, ask, laws_of, subject_of
from routespace.testing.fuzzing.shrink import shrink
from routespace.testing.fuzzing.text import smaller, standalone, with_nets_it_has
from routespace.testing.laws import hits

WHOLE_EVERY = 8
"""One in so many examples is the space as it is; the others have small parameters."""
ENTRIES_EVERY = 5
"""One in so many asks the laws of gates and ops too, where there are others to ask."""
SHRINKING = 30.0
"""Seconds that shrinking may take."""

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
    """What came of a search; `hits` counts the cases in each situation, `left_out` are declared nets that the space
    does not contain."""

    name: str
    laws: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    examples: int = 0
    seconds: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)
    found: Found | None = None


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

    Ends after `seconds`, or with the first case that breaks a law, which is then made small. `told` hears the number
    of each example and the law being asked. `ValueError` for a law that the space is not asked.

    >>> from routespace.language.load import loads
    >>> space = loads("space s { input i: 3; output y = i | conv(3, 2) | relu }")
    >>> verdict = fuzz(space, examples=1)
    >>> verdict.examples, verdict.found
    (1, None)
    """
    start = time.monotonic()
    space, strangers = with_nets_it_has(space)
    whole = standalone(space)
    small = standalone(smaller(space))
    graph = Case(whole).graph
    chosen = _chosen(graph, laws)
    entries_every = ENTRIES_EVERY if set(chosen) - set(ENTRY_LAWS) else 1
    verdict = Verdict(space.name, tuple(chosen), strangers)
    for number in range(examples):
        text = whole if number % WHOLE_EVERY == 1 else small
        subject = subject_of(example(text, seed, number, least_size(graph)))
        case = subject.case
        broken: list[Broken] = []
        for name, law in chosen.items():
            if time.monotonic() - start > seconds and number:
                break
            if name in ENTRY_LAWS and number % entries_every:
                continue
            if broken and name not in ENTRY_LAWS and broken[0].law in ENTRY_LAWS:
                break
            if told is not None:
                told(number, name)
            one = ask(name, law, subject)
            if one is not None:
                broken.append(one)
        verdict.examples = number + 1
        if broken:
            verdict.found = _small(case, broken, chosen, time.monotonic() - start)
            break
        verdict.hits.update(hits(subject))
        if time.monotonic() - start > seconds:
            break
    verdict.seconds = time.monotonic() - start
    return verdict


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


def _small(case: Case, broken: list[Broken], laws: Mapping[str, Law], seconds: float) -> Found:
    first = broken[0]
    also = tuple(one.law for one in broken[1:])

    def breaks(other: Case) -> Broken | None:
        found = ask(first.law, laws[first.law], subject_of(other))
        return found if first.same_as(found) else None

    result, tries = shrink(case, breaks, SHRINKING)
    return Found(breaks(result) or first, result, case, also, tries, seconds)
