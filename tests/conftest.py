"""Options of all tests. What is skipped is listed at the end of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from routespace.space.conventions import CONVENTIONS
from routespace.space.registry import ACTIVATIONS, BUDGETS, MERGES, OPS, Registry

REGISTRIES: tuple[Registry[Any], ...] = (OPS, ACTIVATIONS, MERGES, BUDGETS, CONVENTIONS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write the expected renderings instead of comparing them")
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="gpu: no CUDA device here"))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """What a test registers is taken out again, so that no test depends on those before it."""
    known = [(registry, dict(registry._entries)) for registry in REGISTRIES]
    yield
    for registry, entries in known:
        registry._entries = entries
