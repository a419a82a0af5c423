"""A law that cannot be violated proves nothing: each is shown forms that break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from routespace.runtime.result import Outcome
from routespace.testing.campaign import Finding, report
from routespace.testing.cases import Case, random_case
from routespace.testing.laws import LAWS, LawViolation, Subject, check_laws, words
from routespace.testing.laws.subject import Form

Bend = Callable[[nn.Module, Outcome], Outcome]


def _is_telling(case: Case) -> bool:
    """Several images and gates, a net, and something that is closed or not needed for some image."""
    if case.batch < 2 or case.net is None or len(case.graph.gates) < 3:
        return False
    result = Subject(case).oracle
    return any(map(any, result.closed.values())) and not all(map(any, result.computed.values()))


CASES = [case for case in map(random_case, range(120)) if _is_telling(case)][:8]
CASE = CASES[0]


class Bent(Subject):
    """A subject whose forms lie."""

    def __init__(self, case: Case, bend: Bend) -> None:
        super().__init__(case)
        self.bend = bend

    def _compiled(self, form: Form, dtype: torch.dtype) -> nn.Module:
        module = super()._compiled(form, dtype)
        module.register_forward_hook(lambda module, args, outcome: self.bend(module, outcome))
        return module


def _outputs(change: Callable[[torch.Tensor], torch.Tensor]) -> Bend:
    def bend(module: nn.Module, outcome: Outcome) -> Outcome:
        output = outcome.output
        changed = {k: change(x) for k, x in output.items()} if isinstance(output, dict) else change(output)
        return replace(outcome, output=changed)

    return bend


def _costs(**change: Callable[[Any], torch.Tensor]) -> Bend:
    def bend(module: nn.Module, outcome: Outcome) -> Outcome:
        cost = outcome.routing.cost
        changed = replace(cost.under("macs"), **{kind: turn(cost.under("macs")) for kind, turn in change.items()})
        changed.view = lambda convention: changed
        return replace(outcome, routing=replace(outcome.routing, cost_of=lambda: changed))

    return bend


def _learn_everything(module: nn.Module, outcome: Outcome) -> Outcome:
    total = torch.stack([parameter.sum() for parameter in module.parameters()]).sum()
    return _outputs(lambda x: x + total * 1e-3)(module, outcome)


BENDS: dict[str, Bend] = {
    "forms agree": _outputs(lambda x: x * 1.001 + 0.001),
    "forced agree": _outputs(lambda x: x * 1.001 + 0.001),
    "replays agree in float32": _outputs(lambda x: x * 1.01 + 0.01),
    "replays agree in bfloat16": _outputs(lambda x: x * 2 + 1),
    "fixed agrees": _outputs(lambda x: x * 1.001 + 0.001),
    "training agrees": _outputs(lambda x: x * 1.001 + 0.001),
    "closed paths learn nothing": _learn_everything,
    "closed paths do not matter": _outputs(lambda x: x * 1.001 + 0.001),
    "weights are followed": _outputs(lambda x: x * 1.001 + 0.001),
    "expected cost teaches": _costs(expected=lambda cost: cost.expected * 2),
    "costs are bounded": _costs(hard=lambda cost: cost.hard * 1000),
    "opening costs": _costs(hard=lambda cost: -cost.hard),
    "images stand alone": _outputs(lambda x: x + len(x)),
    "replay is exact": _outputs(lambda x: x + torch.rand_like(x)),
    "live replays teach": _outputs(lambda x: x + torch.rand_like(x)),
    "executed is counted": _costs(executed=lambda cost: cost.executed + 1000),
    "expected is hard": _costs(expected=lambda cost: cost.expected * 2),
    "sizes are what ops need": _outputs(lambda x: x.repeat(1, 1, 2, 1)),
}


@pytest.mark.parametrize("law", BENDS)
def test_a_form_that_lies_is_found_out(law: str) -> None:
    with pytest.raises(LawViolation):
        for case in CASES:
            LAWS[law](Bent(case, BENDS[law]))


def test_work_for_closed_paths_is_found_out() -> None:
    class Dense(Subject):
        def _compiled(self, form: Form, dtype: torch.dtype) -> nn.Module:
            return super()._compiled("dense", dtype)

    with pytest.raises(LawViolation, match="ran for"):
        LAWS["closed paths rest"](Dense(CASE))


def test_an_output_of_another_decision_is_found_out() -> None:
    def bend(module: nn.Module, outcome: Outcome) -> Outcome:
        weights = {
            node: {route: torch.where(weight > 0, 0.0, weight) for route, weight in routes.items()}
            for node, routes in outcome.routing.weights.items()
        }
        return replace(outcome, routing=replace(outcome.routing, weights=weights))

    with pytest.raises(LawViolation, match="margin"):
        LAWS["forms agree"](Bent(CASE, bend))


@pytest.mark.parametrize(
    ("law", "name", "broken"),
    [
        ("format keeps meaning", "format_text", lambda text: text.replace("layer = 0..depth", "layer = 0..1 + depth")),
        ("format keeps meaning", "format_text", lambda text: text + "\n"),
        ("order does not matter", "shuffled", lambda space, seed: random_case(1).space),
    ],
)
def test_lost_meaning_is_found_out(
    law: str, name: str, broken: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, name, broken)
    with pytest.raises(LawViolation):
        LAWS[law](Subject(CASE))


def test_lost_json_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words.Space, "from_json", staticmethod(lambda text: random_case(1).space))
    with pytest.raises(LawViolation):
        LAWS["json keeps meaning"](Subject(CASE))


def test_every_law_is_shown_to_fail() -> None:
    elsewhere = {
        "closed paths rest",
        "needed positions only",
        "nan is open",
        "format keeps meaning",
        "json keeps meaning",
        "order does not matter",
    }
    assert set(BENDS) | elsewhere == set(LAWS)


def test_the_case_itself_is_lawful() -> None:
    check_laws(CASE)


def test_a_campaign_reports_violations_and_rare_situations(capsys: pytest.CaptureFixture[str]) -> None:
    broken = Finding(4, frozenset(), ("forms agree",), (("forms agree", "LawViolation: off"),), 0.1)
    assert not report([broken], Console(width=100))
    shown = capsys.readouterr().out
    assert "forms agree: violated by 1 cases" in shown
    assert "seed 4" in shown
    assert "zero-reached" in shown
