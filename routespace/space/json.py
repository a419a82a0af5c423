"""Space ⇄ JSON, and the schema of that JSON. The only file that imports pydantic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from routespace.diagnostics import Diagnostic, Findings, RouteError
from routespace.plain_json import read_json
from routespace.space.model import Space
from routespace.space.names import check_space

MOST_PROBLEMS = 10
_PLACES = ("span", "sources")


def dump_space(space: Space, indent: int | None = 2) -> str:
    """JSON text of `space`, without the places its parts stood at and without what has its default value."""
    return json.dumps(_plain(space), indent=indent, ensure_ascii=False)


def load_space(text: str) -> Space:
    """The space that `text` describes, checked like one from a `.route` text.

    Raises `RouteError`: RS150 names the field that does not fit; names are looked up as everywhere.
    """
    try:
        given = read_json(text)
        space = _adapter().validate_python(given)
        problems = list(_unequal(given, space, ()))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [(detail["msg"], detail["loc"]) for detail in details]
    except RecursionError:
        problems = [("nested too deeply", ())]
    except ValueError as error:
        problems = [(str(error), ())]
    if problems:
        raise RouteError([_problem(*one) for one in problems[:MOST_PROBLEMS]])
    findings = Findings()
    check_space(space, findings)
    findings.raise_errors()
    return space


def json_schema() -> dict[str, Any]:
    """JSON schema of `Space.to_json`.

    >>> json_schema()["title"]
    'Space'
    """
    return json.loads(json.dumps(_adapter().json_schema()))  # type: ignore[no-any-return]


def discriminated(source: Any, handler: Any) -> Any:
    """Schema of a union whose members are told apart by `kind`; see `expr.py`."""
    return handler(Annotated[source, Field(discriminator="kind")])


@cache
def _adapter() -> TypeAdapter[Space]:
    return TypeAdapter(Space)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if not is_dataclass(value):
        return value
    shown: dict[str, Any] = {}
    for one in fields(value):
        part = getattr(value, one.name)
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        if one.name not in _PLACES and (one.name == "kind" or one.default is MISSING or part != default):
            shown[one.name] = _plain(part)
    return shown


def _unequal(given: Any, value: Any, where: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """What was given and has no place in `value`, or was taken for something else."""
    if isinstance(value, tuple):
        for place, (one, part) in enumerate(zip(given, value, strict=True)):
            yield from _unequal(one, part, (*where, place))
    elif is_dataclass(value):
        names = {one.name for one in fields(value)} - {*_PLACES}
        for name, one in given.items():
            if name not in names:
                yield "there is no such field", (*where, name)
            else:
                yield from _unequal(one, getattr(value, name), (*where, name))
    elif given.__class__ is not value.__class__:
        yield f"Input should be {'a number' if isinstance(value, (int, float)) else 'text'}", where


def _problem(message: str, where: tuple[str | int, ...]) -> Diagnostic:
    place = ".".join(str(part) for part in where) or "the top"
    return Diagnostic("RS150", f"not the JSON of a space: {message} at `{place}`")
