"""Threads that share a module, and what it keeps between calls."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from routespace.runtime import blanks
from routespace.runtime.blanks import BlankStore
from tests.runtime import soak


@pytest.fixture(autouse=True)
def _hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(call: Any, count: int = 4) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def test_a_store_at_its_limit_holds_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blanks, "MOST_BYTES", 4000)
    store = BlankStore()

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(10_000):
            key = dice.randrange(12)
            assert int(store.constant(key, lambda key=key: torch.full((100,), key))[0]) == key

    in_threads(work)
    assert store.bytes == sum(value.nbytes for value, _ in store.entries.values()) <= 4000


def test_threads_get_what_one_thread_alone_gets(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--calls", "200", "--threads", "4", "--seed", "1"]) == 0, capsys.readouterr().out


class Way:
    """A way of an op that adds one."""

    folded = True


def test_what_is_made_of_a_tensor_of_one_call_is_not_kept() -> None:
    store, way = BlankStore(), Way()
    for _ in range(3):
        passing = torch.zeros(10)
        value, made = store.get(way, passing, (64, 64), lambda passing=passing: passing + 1)
        assert made and torch.equal(value, torch.ones(10))
    assert not store.entries
    lasting = store.constant("zeros", lambda: torch.zeros(10))
    found = [store.get(way, lasting, (64, 64), lambda: lasting + 1) for _ in range(3)]
    assert [made for _, made in found] == [True, False, False]
    assert len(store.entries) == 2


def test_what_is_kept_twice_counts_once() -> None:
    store = BlankStore()
    first, second = torch.zeros(10), torch.ones(10)
    assert store.keep("key", first, None) is first
    assert store.keep("key", second, None) is first
    assert store.bytes == first.nbytes
