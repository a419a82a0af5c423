"""Random cases: they compile, repeat, print what reads back, and reach what the laws ask to be reached."""

from __future__ import annotations

from hypothesis import given, settings

from routespace.graph.build import build
from routespace.language.load import loads
from routespace.testing.campaign import LEAST_SHARE, Finding, shares
from routespace.testing.cases import Case, random_case, random_images, random_state
from routespace.testing.inputs import levels
from routespace.testing.laws import Subject, hits
from routespace.testing.strategies import cases, spaces


@settings(max_examples=60, derandomize=True, deadline=None)
@given(spaces())
def test_every_space_compiles(text: str) -> None:
    assert build(loads(text)).values


@settings(max_examples=20, derandomize=True, deadline=None)
@given(cases())
def test_cases_have_weights_for_every_name(case: Case) -> None:
    assert all(len(one) == case.batch for one in levels(case.images))
    assert all(not tensor.isnan().any() for tensor in case.state.values())


def test_many_seeds_compile() -> None:
    for seed in range(300):
        assert random_case(seed).graph.values, seed


def test_a_seed_is_one_case() -> None:
    assert random_case(11) == random_case(11)
    assert random_case(11) != random_case(12)
    first, second = (random_state(random_case(11).graph, 5) for _ in range(2))
    assert all(first[name].equal(second[name]) for name in first)


def test_a_printed_case_reads_back() -> None:
    for seed in range(5):
        case = random_case(seed)
        assert eval(str(case), {"Case": Case}) == case


def test_an_image_does_not_depend_on_the_batch() -> None:
    assert random_images(2, 3, 64, 70, seed=9)[1:2].equal(random_images(2, 2, 64, 70, seed=9)[1:2])


def test_every_situation_is_reached_often_enough() -> None:
    findings = [Finding(seed, frozenset(hits(Subject(random_case(seed)))), (), (), 0.0) for seed in range(120)]
    rare = {name: share for name, share in shares(findings).items() if share < LEAST_SHARE}
    assert not rare
