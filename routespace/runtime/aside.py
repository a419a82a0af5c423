"""What `torch.compile` leaves to Python: the bookkeeping of calls, and forms whose work depends on data throughout."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def aside(method: Callable[P, T]) -> Callable[P, T]:
    """`method`, which is called as it is where `torch.compile` meets it: the graph breaks there.

    What tells `torch.compile` so is imported when it asks: it takes a second to load, and most programs never do.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_dynamo_compiling() and not torch.compiler.is_exporting():
            found: T = import_module("routespace.runtime.uncompiled").call(method, *args, **kwargs)
            return found
        return method(*args, **kwargs)

    return call
