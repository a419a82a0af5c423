"""Whether a space fits a detector: its levels, its channels and its outputs, all that does not at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from routespace.graph.infer import infer
from routespace.graph.ir import Input, Output, RouteGraph
from routespace.integrations.fault import fault

TOWER = {"features"}


@dataclass(frozen=True)
class Wanted:
    """What a detector asks of a head: so many `levels` of so many `channels`; for each output that predicts, how many
    channels it has at a position; for each map that feeds the detector's own predictors, `features` channels."""

    levels: int
    channels: int
    features: int
    predictions: dict[str, int]


def groups_of(graph: RouteGraph) -> dict[str, tuple[str, ...]]:
    """The keys of the outputs by the name they were declared under, in the order of the levels.

    >>> import routespace as rs
    >>> groups_of(rs.build(rs.load(rs.example("dynamic_head"), width=32)))
    {'features': ('features.p3', 'features.p4', 'features.p5', 'features.p6', 'features.p7')}
    """
    found: dict[str, list[str]] = {}
    for value in graph.values:
        if isinstance(value, Output):
            found.setdefault(value.key.split(".")[0], []).append(value.key)
    return {name: tuple(keys) for name, keys in found.items()}


def check_fit(graph: RouteGraph, wanted: Wanted) -> bool:
    """True where the space is a tower, of `features`; False where it has predictors of its own.

    Raises `RouteError` RS955 with everything that does not fit.
    """
    groups = groups_of(graph)
    tower = set(groups) == TOWER
    problems = [*_inputs(graph, wanted), *_outputs(graph, groups, wanted, tower)]
    if problems:
        raise fault(
            "RS955",
            f"space `{graph.name}` does not fit the detector",
            notes=problems,
            help="`width` and `classes` of a space are set where it is loaded: load(path, width=…)",
        )
    return tower


def _inputs(graph: RouteGraph, wanted: Wanted) -> Iterator[str]:
    inputs = [value for value in graph.values if isinstance(value, Input)]
    if "." not in inputs[0].name:
        yield f"its input `{inputs[0].name}` is no pyramid"
        return
    if len(inputs) != wanted.levels:
        yield f"it reads {len(inputs)} levels, the detector has {wanted.levels}"
    if inputs[0].channels != wanted.channels:
        yield f"it reads {inputs[0].channels} channels, the backbone gives {wanted.channels}"


def _outputs(graph: RouteGraph, groups: dict[str, tuple[str, ...]], wanted: Wanted, tower: bool) -> Iterator[str]:
    needed = dict.fromkeys(TOWER, wanted.features) if tower else wanted.predictions
    if set(groups) != set(needed):
        yield (
            f"its outputs are {_listed(groups)}; a tower has `features` by level, a whole head "
            f"{_listed(wanted.predictions)}"
        )
        return
    shapes: dict[str, Any] = infer(graph, graph.probe).shapes
    outputs = {value.key: shapes[value.args[0]] for value in graph.values if isinstance(value, Output)}
    inputs = [shapes[value.name] for value in graph.values if isinstance(value, Input)]
    for name, keys in groups.items():
        if [outputs[key].stride for key in keys] != [shape.stride for shape in inputs]:
            yield f"output `{name}` has not one map for each level, finest first"
        given = outputs[keys[0]].channels
        if given != needed[name]:
            yield f"output `{name}` has {given} channels, the detector needs {needed[name]}"


def _listed(names: dict[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
