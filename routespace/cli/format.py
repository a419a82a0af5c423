"""`routespace format`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from routespace.cli.ending import PROBLEMS, USAGE, Trouble, command, report
from routespace.cli.spaces import ROOT, STDIN, name_of, read_source
from routespace.cli.streams import print_text
from routespace.diagnostics import Findings, RouteError, escaped
from routespace.files import write_atomically


@command
def format(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files, or `-` for standard input.")],
    check: Annotated[bool, typer.Option("--check", help="Only tell which files are not in the one layout.")] = False,
    explicit: Annotated[bool, typer.Option("--explicit", help="Write out every default that is in force.")] = False,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print the texts instead of changing files.")] = False,
) -> None:
    """Write .route files in the one layout.

    Files are changed in place, standard input is printed.

    \b
    Examples:
      routespace format *.route
      routespace format --check examples/*.route
      routespace format --explicit --stdout examples/segmentation.route
      cat space.route | routespace format -
    """
    if check and stdout:
        raise Trouble("`--check` and `--stdout` exclude each other", code=USAGE)
    failed = False
    for path in files:
        try:
            before = read_source(path)
            after = format_source(before, path, explicit)
        except RouteError as error:
            report(error)
            failed = True
            continue
        if check:
            if before != after:
                print(f"{escaped(name_of(path))} is not in the one layout")
                failed = True
        elif stdout or str(path) == STDIN:
            print_text(after)
        elif before != after:
            write_atomically(path, after)
            print(f"{escaped(path)} rewritten")
    if failed:
        raise typer.Exit(PROBLEMS)


def format_source(text: str, path: Path, explicit: bool) -> str:
    """`text` in the one layout, with every default written out if that is wanted. Raises `RouteError`."""
    from routespace.language.format import format_file, format_text, with_ends_of

    if not explicit:
        return format_text(text, name_of(path))
    from routespace.language.explicit import explicit_file, hidden_names
    from routespace.language.parser import parse

    findings = Findings()
    file = parse(text, name_of(path), findings)
    findings.raise_errors()
    whole = format_file(explicit_file(file, hidden_names(file, path, findings, ROOT.get())))
    return with_ends_of(text, format_text(whole, name_of(path)))
