"""What a training run has to be given, checked before anything of it is written."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch.utils.data import Dataset, IterableDataset

from routespace.graph.infer import infer
from routespace.graph.ir import Input, Output, RouteGraph
from routespace.graph.sizes import refusal
from routespace.integrations.artifact import DESCRIPTION
from routespace.integrations.fault import RunError
from routespace.integrations.pairs import Pair, Pairs, Size
from routespace.integrations.train.data import random_state
from routespace.integrations.train.recipe import Recipe


def check_counts(validations: int, checkpoint_every: int | None) -> None:
    """Raises `ValueError` for a run that is never validated, or saved every 0 steps."""
    for name, count in (("validations", validations), ("checkpoint_every", checkpoint_every)):
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ValueError(f"`{name}` is {count!r}: at least 1 is needed")


def check_free(checkpoint: Path, artifact: Path, resume: Path | None) -> None:
    """Raises `RunError` where the files of an earlier run would be replaced that is not gone on with."""
    there = [one for one in (checkpoint, artifact / DESCRIPTION) if one.exists()]
    if there and (resume is None or resume.resolve() != checkpoint.resolve()):
        raise RunError(
            f"`{checkpoint.parent}` holds an earlier run: `{there[0]}`",
            "`resume` it, give another folder, or `overwrite` it",
        )


def check_size(graph: RouteGraph, size: int | tuple[int, int]) -> None:
    """Raises `ValueError` for scenes of a size that does not fit a space."""
    why = refusal(graph, size if isinstance(size, tuple) else (size, size))
    if why is not None:
        raise ValueError(f"`size` is {size}: {why}")


def check_classes(graph: RouteGraph, classes: int) -> None:
    """Raises `ValueError` unless a space has one output of `classes` logits."""
    shapes = infer(graph, graph.probe).shapes
    given = [shapes[value.name].channels for value in graph.values if isinstance(value, Output)]
    if len(given) != 1:
        raise ValueError(f"space `{graph.name}` has {len(given)} outputs; training is for one map of classes")
    if given[0] != classes:
        raise ValueError(f"`classes` is {classes}, the output of space `{graph.name}` has {given[0]}")


def pairs_of(graph: RouteGraph, classes: int, recipe: Recipe) -> Pairs:
    """What the items of sets have to be that `graph` learns from."""
    channels = next(value.channels for value in graph.values if isinstance(value, Input))
    return Pairs("", classes, recipe.ignore_index, channels, torch.float32, OutputSizes(graph))


def check_set(name: str, given: Dataset[Pair], wanted: Pairs, recipe: Recipe) -> None:
    """Raises `ValueError` for a set that is empty or whose first item is not what is `wanted`."""
    if isinstance(given, IterableDataset) or not hasattr(given, "__len__"):
        raise ValueError(f"`{name}` is a `{type(given).__name__}`: a set with a length and numbered items is needed")
    if len(cast(Sized, given)) == 0:
        raise ValueError(f"`{name}` is empty")
    with random_state(recipe.seed):
        replace(wanted, name=name).pair(0, given[0])


class OutputSizes:
    """The size of the output of a graph with one, for images of a size; raises `ValueError` for images that do not fit.

    It goes to the processes that load data, as a function with a cache would not.
    """

    def __init__(self, graph: RouteGraph) -> None:
        self.graph = graph
        self.known: dict[Size, Size] = {}

    def __call__(self, size: Size) -> Size:
        if size not in self.known:
            self.known[size] = self._infer(size)
        return self.known[size]

    def _infer(self, size: Size) -> Size:
        graph = self.graph
        why = refusal(graph, size)
        if why is not None:
            raise ValueError(why)
        shapes = infer(graph, size).shapes
        made = next(shapes[value.name] for value in graph.values if isinstance(value, Output))
        return made.height, made.width
