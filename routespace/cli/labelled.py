"""Images with labels from two folders, and what a saved space or net makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from routespace import InputError
from routespace.cli.ending import Trouble
from routespace.cli.images import check_channels, find_images, read_image
from routespace.cli.spaces import build_graph, channels_of
from routespace.cli.tables import console
from routespace.graph.infer import infer
from routespace.graph.ir import Output, RouteGraph
from routespace.integrations.artifact import load_artifact
from routespace.integrations.evaluate import evaluate

IGNORED = 255


@dataclass(frozen=True)
class Quality:
    """Mean IoU over the classes, and the mean hard cost of an image."""

    miou: float
    work: float


def judge(artifact: Path, images: Path, labels: Path, convention: str | None) -> Quality:
    """Run what the folder `artifact` holds over labelled images, one at a time. Raises `Trouble` and `RouteError`."""
    from rich.progress import Progress

    loaded = load_artifact(artifact)
    graph = build_graph(loaded.space)
    classes = _classes(graph)
    check_channels(channels_of(graph))
    paths = find_images(images)
    screen = console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(artifact.name, total=len(paths))
        pairs = Labelled(paths, labels, channels_of(graph), classes, lambda: progress.advance(task))
        try:
            found = evaluate(loaded.module, pairs, classes=classes, ignore=IGNORED, convention=convention)
        except InputError as error:
            raise Trouble(f"an image in `{images}` does not fit the space: {error}") from None
    return Quality(found.miou, fmean(found.hard))


class Labelled(Dataset[tuple[Tensor, Tensor]]):
    """Images (channels, H, W) in [0, 1] with labels (H, W): grey values of the .png of the same name in `labels`."""

    def __init__(
        self, paths: list[Path], labels: Path, channels: int, classes: int, on_read: Callable[[], None]
    ) -> None:
        self.paths, self.labels, self.channels, self.classes = paths, labels, channels, classes
        self.on_read = on_read

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path = self.paths[index]
        image = torch.from_numpy(read_image(path, self.channels))
        named = self.labels / f"{path.stem}.png"
        try:
            with Image.open(named) as opened:
                label = torch.from_numpy(np.array(opened)).long()
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, TypeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Trouble(f"`{named}`, the label of `{path}`, cannot be read: {reason}") from None
        if label.shape != image.shape[1:]:
            raise Trouble(f"`{named}` is {_size(label)}, its image {_size(image[0])}")
        beyond = label[(label != IGNORED) & ((label < 0) | (label >= self.classes))]
        if beyond.numel():
            raise Trouble(f"`{named}` has a class {int(beyond[0])}; the space predicts 0 to {self.classes - 1}")
        self.on_read()
        return image, label


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


def _classes(graph: RouteGraph) -> int:
    outputs = [value for value in graph.values if isinstance(value, Output)]
    if len(outputs) != 1:
        raise Trouble(f"space {graph.name} has {len(outputs)} outputs; quality is told of one map of classes")
    return infer(graph, (256, 256)).shapes[outputs[0].name].channels
