"""`routespace explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from routespace.cli.ending import USAGE, Trouble, command


@command
def explain(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="A code like RS101.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List all codes with their titles.")] = False,
) -> None:
    """Explain the code of a finding.

    What it means, why it is reported, and a text that causes it.

    \b
    Examples:
      routespace explain RS103
      routespace explain --all
    """
    from routespace.diagnostics.catalogue import CATALOGUE
    from routespace.diagnostics.catalogue import explain as page_on

    if every and code is not None:
        raise Trouble("give a code, or `--all`, and not both", code=USAGE)
    if every:
        for entry in CATALOGUE.values():
            print(f"{entry.code}  {entry.title}")
    elif code is None:
        raise Trouble("give a code, or `--all`", code=USAGE)
    else:
        try:
            print(page_on(code))
        except KeyError as error:
            raise Trouble(error.args[0], "`routespace explain --all` lists the codes", code=USAGE) from None
