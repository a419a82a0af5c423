"""`routespace extract`."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import PROBLEMS, USAGE, Trouble, command
from routespace.cli.options import OneSpace, Set, finite, read_settings
from routespace.cli.spaces import STDIN
from routespace.cli.streams import print_text
from routespace.cli.subject import check_subject, check_weights
from routespace.diagnostics import quoted

if TYPE_CHECKING:
    from routespace.cli.running import Model
    from routespace.graph.ir import RouteGraph
    from routespace.graph.profile import Profile

PROFILE = ".json"


@command
def extract(
    subject: Annotated[Path, typer.Argument(metavar="FILE_OR_ARTIFACT", help="A .route file, or a folder of `train`.")],
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="A folder of images, or the .json of an earlier `--profile`.")
    ],
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Weights for a .route file, as safetensors.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Take random weights of this seed instead.")] = None,
    at_least: Annotated[
        float,
        typer.Option(
            "--at-least", metavar="P", min=0, max=100, callback=finite, help="In how many percent of the images."
        ),
    ] = 95.0,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call the net.")] = "common",
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write the net; `-` prints it.")
    ] = Path(STDIN),
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="JSON", help="Also write for how many images each was open.")
    ] = None,
    settings: Set = None,
    space: OneSpace = None,
) -> None:
    """Write the net of the routes that are open in most images.

    The images are run through a space, and the routes open for at least P percent of them become a net, in a file that
    imports the space. Routes that lie on no path of such routes are left out and named. An image that cannot be used is
    told and left out, and the exit code is 1.

    \b
    Examples:
      routespace extract out/artifact photos/ --at-least 50 -o common.route
      routespace extract space.route photos/ --weights weights.safetensors --profile profile.json
      routespace extract space.route profile.json --at-least 80
    """
    from routespace.cli.running import load_model
    from routespace.cli.spaces import build_graph, read_space
    from routespace.files import write_atomically
    from routespace.integrations.artifact import TEXT
    from routespace.language.format import format_text
    from routespace.questions.extract import extract as extract_net
    from routespace.questions.nets import Nets
    from routespace.questions.written import write_net

    check_subject(subject)
    is_artifact, is_profile = subject.is_dir(), images.suffix == PROFILE
    if not name.isidentifier():
        raise Trouble(f"`{name}` is no name of a net", code=USAGE)
    if is_artifact and (weights or seed is not None or settings or space):
        raise Trouble("an artifact brings its space and weights", code=USAGE)
    if is_profile and (weights or seed is not None or profile):
        raise Trouble("a profile is read, not made: it takes neither weights nor `--profile`", code=USAGE)
    if not is_artifact and not is_profile:
        check_weights(weights, seed)
    given, home = read_settings(settings), _home(subject / TEXT if is_artifact else subject, out)
    if is_profile and not is_artifact:
        graph, found, whole = build_graph(read_space(subject, given, space)), _read(images), True
    else:
        model = load_model(subject, given, space, None, None, weights, seed)
        if model.net is not None:
            raise Trouble(f"{quoted(subject)} holds net `{model.net}`: nothing in it is decided")
        graph, (found, whole) = model.graph, (_read(images), True) if is_profile else _recorded(model, images)
    if profile is not None:
        write_atomically(profile, found.to_json())
    net = extract_net(Nets(graph), found, Fraction(str(at_least)) / 100)
    imported = f'from "{home}" import {graph.name}\n\n' if home else ""
    text = format_text(_head(graph, found, at_least) + imported + write_net(graph, name, net.routes))
    if str(out) == STDIN:
        print_text(text)
    else:
        write_atomically(out, text)
    for route in net.trimmed:
        print(f"left out, on no path of such routes: {route}", file=sys.stderr)
    if not whole:
        raise typer.Exit(PROBLEMS)


def _home(space: Path, out: Path) -> str | None:
    """What a net in the file `out` imports its space from, None where one of them is none. Raises `Trouble` for a path
    that no text can hold."""
    if STDIN in (str(out), str(space)):
        return None
    home = os.path.relpath(space, out.parent).replace(os.sep, "/")
    if not home.isprintable() or '"' in home:
        raise Trouble(f"no text can import {quoted(home)}", "rename it, or print the net with `-o -`")
    return home


def _head(graph: RouteGraph, found: Profile, at_least: float) -> str:
    assert graph.space is not None
    bound = ", ".join(f"{name} = {_shown(value)}" for name, value in graph.space.values.items())
    return f"# Routes open in at least {at_least:g} % of {found.images:,} images, with {bound or 'no parameters'}.\n\n"


def _read(path: Path) -> Profile:
    from routespace.cli.spaces import read_source
    from routespace.graph.profile import Profile

    return Profile.from_json(read_source(path))


def _recorded(model: Model, path: Path) -> tuple[Profile, bool]:
    """What the model does with the images at `path`, one at a time, and whether all could be used."""
    import torch

    from routespace.cli.images import check_channels, each_image, find_images, read_image
    from routespace.cli.spaces import channels_of
    from routespace.graph.profile import Profile
    from routespace.recording import record

    channels, found = channels_of(model.graph), Profile(0, {})
    check_channels(channels)

    def use(path: Path) -> None:
        nonlocal found
        found += record(model.module, [torch.from_numpy(read_image(path, channels))[None]])

    whole = each_image(find_images(path), use)
    return found, whole


def _shown(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
