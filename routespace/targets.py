"""Where the modules of a graph's values stand in a compiled module."""

from __future__ import annotations

from keyword import iskeyword

from torch import nn

from routespace.graph.ir import RouteGraph

BEGIN, REPORT = "begin", "report"
_PLAIN = nn.Module()


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
        path = [_safe(part) for part in name.split(".")] + ["value"] * (name in folders)
        while taken.setdefault(".".join(path), name) != name:
            path[-1] += "_"
        targets[name] = ".".join(path)
    return targets


def shared_target(weights: str) -> str:
    """Module path of weights that are shared under a name."""
    return ".".join(_safe(part) for part in weights.split("."))


def _safe(part: str) -> str:
    return f"{part}_" if part in (BEGIN, REPORT) or iskeyword(part) or hasattr(_PLAIN, part) else part
