"""Where the modules of a graph's values stand in a compiled module."""

from __future__ import annotations

from keyword import iskeyword

from torch import fx, nn

from routespace.graph.ir import RouteGraph

BEGIN, REPORT = "begin", "report"
_PLAIN = nn.Module()
_TOP = frozenset({*dir(fx.GraphModule(_PLAIN, fx.Graph())), "self", "shape_env"})
"""Names that a compiled module itself uses, or its code."""


def targets_of(graph: RouteGraph) -> dict[str, str]:
    """Module path of every value: its name, made safe against names that Python, `nn.Module` and this file use.

    A value whose name begins other names (`x` beside `x.1`) stands below its own: `x.value`. A fixed net keeps the
    paths of its space.
    """
    names = [value.name for value in (*(graph.sizing or graph).values, *graph.values)]
    folders = {".".join(parts[:n]) for parts in (name.split(".") for name in names) for n in range(1, len(parts))}
    taken: dict[str, str] = {}
    targets: dict[str, str] = {}
    for name in names:
        path = _path(name) + ["value"] * (name in folders)
        while taken.setdefault(".".join(path), name) != name:
            path[-1] += "_"
        targets[name] = ".".join(path)
    return targets


def shared_target(weights: str) -> str:
    """Module path of weights that are shared under a name."""
    return ".".join(_path(weights))


def _path(name: str) -> list[str]:
    first, *rest = name.split(".")
    return [f"{first}_" if first in _TOP else _safe(first), *map(_safe, rest)]


def _safe(part: str) -> str:
    return f"{part}_" if part in (BEGIN, REPORT) or iskeyword(part) or hasattr(_PLAIN, part) else part
