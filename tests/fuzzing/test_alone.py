"""Laws without the oracle: they hold of spaces with gates per position and of pyramids; forms that lie break them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

import routespace as rs
from routespace.runtime.result import Outcome
from routespace.testing.cases import Case
from routespace.testing.fuzzing.text import smaller, standalone
from routespace.testing.laws import LawViolation
from routespace.testing.laws.alone import ALONE_LAWS, Alone
from routespace.testing.laws.subject import Form
from tests.mutants.spaces import GRAINS

Bend = Callable[[Outcome], Outcome]
HERE = ("format keeps meaning", "json keeps meaning", "order does not matter", "masks are grown")
"""Laws that other tests show to fail."""


def case(number: int) -> Case:
    return Case(GRAINS[number], number, batch=3, height=67, width=72, image_seed=number)


def _outputs(outcome: Outcome) -> Outcome:
    return replace(outcome, output={key: x * 1.01 + 0.01 * len(x) for key, x in outcome.output.items()})


def _costs(kind: str) -> Bend:
    def bend(outcome: Outcome) -> Outcome:
        cost = outcome.routing.cost.under("macs")
        changed = replace(cost, **{kind: getattr(cost, kind) * 3 + 1})
        changed.view = lambda convention: changed
        return replace(outcome, routing=replace(outcome.routing, cost_of=lambda: changed))

    return bend


BENDS: dict[str, Bend] = {
    "forms match": _outputs,
    "slopes match": _outputs,
    "images stay apart": _outputs,
    "replays match": lambda outcome: replace(
        outcome, output={key: x + torch.rand_like(x) for key, x in outcome.output.items()}
    ),
    "executed is what is counted": _costs("executed"),
    "exact execution is hard": _costs("executed"),
    "expected is hard": _costs("expected"),
}


class Bent(Alone):
    """Its forms other than dense lie."""

    def __init__(self, case: Case, bend: Bend) -> None:
        super().__init__(case)
        self.bend = bend

    def turn(self, seed: int) -> tuple[Form, ...]:
        return ("sparse",)

    def _compiled(self, form: Form, dtype: torch.dtype) -> nn.Module:
        module = super()._compiled(form, dtype)
        if form != "dense":
            module.register_forward_hook(lambda module, args, outcome: self.bend(outcome))
        return module


@pytest.mark.parametrize("law", BENDS)
def test_a_form_that_lies_is_found_out(law: str) -> None:
    with pytest.raises(LawViolation):
        ALONE_LAWS[law](Bent(case(0), BENDS[law]))


def test_every_law_is_shown_to_fail() -> None:
    assert {*BENDS, *HERE} == set(ALONE_LAWS)


@pytest.mark.parametrize("number", range(len(GRAINS)))
def test_spaces_with_gates_per_position_keep_the_laws(number: int) -> None:
    subject = Alone(case(number))
    for law in ALONE_LAWS.values():
        law(subject)


def test_a_pyramid_keeps_the_laws() -> None:
    text = standalone(smaller(rs.load(rs.example("dynamic_head"))))
    subject = Alone(Case(text, batch=2, height=70, width=64))
    for law in ALONE_LAWS.values():
        law(subject)
