"""`routespace fuzz`."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import PROBLEMS, USAGE, Trouble, command
from routespace.cli.options import OneSpace, Set, finite, read_settings
from routespace.cli.spaces import build_graph, read_space
from routespace.diagnostics import escaped

if TYPE_CHECKING:
    from routespace.testing.fuzzing import Found, Verdict

SMALLER = "ask of a smaller space, with `--set`"
LEAST_KEEPING = 1.0
"""Seconds that finding out what the gates of a failure decide may take, however late it was met."""


@command
def fuzz(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A .route file, or `-` for standard input.")
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=1, help="How many cases to try at most.")] = 100,
    seconds: Annotated[
        float, typer.Option("--time", min=0, callback=finite, metavar="SECONDS", help="How long to go on at most.")
    ] = 60.0,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**40, help="Of weights, gates and images.")] = 0,
    law: Annotated[
        list[str] | None, typer.Option("--law", metavar="NAME", help="Ask this law only. Repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where to keep a failure.")] = Path("fuzz"),
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="FOLDER", help="Run a failure that was kept again.")
    ] = None,
    settings: Set = None,
    space: OneSpace = None,
) -> None:
    """Try to break a space.

    Its gates and ops are held to what they declare, and its forms to the laws, over random weights, gates and images.
    The first case that breaks a law is made small and kept: a minimal .route file, the numbers of its weights and
    images, and what its gates decide. The exit code is 1 where a law is broken.

    \b
    Examples:
      routespace fuzz examples/small.route
      routespace --import my_gates fuzz space.route --time 20 --seed 7
      routespace fuzz space.route --law "forms agree" --examples 500
      routespace --import my_gates fuzz --replay fuzz/space-forms-agree
    """
    end = time.monotonic() + seconds
    if (file is None) == (replay is None):
        raise Trouble("give a file to fuzz, or a folder with `--replay`", code=USAGE)
    if replay is not None and (law or settings or space):
        raise Trouble("a failure that was kept brings its space and its law", code=USAGE)
    modules = [f"--import {name} " for name in (context.parent.params.get("modules") if context.parent else None) or ()]
    if replay is not None:
        _replay(replay)
        return
    assert file is not None
    loaded = read_space(file, read_settings(settings), space)
    build_graph(loaded)
    verdict = _search(loaded, examples, end, seed, law)
    _summary(verdict, seconds)
    if verdict.found is None:
        return
    from routespace.testing.fuzzing import keep

    folder = out / re.sub(r"\W+", "-", f"{loaded.name}-{verdict.found.broken.law}").strip("-")
    _report(verdict.found)
    keep(verdict.found.broken, verdict.found.case, folder, max(LEAST_KEEPING, end - time.monotonic()))
    again = f"routespace {''.join(modules)}fuzz --replay {shlex.quote(escaped(folder))}"
    print(f"kept in {escaped(folder)}; again with\n  {again}")
    raise typer.Exit(PROBLEMS)


def _search(space: object, examples: int, end: float, seed: int, laws: list[str] | None) -> Verdict:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from routespace.cli.tables import console
    from routespace.testing.fuzzing import fuzz as search

    columns = (
        TextColumn("fuzz"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    screen = console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("", total=examples)

        def told(number: int, what: str) -> None:
            progress.update(task, completed=number, description=what)

        try:
            seconds = end - time.monotonic()
            return search(space, examples=examples, seconds=seconds, seed=seed, laws=laws, told=told)  # type: ignore[arg-type]
        except ValueError as error:
            raise Trouble(str(error), code=USAGE) from None


def _summary(verdict: Verdict, seconds: float) -> None:
    """Print what came of a search. Raises `Trouble` where that is too little to be called well."""
    if verdict.examples:
        count = "1 case" if verdict.examples == 1 else f"{verdict.examples} cases"
        ending = "broken" if verdict.found else "all hold"
        print(f"{verdict.name}: {count}, {len(verdict.laws)} laws, {ending} ({verdict.seconds:.0f} s)")
    elif verdict.begun:
        asked = f"{len(verdict.begun)} of {len(verdict.laws)} laws were asked of the first case, and hold"
        print(f"{verdict.name}: {asked} ({verdict.seconds:.0f} s)")
    if verdict.ended is not None and verdict.found is None:
        raise Trouble(verdict.ended, SMALLER)
    if not verdict.examples and not verdict.begun:
        raise Trouble(f"no law could be asked of {verdict.name} in {seconds:g} s", f"more `--time`; or {SMALLER}")
    for net in verdict.left_out:
        print(f"left out: net {net}, which the space does not contain (`routespace contains` tells why)")
    if verdict.found is None and verdict.examples:
        shares = ", ".join(f"{name} {count / verdict.examples:.0%}" for name, count in verdict.hits.most_common())
        print(f"situations met: {shares}")


def _report(found: Found) -> None:
    case = found.case
    print(f"\n{found.broken.message}\n")
    print("".join(f"    {line}".rstrip() + "\n" for line in case.text.splitlines()))
    images = f"{case.batch} images of {case.height}x{case.width} of seed {case.image_seed}"
    print(f"weights of seed {case.weight_seed} tilted by {case.tilt:g}, {images}")
    if found.also:
        print(f"the case it was met in also breaks: {', '.join(found.also)}")
    before, after = len(found.met.text.splitlines()), len(case.text.splitlines())
    print(f"shrunk from {before} to {after} lines in {found.tries} tries")


def _replay(folder: Path) -> None:
    from routespace.testing.fuzzing import read_kept, replay

    kept = read_kept(folder)
    again = replay(kept)
    if again.otherwise:
        print(f"gates decide otherwise than they did: {', '.join(again.otherwise)}")
    elif kept.gates:
        print("gates decide as they did")
    if again.broken is None:
        print(f"the law holds now: {kept.law}")
        return
    print(again.broken.message)
    raise typer.Exit(PROBLEMS)
