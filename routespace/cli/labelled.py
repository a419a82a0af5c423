"""Images with labels from two folders, and what a saved space or net makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from routespace.cli.ending import Trouble
from routespace.cli.images import check_channels, each_image, find_images, warn
from routespace.cli.spaces import build_graph, channels_of
from routespace.diagnostics import quoted
from routespace.graph.infer import infer
from routespace.graph.ir import Output, RouteGraph
from routespace.integrations.artifact import load_artifact
from routespace.integrations.evaluate import Scores
from routespace.integrations.images import SizeError, read_image, read_labels
from routespace.integrations.pairs import as_labels, ignored_of
from routespace.runtime.modes import evaluating


@dataclass(frozen=True)
class Quality:
    """Mean IoU over the classes, the mean hard cost of an image, and whether all images could be used."""

    miou: float
    work: float
    whole: bool


def judge(artifact: Path, images: Path, labels: Path, convention: str | None) -> Quality:
    """Run what the folder `artifact` holds over labelled images, one at a time; those that cannot be used are told and
    left out. Raises `Trouble` and `RouteError`."""
    loaded = load_artifact(artifact)
    graph = build_graph(loaded.space)
    channels, scores = channels_of(graph), Scores(_classes(graph), convention=convention)
    check_channels(channels)
    paths = find_images(images)
    if not labels.is_dir():
        raise Trouble(f"{quoted(labels)} is no folder", "it holds a .png for each image")

    def use(path: Path) -> None:
        image, label = read_labelled(path, labels / f"{path.stem}.png", channels, scores.classes)
        scores.add(loaded.module(image[None]), label[None])

    with evaluating(loaded.module):
        whole = each_image(paths, use)
    remark = scores.remark(str(labels))
    if remark is not None:
        warn(remark)
    found = scores.evaluation()
    return Quality(found.miou, fmean(found.hard), whole)


def read_labelled(path: Path, named: Path, channels: int, classes: int) -> tuple[Tensor, Tensor]:
    """The image (channels, H, W) at `path` with the label (H, W) at `named`, which says which way up it was drawn.
    Raises `Trouble` for a label that does not fit, and `ImageError`."""
    label = torch.from_numpy(read_labels(named))
    height, width = label.shape
    try:
        image = torch.from_numpy(read_image(path, channels, (height, width)))
    except SizeError as error:
        size = "x".join(map(str, error.size))
        raise Trouble(f"{quoted(named)} is {height}x{width}, its image {size}") from None
    try:
        return image, as_labels(label, classes, ignored_of(classes))
    except ValueError as error:
        raise Trouble(f"{quoted(named)} has {error}") from None


def _classes(graph: RouteGraph) -> int:
    outputs = [value for value in graph.values if isinstance(value, Output)]
    if len(outputs) != 1:
        raise Trouble(f"space {graph.name} has {len(outputs)} outputs; quality is told of one map of classes")
    return infer(graph, graph.probe).shapes[outputs[0].name].channels
