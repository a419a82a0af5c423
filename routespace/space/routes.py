"""Which route of a node a name means."""

from __future__ import annotations

from collections.abc import Collection


def route_meant(name: str, routes: Collection[str]) -> str | None:
    """The one of a node's `routes` that `name` means: its own name, or that of the equation whose only choice it is.

    The choices of an equation are called by the place of their term, as in `y = x + soft(x) * h`:

    >>> route_meant("y", ["y.2"]), route_meant("y", ["y.1", "y.2"]), route_meant("keep", ["keep", "up"])
    ('y.2', None, 'keep')
    """
    if name in routes:
        return name
    terms = [one for one in routes if one.rpartition(".")[0] == name]
    return terms[0] if len(terms) == 1 else None
