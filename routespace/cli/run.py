"""`routespace run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from routespace.cli.ending import PROBLEMS, USAGE, Trouble, command
from routespace.cli.options import Net, OneSpace, Set, read_settings
from routespace.cli.show import Form


@command
def run(
    subject: Annotated[Path, typer.Argument(metavar="FILE_OR_ARTIFACT", help="A .route file, or a folder of `train`.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGE_OR_FOLDER", help="An image, or a folder of images.")],
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Weights for a .route file, as safetensors.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Take random weights of this seed instead.")] = None,
    form: Annotated[Form | None, typer.Option("--form", help="How to run; else sparse, or fixed for a net.")] = None,
    net: Net = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FOLDER", help="Where to put pictures and routes.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="NAME", help="Which output to show, where there are several.")
    ] = None,
    settings: Set = None,
    space: OneSpace = None,
) -> None:
    """Run images through a space.

    What it predicts, the route each image takes, and what that costs. Images keep their size; their values go from 0
    to 1. With `--out`, each gets a picture (.png), its route as a drawing (.svg) and as numbers (.json, for
    `routespace draw --weights`).

    \b
    Examples:
      routespace run out/artifact photo.png
      routespace run out/artifact photos/ -o routes
      routespace run space.route photos/ --weights weights.safetensors --form sparse -o routes
      routespace run space.route photo.png --seed 0
    """
    from routespace.cli.running import Runner, load_model, run_all

    is_artifact = subject.is_dir()
    if is_artifact and (weights or seed is not None or net or settings or space):
        raise Trouble("an artifact brings its space and weights: only `--form` can be chosen", code=USAGE)
    if not is_artifact and (weights is None) == (seed is None):
        raise Trouble("give the weights with `--weights FILE`, or `--seed N` for random ones", code=USAGE)
    wanted = None if form is None else form.value
    model = load_model(subject, read_settings(settings), space, wanted, net, weights, seed)
    if not run_all(Runner(model, output, out), images):
        raise typer.Exit(PROBLEMS)
