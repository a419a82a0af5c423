"""`routespace diff`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.asking import AsJson, in_units
from routespace.cli.cost import known_convention
from routespace.cli.ending import PROBLEMS, command
from routespace.cli.options import Set, read_settings
from routespace.cli.spaces import build_graph, read_space, sides_of
from routespace.cli.streams import print_json

if TYPE_CHECKING:
    from routespace.questions.difference import Change

MOST_NAMES = 6


@command
def diff(
    one: Annotated[Path, typer.Argument(metavar="A.route", help="A file with one space.")],
    other: Annotated[Path, typer.Argument(metavar="B.route", help="Another one.")],
    size: Annotated[str, typer.Option("--input", metavar="SIZE", help="Size of an image.")] = "1024x2048",
    convention: Annotated[
        str | None, typer.Option("--convention", metavar="NAME", help="How to count; else as the first space declares.")
    ] = None,
    settings: Set = None,
    as_json: AsJson = False,
) -> None:
    """Tell how two spaces differ in meaning, not in text.

    Nodes, routes, gates and work that are gone, new or changed; policies; parameters, cost and the number of nets. The
    exit code is 1 where they differ.

    \b
    Examples:
      routespace diff before.route after.route
      routespace diff a.route b.route --input 3x512x512 --json
    """
    from routespace.questions.difference import differ

    given = read_settings(settings)
    first, second = (build_graph(read_space(path, given)) for path in (one, other))
    sides = sides_of(size, first, second)
    chosen = known_convention(convention or first.policies.cost)
    found = differ(first, second, sides, chosen)
    if as_json:
        print_json(asdict(found), 2)
    elif found.is_empty:
        print("both mean the same")
    else:
        for name, change in (
            ("nodes", found.nodes),
            ("routes", found.routes),
            ("gates", found.gates),
            ("work", found.work),
        ):
            _print(name, change)
        if found.policies:
            print(f"policies    {', '.join(found.policies)}")
        for name, (before, after), unit in (
            ("parameters", found.parameters, ""),
            ("maximum", tuple(map(int, found.most)), f", counted as {chosen}"),
            ("nets", found.nets, ""),
        ):
            if before != after:
                shown = (f"{one:,}" if name == "nets" else in_units(one).strip() for one in (before, after))
                print(f"{name:<11} {' → '.join(shown)}{unit}")
    if not found.is_empty:
        raise typer.Exit(PROBLEMS)


def _print(name: str, change: Change) -> None:
    for what, names in (("gone", change.gone), ("new", change.new), ("changed", change.changed)):
        if names:
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            print(f"{name:<11} {len(names)} {what}: {', '.join(names[:MOST_NAMES])}{more}")
