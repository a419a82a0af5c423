"""Laws of gates per position: each is shown a runtime that breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from routespace.runtime import meter, sparse_maps
from routespace.runtime.positions import choose, needs, norms, reference, run
from routespace.runtime.positions.geometry import Window
from routespace.runtime.result import Outcome
from routespace.testing.cases import Case, random_case
from routespace.testing.laws import LAWS, LawViolation, Subject
from routespace.testing.laws.subject import Form


def _headlike(case: Case) -> Case:
    """The case with two windows and norms of active positions behind its gates."""
    text = re.sub(r"op norm  = .*", "op norm  = groupnorm(2, stats = active)", case.text)
    return replace(case, text=re.sub(r"op inner = .*", "op inner = conv(3) | norm | relu | conv(3) | norm", text))


def _is_telling(case: Case) -> bool:
    """Several images, with maps that are large enough to leave positions out."""
    return "fine * inner" in case.text and case.batch >= 2 and min(case.height, case.width) >= 64


CASES = list(map(_headlike, islice(filter(_is_telling, map(random_case, range(400))), 3, 6)))


def violated(law: str, cases: list[Case] = CASES, subject: Callable[[Case], Subject] = Subject) -> None:
    with pytest.raises(LawViolation):
        for case in cases:
            LAWS[law](subject(case))


def test_the_cases_are_lawful() -> None:
    assert len(CASES) == 3
    for case in CASES:
        for law in ("forms agree", "forced agree", "needed positions only", "executed is counted", "nan is open"):
            LAWS[law](Subject(case))


def _shifted(self: Window, mask: Tensor, size: tuple[int, int]) -> Tensor:
    return GROW(self, mask, size).roll(1, 3)


def _wider(self: Window, mask: Tensor, size: tuple[int, int]) -> Tensor:
    found = GROW(self, mask, size)
    return nn.functional.max_pool2d(found.double(), 3, 1, 1) > 0


def _not_grown(self: Window, mask: Tensor, size: tuple[int, int]) -> Tensor:
    return mask if tuple(mask.shape[2:]) == size else GROW(self, mask, size)


GROW = Window.grow


@pytest.mark.parametrize("broken", [_wider, _shifted, _not_grown])
def test_other_positions_than_the_needed_ones_are_found_out(
    broken: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Window, "grow", broken)
    violated("needed positions only")


@pytest.mark.parametrize("broken", [_shifted, _not_grown])
def test_values_of_other_positions_are_found_out(
    broken: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Window, "grow", broken)
    violated("forced agree")


def test_whole_maps_where_positions_are_asked_for_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_maps, "exact", lambda job: choose.dense)
    violated("executed is counted")


def test_statistics_of_all_positions_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (needs, run, reference):
        monkeypatch.setattr(module, "statistics", lambda norm: "all", raising=False)
    violated("forced agree")


def test_statistics_of_a_whole_batch_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def together(norm: nn.GroupNorm, rows: Any) -> Any:
        return rows._replace(data=norms._normalised(norm, rows.data, rows.own), own=True) if len(rows.data) else rows

    monkeypatch.setattr(norms, "_of_rows", together)
    violated("images stand alone")


def test_costs_of_masks_that_do_not_grow_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "grown", lambda weights, after, training, local_norms: weights)
    violated("forms agree")


def test_shut_maps_that_are_nothing_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = sparse_maps.Route.forward

    def nothing(self: Any, frame: Any, source: Any, decision: Any) -> Any:
        return forward(self, frame, source, decision)._replace(zeros=())

    monkeypatch.setattr(sparse_maps.Route, "forward", nothing)
    shut = [case for case in map(random_case, range(200)) if "by fine(x) {" in case.text and case.batch]
    violated("forced agree", shut)


class Hiding(Subject):
    """A subject whose forms make numbers of NaN."""

    def _compiled(self, form: Form, dtype: torch.dtype) -> nn.Module:
        module = super()._compiled(form, dtype)

        def hide(module: nn.Module, args: Any, outcome: Outcome) -> Outcome:
            output = outcome.output
            hidden = {k: x.nan_to_num() for k, x in output.items()} if isinstance(output, dict) else output.nan_to_num()
            return replace(outcome, output=hidden)

        module.register_forward_hook(hide)
        return module


def test_hidden_nan_is_found_out() -> None:
    violated("nan is open", subject=Hiding)


def test_gates_that_nan_closes_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = sparse_maps.Gate.decide

    def closing(self: Any, weights: Tensor, opened: Tensor, *rest: Any, **named: Any) -> Any:
        return decide(self, weights.nan_to_num(), opened & ~weights.isnan(), *rest, **named)

    monkeypatch.setattr(sparse_maps.Gate, "decide", closing)
    violated("nan is open")
