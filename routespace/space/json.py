"""Space ⇄ JSON, and the schema of that JSON. The only file that imports pydantic."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from routespace.diagnostics import Diagnostic, RouteError
from routespace.space.model import Space, without_spans

_ADAPTER: TypeAdapter[Space] = TypeAdapter(Space)


def dump_space(space: Space, indent: int | None = 2) -> str:
    """JSON text of `space`, without the places its parts stood at."""
    return _ADAPTER.dump_json(without_spans(space), indent=indent, exclude_none=True, exclude={"sources"}).decode()


def load_space(text: str) -> Space:
    """The space that `text` describes; `RouteError` (RS150) names the field that does not fit."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise RouteError(
            [
                Diagnostic("RS150", f"not the JSON of a space: {problem['msg']} at `{_where(problem['loc'])}`")
                for problem in problems[:10]
            ]
        ) from None
    except RecursionError:
        raise RouteError([Diagnostic("RS150", "not the JSON of a space: nested too deeply")]) from None


def json_schema() -> dict[str, Any]:
    """JSON schema of `Space.to_json`.

    >>> json_schema()["title"]
    'Space'
    """
    return json.loads(json.dumps(_ADAPTER.json_schema()))  # type: ignore[no-any-return]


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the top"
