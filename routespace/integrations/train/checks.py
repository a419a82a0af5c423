"""What a training run has to be given, checked before anything of it is written."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import cast

from torch import Tensor
from torch.utils.data import Dataset

from routespace.graph.infer import infer
from routespace.graph.ir import Input, Output, RouteGraph
from routespace.integrations.artifact import DESCRIPTION
from routespace.integrations.fault import RunError
from routespace.integrations.train.data import Pair, random_state
from routespace.integrations.train.recipe import Recipe
from routespace.space.fault import Fault

PROBE = 256


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
    """Raises `ValueError` for scenes that are smaller than the smallest images of a space."""
    sides = size if isinstance(size, tuple) else (size, size)
    if min(sides) < graph.smallest:
        least = f"images of space `{graph.name}` have at least {graph.smallest} pixels a side"
        raise ValueError(f"`size` is {size}: {least}")


def check_classes(graph: RouteGraph, classes: int) -> None:
    """Raises `ValueError` unless a space has one output of `classes` logits."""
    shapes = infer(graph, (max(PROBE, graph.smallest),) * 2).shapes
    given = [shapes[value.name].channels for value in graph.values if isinstance(value, Output)]
    if len(given) != 1:
        raise ValueError(f"space `{graph.name}` has {len(given)} outputs; training is for one map of classes")
    if given[0] != classes:
        raise ValueError(f"`classes` is {classes}, the output of space `{graph.name}` has {given[0]}")


def check_set(name: str, given: Dataset[Pair], graph: RouteGraph, classes: int, recipe: Recipe) -> None:
    """Raises `ValueError` for a set that is empty or whose first item does not fit the space and its classes."""
    if len(cast(Sized, given)) == 0:
        raise ValueError(f"`{name}` is empty")
    with random_state(recipe.seed):
        image, label = given[0]
    channels = next(value.channels for value in graph.values if isinstance(value, Input))
    if image.dim() != 3 or image.shape[0] != channels or min(image.shape[1:]) < graph.smallest:
        wanted = f"({channels}, H, W) with sides of at least {graph.smallest}"
        raise ValueError(f"`{name}` gives images {tuple(image.shape)}, {wanted} is needed")
    if label.shape != image.shape[1:]:
        raise ValueError(f"`{name}` gives labels {tuple(label.shape)} for images {tuple(image.shape)}")
    made = _output_size(graph, (image.shape[1], image.shape[2]))
    if made != tuple(label.shape):
        raise ValueError(
            f"`{name}` gives labels {tuple(label.shape)}, space `{graph.name}` makes a map of {made} of them"
        )
    beyond = _beyond(label, classes, recipe.ignore_index)
    if beyond is not None:
        raise ValueError(
            f"`{name}` has a class {beyond}: there are 0 to {classes - 1}, and {recipe.ignore_index} is ignored"
        )


def _output_size(graph: RouteGraph, size: tuple[int, int]) -> tuple[int, int]:
    """The size of the output for images of `size`; `ValueError` for images that do not fit."""
    try:
        shapes = infer(graph, size).shapes
    except Fault as fault:
        raise ValueError(f"images of {size} do not fit space `{graph.name}`: {fault.message}") from None
    made = next(shapes[value.name] for value in graph.values if isinstance(value, Output))
    return made.height, made.width


def _beyond(label: Tensor, classes: int, ignored: int) -> int | None:
    found = label[(label != ignored) & ((label < 0) | (label >= classes))]
    return int(found[0]) if found.numel() else None
