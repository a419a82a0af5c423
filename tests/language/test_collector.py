"""Memory of a process that reads many texts."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

import routespace as rs
from routespace.diagnostics import collector
from routespace.diagnostics.collector import collector_paused
from routespace.language.parser import parse

TEXT = rs.example("segmentation").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def from_the_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    gc.collect()
    monkeypatch.setattr(collector, "_owed", 0)
    monkeypatch.setattr(collector, "_held", 0)
    monkeypatch.setattr(collector, "MOST_OWED", 40_000)
    monkeypatch.setattr(collector, "_SHARE", 10**9)  # whatever else the process of the tests holds
    yield
    gc.collect()


def test_spaces_that_nobody_holds_are_given_back() -> None:
    """Asked of a process of its own: how much is old and how much new is a matter of all that a process holds."""
    code = (
        "import weakref, routespace as rs\n"
        "from routespace.diagnostics import collector\n"
        "collector.MOST_OWED = 40_000\n"
        "text = rs.example('segmentation').read_text(encoding='utf-8')\n"
        "seen = [weakref.ref(rs.loads(text)) for _ in range(40)]\n"
        "print(sum(one() is not None for one in seen))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) <= 15


def test_texts_that_cannot_be_read_are_given_back() -> None:
    seen = []
    for _ in range(200):
        with pytest.raises(rs.RouteError) as error:
            rs.loads(TEXT.replace("ladder_decoder", "ladder_decodr"))
        seen.append(weakref.ref(error.value))
        del error
    assert sum(one() is not None for one in seen) <= 40


def test_what_is_held_is_not_looked_through_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much has to be new as is a part of what is there."""
    runs: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            runs.append(phase)

    monkeypatch.setattr(collector, "_SHARE", 4)
    monkeypatch.setattr(collector, "_held", 4 * 10**9)
    gc.callbacks.append(note)
    try:
        for _ in range(20):
            rs.loads(TEXT)
    finally:
        gc.callbacks.remove(note)
    assert runs == []


def test_a_collector_that_was_off_stays_off_and_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MOST_OWED", 0)
    gc.disable()
    try:
        parse(TEXT)
        assert not gc.isenabled() and collector._owed == 0
    finally:
        gc.enable()
    with collector_paused(), collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
