"""Every law over random spaces, weights, images and batches; `python -m routespace.testing.campaign` asks many more.

The fast tests do not shrink what they find; `--slow` does.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from routespace.testing.cases import Case
from routespace.testing.laws import LAWS, check_laws
from routespace.testing.strategies import cases

MANY = settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
FAST = settings(MANY, max_examples=12, phases=[Phase.generate])


@pytest.mark.parametrize("law", LAWS)
def test_law(law: str) -> None:
    asked = 0

    @FAST
    @given(cases())
    def ask(case: Case) -> None:
        nonlocal asked
        check_laws(case, [law])
        asked += 1

    ask()
    assert asked >= 12


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_law_over_many_spaces(law: str) -> None:
    asked = 0

    @MANY
    @given(cases())
    def ask(case: Case) -> None:
        nonlocal asked
        check_laws(case, [law])
        asked += 1

    ask()
    assert asked >= 300
