"""Every answer against looking at all nets: thousands of questions about small random spaces."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import pytest

import routespace as rs
from routespace.graph.ir import RouteGraph
from routespace.graph.ledger import ledger, price
from routespace.graph.params import count_parameters
from routespace.graph.passes.fix import fix
from routespace.language.asked import read_requirement
from routespace.questions import dives, ends, window
from routespace.questions.costs import PARAMETERS, ROUTES, WORK, PricedNets
from routespace.questions.nets import Nets
from routespace.questions.requirements import place_of
from routespace.questions.window import Window
from routespace.space.conventions import CONVENTIONS
from tests.questions.brute import Predicate, Sight, all_nets, held, random_graph, random_requirement

SPACES, MANY, QUESTIONS = 240, 3_000, 14
SIZE = (64, 96)


@dataclass(frozen=True)
class Asked:
    """Nets that satisfy some requirements, and all nets there are, to look at."""

    nets: Nets
    texts: tuple[str, ...]
    fitting: list[Sight]
    proper: list[Sight]


def questions(seed: int, number: int = QUESTIONS) -> list[Asked]:
    dice = random.Random(seed)
    graph = random_graph(dice)
    proper = all_nets(graph)
    found = []
    for _ in range(number):
        asked = [random_requirement(dice, graph) for _ in range(dice.choice((0, 1, 1, 2, 2, 3)))]
        says: list[Predicate] = [predicate for _, predicate in asked]
        nets = Nets(graph, [read_requirement(text, text)[0] for text, _ in asked])
        fitting = [one for one in proper if all(predicate(one) for predicate in says)]
        found.append(Asked(nets, tuple(text for text, _ in asked), fitting, proper))
    return found


MORE = [pytest.param(first, marks=pytest.mark.slow) for first in range(SPACES, MANY, 20)]


@pytest.mark.parametrize("first", [*range(0, SPACES, 20), *MORE])
def test_answers(first: int) -> None:
    """Counts, emptiness and its reasons, every single net, and whether any set of routes is contained."""
    for seed in range(first, first + 20):
        for asked in questions(seed):
            nets = {one.net for one in asked.fitting}
            assert asked.nets.count() == len(nets), (seed, asked.texts)
            assert {asked.nets.nth(rank) for rank in range(len(nets))} == nets
            assert asked.nets.is_empty() == (not nets)
            dice = random.Random(seed)
            names = [route.name for route in asked.nets.flow.routes]
            for _ in range(5):
                net = frozenset(name for name in names if dice.random() < 0.6)
                assert asked.nets.contains(net).is_contained == (net in nets)
            for one in dice.sample(asked.proper, min(3, len(asked.proper))):
                assert asked.nets.contains(one.net).is_contained == (one.net in nets)


def test_a_reason_cannot_be_spared() -> None:
    """Requirements that are said to exclude each other do so, and without any of them there is a net."""
    seen = 0
    for seed in range(60):
        for asked in questions(seed):
            why = asked.nets.why_empty()
            assert (why is None) == bool(asked.fitting)
            if why is None or not asked.texts:
                continue
            spans = {label.span for label in why.labels}
            kept = list(dict.fromkeys(one for one in asked.nets.requirements if place_of(one) in spans))
            assert not Nets(asked.nets.graph, kept).count()
            for spared in kept:
                assert Nets(asked.nets.graph, [one for one in kept if one is not spared]).count()
            seen += 1
    assert seen > 100


@pytest.mark.parametrize("seed", range(12))
def test_samples_are_uniform(seed: int) -> None:
    """Chi-square with a chance of 1 in 10,000 to fail where draws are uniform; seeds are fixed."""
    several = (one for more in range(seed, seed + 2000, 100) for one in questions(more))
    asked = next(one for one in several if 2 <= len(one.fitting) <= 400)
    number = 40 * len(asked.fitting)
    drawn = Counter(asked.nets.sample(number, seed))
    assert drawn.keys() <= {one.net for one in asked.fitting}
    statistic = sum((drawn[one.net] - 40) ** 2 / 40 for one in asked.fitting)
    freedom = len(asked.fitting) - 1
    # Wilson and Hilferty: the cube root of a chi-square is nearly normal.
    deviation = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5
    assert deviation < 3.72


def cost_of(graph: RouteGraph, one: Sight) -> tuple[int, int]:
    """Work and parameters of the fixed form, read from the ledger of the whole space."""
    fixed = fix(graph, held(graph, one.net))
    kept = {value.name for value in fixed.values}
    work = sum(price(row, CONVENTIONS["macs"]).hard for row in ledger(graph, SIZE) if row.value in kept)
    return int(work), count_parameters(fixed).total


@pytest.mark.parametrize("kept", [1, 30])
def test_costs_with_ends_that_are_known(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As below, where every search draws nets and knows some of the last routes exactly."""
    monkeypatch.setattr(window, "SOON", 0)
    monkeypatch.setattr(ends, "MOST_KEPT", kept)
    for name, number in (("MOST_DIVES", 10), ("DRAWN", 5), ("STEPS", 1)):
        monkeypatch.setattr(dives, name, number)
    test_costs(kept)


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_costs(first: int) -> None:
    """Cheapest, dearest, shortest, longest, and all nets of a window; refused where closed nodes cost something."""
    refused = 0
    for seed in range(first, first + 10):
        costs: dict[frozenset[str], tuple[int, int]] = {}
        for asked in questions(seed, 4):
            graph = asked.nets.graph
            priced = PricedNets(asked.nets, SIZE, "macs")
            try:
                cheapest = priced.cheapest()
            except rs.RouteError as error:
                assert [one.code for one in error.diagnostics] == ["RS712"]
                refused += 1
                break
            for one in asked.fitting:
                if one.net not in costs:
                    costs[one.net] = cost_of(graph, one)
            fitting = {one.net: costs[one.net] for one in asked.fitting}
            if cheapest is None:
                assert not fitting
                continue
            for kind in (WORK, PARAMETERS):
                low, high = priced.cheapest(kind), priced.dearest(kind)
                assert low and high
                amounts = [cost[kind] for cost in fitting.values()]
                assert ((low.work, low.parameters)[kind], (high.work, high.parameters)[kind]) == (
                    min(amounts),
                    max(amounts),
                )
                assert fitting[low.routes] == (low.work, low.parameters)
            short, long = priced.cheapest(ROUTES), priced.dearest(ROUTES)
            assert short and long
            lengths = [len(net) for net in fitting]
            assert (len(short.routes), len(long.routes)) == (min(lengths), max(lengths))
            dice = random.Random(seed)
            for _ in range(3):
                ends = [sorted(dice.choice(list(fitting.values()))[kind] for _ in range(2)) for kind in (0, 1)]
                windows = [Window(low, high + dice.choice((-1, 0))) for low, high in ends]
                expected = {
                    net
                    for net, cost in fitting.items()
                    if all(window.least <= one <= window.most for window, one in zip(windows, cost, strict=True))  # type: ignore[operator]
                }
                found = list(priced.find(*windows))
                assert {one.routes for one in found} == expected and len(found) == len(expected)
    assert refused < 8
