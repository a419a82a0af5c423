"""Tiny tensors are fastest on one thread; what a test registers is taken out again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from routespace.space.registry import ACTIVATIONS, OPS


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    known = [(registry, dict(registry._entries)) for registry in (OPS, ACTIVATIONS)]
    yield
    for registry, entries in known:
        registry._entries = entries
