"""JSON as it is read here: every key once, and whatever is wrong with it is a `ValueError` of one line."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

MOST_BYTES = 16 * 2**20


def read_json(text: str | bytes) -> Any:
    """The value that `text` says. Raises `ValueError` for what is no JSON, nested too deeply, or says a key twice.

    >>> read_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> read_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: `a` stands twice in one object
    """
    try:
        return json.loads(text.decode("utf-8") if isinstance(text, bytes) else text, object_pairs_hook=_each_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, number in Counter(name for name, _ in pairs).items() if number > 1)
        raise ValueError(f"`{twice[:80]}` stands twice in one object")
    return found
