"""`routespace run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from routespace.cli.ending import PROBLEMS, USAGE, Trouble, command
from routespace.cli.options import Net, OneSpace, Set, read_settings
from routespace.cli.outputs import plan_outputs
from routespace.cli.show import Form
from routespace.cli.subject import check_subject, check_weights, form_of


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
    to 1, and what is transparent lies on white. With `--out`, each gets a picture (.png), its route as a drawing (.svg)
    and as numbers (.json, for `routespace draw --weights`): {node: {route: weight}}, null where a gate was not reached,
    and "NaN" where it gave that, which counts as open. An image that cannot be used is told and left out, and the exit
    code is 1.

    \b
    Examples:
      routespace run out/artifact photo.png
      routespace run out/artifact photos/ -o routes
      routespace run space.route photos/ --weights weights.safetensors --form sparse -o routes
      routespace run space.route photo.png --seed 0
    """
    check_subject(subject)
    is_artifact = subject.is_dir()
    if is_artifact and (weights or seed is not None or net or settings or space):
        raise Trouble("an artifact brings its space and weights: only `--form` can be chosen", code=USAGE)
    if not is_artifact:
        check_weights(weights, seed)
        form_of(None if form is None else form.value, net)
    if output is not None and out is None:
        raise Trouble("`--output` chooses what pictures show, and without `-o` there are none", code=USAGE)
    from routespace.cli.images import find_images
    from routespace.cli.running import Runner, load_model, run_all

    found = find_images(images)
    stems = {} if out is None else _prepare(found, out, [subject, *([weights] if weights else ())])
    wanted = None if form is None else form.value
    model = load_model(subject, read_settings(settings), space, wanted, net, weights, seed)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    if not run_all(Runner(model, output, stems), found):
        raise typer.Exit(PROBLEMS)


def _prepare(images: list[Path], folder: Path, read: list[Path]) -> dict[Path, Path]:
    """Where outputs go by image, after a look at what drawing them needs. Raises `Trouble` and `RouteError`."""
    from routespace.draw import figures

    assert figures
    return plan_outputs(images, folder, read)
