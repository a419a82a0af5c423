"""The callables that registries name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast


def made(factory: str | Callable[..., Any]) -> Callable[..., Any]:
    """The factory that is registered as `module:attribute`, or as itself."""
    if not isinstance(factory, str):
        return factory
    where, name = factory.split(":")
    return cast(Callable[..., Any], getattr(importlib.import_module(where), name))
