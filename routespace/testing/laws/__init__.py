"""The laws of the semantics as checks on a case. Each raises `LawViolation` with the case that breaks it.

>>> from routespace.testing.cases import random_case
>>> check_laws(random_case(1), ["images stand alone"])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from routespace.testing.cases import Case
from routespace.testing.laws.agree import (
    fixed_agrees,
    forced_agree,
    forms_agree,
    replays_agree_in_bfloat16,
    replays_agree_in_float32,
)
from routespace.testing.laws.batches import images_stand_alone, replay_is_exact
from routespace.testing.laws.counts import executed_is_counted, expected_is_hard_when_decided
from routespace.testing.laws.follow import closed_paths_do_not_matter, weights_are_followed
from routespace.testing.laws.hits import hits
from routespace.testing.laws.live import live_replays_teach
from routespace.testing.laws.nan import nan_is_open
from routespace.testing.laws.positions import needed_positions_only
from routespace.testing.laws.prices import costs_are_bounded, expected_cost_teaches
from routespace.testing.laws.sizes import sizes_are_what_ops_need
from routespace.testing.laws.skip import closed_paths_learn_nothing, closed_paths_rest, opening_costs
from routespace.testing.laws.subject import LawViolation, Subject
from routespace.testing.laws.training import training_agrees
from routespace.testing.laws.words import format_keeps_meaning, json_keeps_meaning, order_does_not_matter

LAWS: Mapping[str, Callable[[Subject], None]] = {
    "forms agree": forms_agree,
    "forced agree": forced_agree,
    "replays agree in float32": replays_agree_in_float32,
    "replays agree in bfloat16": replays_agree_in_bfloat16,
    "fixed agrees": fixed_agrees,
    "training agrees": training_agrees,
    "closed paths rest": closed_paths_rest,
    "closed paths learn nothing": closed_paths_learn_nothing,
    "closed paths do not matter": closed_paths_do_not_matter,
    "weights are followed": weights_are_followed,
    "opening costs": opening_costs,
    "images stand alone": images_stand_alone,
    "replay is exact": replay_is_exact,
    "live replays teach": live_replays_teach,
    "needed positions only": needed_positions_only,
    "nan is open": nan_is_open,
    "executed is counted": executed_is_counted,
    "expected is hard": expected_is_hard_when_decided,
    "expected cost teaches": expected_cost_teaches,
    "costs are bounded": costs_are_bounded,
    "sizes are what ops need": sizes_are_what_ops_need,
    "format keeps meaning": format_keeps_meaning,
    "json keeps meaning": json_keeps_meaning,
    "order does not matter": order_does_not_matter,
}
"""Every law by name; each is asked of a `Subject`."""


def check_laws(case: Case, names: Iterable[str] = tuple(LAWS)) -> None:
    """Ask the laws called `names` of `case`; the first that does not hold raises `LawViolation`."""
    subject = Subject(case)
    for name in names:
        LAWS[name](subject)


__all__ = ["LAWS", "LawViolation", "Subject", "check_laws", "hits"]
