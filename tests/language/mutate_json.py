"""JSON that is nearly that of a space: a seeded mutator of the spaces of the examples."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from routespace.diagnostics import RouteError
from routespace.language.load import loads
from tests.language.mutate import NUMBERS, WORDS, corpus

_ODD: list[Any] = [None, True, False, 0, -1, 1.5, 2**60, 10**400, float("nan"), float("inf"), "", "a b", "é"]
_ODD += ["x" * 5000, [], {}, [[]], {"kind": "number"}, {"kind": "name", "id": "x"}, {"kind": "none"}, "send", "nothing"]
_WORDS = """number name call index binary unary sum pipe if items range each choice input axis let op gate node
    - * / ^ == != < <= > >= and or not +"""
Path = tuple[str | int, ...]


@cache
def documents() -> tuple[str, ...]:
    """The JSON of every text of the corpus that is a space."""
    found: list[str] = []
    for text in corpus():
        try:
            found.append(loads(text).to_json(None))
        except RouteError:
            continue
    return tuple(found)


def json_mutant(seed: int, index: int) -> str:
    """The JSON with number `index` of a seed."""
    rng = random.Random(seed * 1_000_003 + index)
    document = json.loads(rng.choice(documents()))
    if rng.random() < 0.7:
        document["library"] = [one for one in document.get("library", []) if rng.random() < 0.2]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        with suppress(IndexError):  # too little is left to change
            rng.choice(_MUTATIONS)(rng, document)
    text = json.dumps(document)
    if rng.random() < 0.03:
        at = rng.randrange(len(text))
        text = rng.choice((text[:at], text[at:], text[:at] + rng.choice(("{", "]", ",", "\0", "1")) + text[at:]))
    return text


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    pairs: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield (*path, key)
        yield from _places(part, (*path, key))


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def _set(document: Any, path: Path, value: Any) -> None:
    _at(document, path[:-1])[path[-1]] = value


def _objects(document: Any, wanted: str | None = None) -> list[Path]:
    """Places of objects that have a kind, or the kind that is wanted."""
    return [
        path
        for path in _places(document)
        if isinstance(one := _at(document, path), dict) and "kind" in one and wanted in (None, one["kind"])
    ]


def _odd(rng: random.Random, document: Any) -> None:
    path = rng.choice(list(_places(document)))
    _set(document, path, copy.deepcopy(rng.choice(_ODD)))


def _drop(rng: random.Random, document: Any) -> None:
    path = rng.choice(list(_places(document)))
    del _at(document, path[:-1])[path[-1]]


def _transplant(rng: random.Random, document: Any) -> None:
    """A part with a kind takes the place of another one."""
    paths = _objects(document)
    if paths:
        part = copy.deepcopy(_at(document, rng.choice(paths)))
        _set(document, rng.choice(paths), part)


def _wrap(rng: random.Random, document: Any) -> None:
    paths = [path for path in _objects(document) if path[-1] not in ("declaration",)]
    if not paths:
        return
    path = rng.choice(paths)
    inner = _at(document, path)
    for _ in range(rng.choice((1, 1, 2, 40, 99, 150))):
        twice = inner if len(json.dumps(inner)) < 2000 else {"kind": "name", "id": "x"}
        inner = rng.choice(
            (
                {"kind": "unary", "op": "-", "operand": inner},
                {"kind": "sum", "terms": [inner, {"kind": "number", "value": 1}]},
                {"kind": "pipe", "stages": [inner, twice]},
                {"kind": "call", "name": "sum", "args": [{"name": None, "value": inner}]},
                {"kind": "items", "items": [inner]},
                {"kind": "range", "low": {"kind": "number", "value": 0}, "high": inner},
                {"kind": "each", "value": inner, "var": "i", "domain": twice},
                {"kind": "index", "name": "x", "at": [inner]},
            )
        )
    _set(document, path, inner)


def _leaf(rng: random.Random, document: Any) -> None:
    """A name, a number or a sign becomes another one."""
    paths = [path for path in _places(document) if not isinstance(_at(document, path), (dict, list))]
    path = rng.choice(paths)
    value = _at(document, path)
    if isinstance(value, str):
        names = [one for one in (_at(document, other) for other in paths) if isinstance(one, str)]
        _set(document, path, rng.choice((rng.choice(names), rng.choice(WORDS), rng.choice(_WORDS.split()))))
    else:
        number = rng.choice([one for one in NUMBERS if one.replace(".", "").isdigit()])
        _set(document, path, json.loads(number.lstrip("0") or "0") if not number.startswith("0.") else float(number))


def _rename(rng: random.Random, document: Any) -> None:
    """A name becomes another one everywhere."""
    paths = [path for path in _places(document) if path[-1] in ("name", "id") and isinstance(_at(document, path), str)]
    old, new = (_at(document, rng.choice(paths)) for _ in range(2))
    for path in paths:
        if _at(document, path) == old:
            _set(document, path, new)


def _again(rng: random.Random, document: Any) -> None:
    """An item of a list, once more."""
    lists = [path for path in _places(document) if isinstance(_at(document, path), list) and _at(document, path)]
    if lists:
        items = _at(document, rng.choice(lists))
        items.insert(rng.randrange(len(items) + 1), copy.deepcopy(rng.choice(items)))


_MUTATIONS = [_odd, _drop, _transplant, _transplant, _transplant, _wrap, _wrap, _leaf, _leaf, _leaf, _rename, _again]
