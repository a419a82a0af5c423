"""The `routespace` program: its commands and what they have in common."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

import routespace as rs
from routespace.cli import check, cost, diff, draw, explain, extract, find, format, fuzz, nets, run, show, table, train
from routespace.cli.ending import USAGE, Trouble, command, told
from routespace.cli.spaces import ROOT
from routespace.cli.streams import prepare

app = typer.Typer(
    name="routespace",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"routespace {rs.__version__}")
        raise typer.Exit()


@app.callback()
@command
def common(
    modules: Annotated[
        list[str] | None,
        typer.Option("--import", metavar="MODULE", help="Import a Python module first; it may register ops and gates."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="The folder that imports may not leave, unless it is that of the file.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Neural routing spaces as text: check them, price them, ask about their nets, draw them, run them, train them.

    Exit codes: 0 all is well, 1 the input has problems, 2 the command line has.

    \b
    Examples:
      routespace check examples/segmentation.route
      routespace cost examples/segmentation.route --input 3x1024x2048
      routespace find examples/segmentation.route --flops 53..55G --params 6.0..6.2M
      routespace draw examples/segmentation.route --net fcn_32s -o net.svg
    """
    ROOT.set(root)
    for name in modules or ():
        if "" not in sys.path:
            sys.path.insert(0, "")
        try:
            import_module(name)
        except Exception as cause:
            raise Trouble(f"`--import {name}` failed: {type(cause).__name__}: {cause}", code=USAGE) from cause


app.command("check")(check.check)
app.command("format")(format.format)
app.command("explain")(explain.explain)
app.command("show")(show.show)
app.command("cost")(cost.cost)
app.command("count")(nets.count)
app.command("sample")(nets.sample)
app.command("contains")(nets.contains)
app.command("find")(find.find)
app.command("diff")(diff.diff)
app.command("table")(table.table)
app.command("draw")(draw.draw)
app.command("run")(run.run)
app.command("extract")(extract.extract)
app.command("train")(train.train)
app.command("fuzz")(fuzz.fuzz)


def main() -> None:
    """Run the program on the arguments of this process and end it."""
    prepare()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        sys.exit(told(error))
    finally:
        gc.freeze()  # the process ends: nothing of it needs to be looked through for cycles
