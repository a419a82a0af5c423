"""`routespace train`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import USAGE, Trouble, command, heeding_sigterm
from routespace.cli.options import Net, OneSpace, Set, SpaceFile, finite, read_settings
from routespace.cli.spaces import build_graph, read_space

if TYPE_CHECKING:
    from routespace.integrations.train import TrainResult
    from routespace.space.model import Space


@command
def train(
    file: SpaceFile,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where to put everything.")],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimizer steps.")] = 850,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images in a step.")] = 16,
    size: Annotated[int, typer.Option("--size", min=16, help="Side of the scenes in pixels.")] = 96,
    lr: Annotated[float, typer.Option("--lr", min=0.0, callback=finite, help="Learning rate at its highest.")] = 0.05,
    warmup: Annotated[int, typer.Option("--warmup", min=0, help="Steps over which it rises.")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of weights, data and noise.")] = 0,
    scenes: Annotated[
        int | None, typer.Option("--scenes", min=1, help="How many scenes there are; else none is seen twice.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, max=1024, help="Processes that make scenes.")] = 0,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="PATH", help="A checkpoint, or the folder of an earlier run.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files of another run in the folder.")
    ] = False,
    net: Net = None,
    settings: Set = None,
    space: OneSpace = None,
) -> None:
    """Train a space, or a net, on scenes.

    The result is exported as an artifact. A folder that holds another run is left alone. The scenes are generated and
    have five classes; the space has one output of five logits for each pixel. Needs `pip install 'routespace[train]'`.

    \b
    Examples:
      routespace train examples/small.route --out out/small
      routespace train examples/small.route --out out/small --steps 2000 --lr 0.1 --warmup 50 --set mu=0.3
      routespace train examples/small.route --out out/small --resume out/small   # goes on where it was interrupted
      routespace run out/small/artifact photo.png
    """
    loaded = read_space(file, read_settings(settings), space)
    _check_fits(loaded, size)
    from routespace.integrations.fault import RunError
    from routespace.integrations.scenes import Scenes
    from routespace.integrations.train import train as fit

    train_set = None if scenes is None else Scenes(scenes, size, seed)
    try:
        with heeding_sigterm():
            result = fit(
                loaded, out, steps=steps, batch_size=batch, size=size, lr=lr, warmup=warmup, seed=seed, net=net,
                train_set=train_set, workers=workers, resume=resume, overwrite=overwrite,
            )  # fmt: skip
    except RunError as error:
        raise Trouble(error.message, _as_options(error.help)) from None
    _print(result)


def _check_fits(space: Space, size: int) -> None:
    """Raise `Trouble` unless `space` makes of scenes of `size` one map of as many logits as these have classes."""
    from routespace.graph.infer import infer
    from routespace.graph.ir import Input, Output
    from routespace.graph.sizes import refusal
    from routespace.integrations.scenes import CLASSES

    graph = build_graph(space)
    why = refusal(graph, (size, size))
    if why is not None:
        raise Trouble(why, "`--size PIXELS` gives another size", code=USAGE)
    shapes = infer(graph, (size, size)).shapes
    inputs = [value.channels for value in graph.values if isinstance(value, Input)]
    outputs = [shapes[value.name] for value in graph.values if isinstance(value, Output)]
    if inputs != [3] or len(outputs) != 1:
        raise Trouble("scenes are images of 3 channels with a map of classes: the space needs such an input and output")
    if outputs[0].channels != len(CLASSES):
        raise Trouble(
            f"the output has {outputs[0].channels} classes, the scenes have {len(CLASSES)}",
            f"`--set classes={len(CLASSES)}` where the space has such a parameter",
        )
    if (outputs[0].height, outputs[0].width) != (size, size):
        made = f"{outputs[0].height}x{outputs[0].width}"
        raise Trouble(
            f"scenes of {size}x{size} have a class for each pixel, the output is of {made}",
            "another `--size`, or an output that is resized to the scale of the image",
        )


def _as_options(text: str) -> str:
    """A text about arguments of Python as one about options.

    >>> _as_options("`resume` it or lower `lr`")
    '`--resume` it or lower `--lr`'
    """
    return re.sub(r"`(\w+)`", r"`--\1`", text)


def _print(result: TrainResult) -> None:
    last = result.history[-1]
    print(f"trained in {result.seconds:.0f} s, mIoU {result.miou:.3f} on unseen scenes")
    costs = "  ".join(f"{name} {last[f'val/{name}_mean'] / 1e6:.2f}" for name in ("expected", "hard", "executed"))
    print(f"mean cost in millions: {costs}")
    if result.remark:
        print(f"warning: {result.remark}")
    print(f"artifact: {result.artifact}")
    print(f"checkpoint: {result.checkpoint}")
