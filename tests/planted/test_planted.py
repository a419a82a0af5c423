"""Planted defects are found, shrunk and found again by their replay; `python -m tests.planted` hunts all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.find import hunt
from tests.planted.spaces import GATES, OPS


@pytest.mark.parametrize("planted", ["closes_silently", "cheap"])
def test_one_of_each_is_found(planted: str, tmp_path: Path) -> None:
    found = hunt(planted, tmp_path)
    assert found.well, found


@pytest.mark.slow
@pytest.mark.parametrize("planted", [*GATES, *OPS])
def test_every_one_is_found(planted: str, tmp_path: Path) -> None:
    found = hunt(planted, tmp_path)
    assert found.well, found


def test_there_are_twenty() -> None:
    assert len({*GATES, *OPS}) == 20
