"""The mark that asks a test function to hold a space to its laws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest


def routespace_laws(
    path: str | Path, *, examples: int = 10, seed: int = 0, laws: Sequence[str] | None = None, **settings: Any
) -> pytest.MarkDecorator:
    """Run the decorated test once for every law that the space in `path` is asked, over so many `examples`.

    The test has an argument `law`; calling it asks the law and fails with a minimal space where it is broken. A
    relative path starts at the file of the test. `settings` are parameters and policies of the space, as for `load`.

    >>> @routespace_laws("small.route", examples=3, depth=2)
    ... def test_small(law):
    ...     law()
    >>> test_small.pytestmark[0].args
    ('small.route',)
    """
    return pytest.mark.routespace_laws(path, examples=examples, seed=seed, laws=laws, settings=settings)
