"""`routespace check`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from routespace.cli.ending import PROBLEMS, command, has_color
from routespace.cli.options import Set, read_settings
from routespace.cli.spaces import ROOT, name_of, read_source
from routespace.cli.streams import print_json
from routespace.diagnostics import Findings, RouteError, escaped

if TYPE_CHECKING:
    from routespace.graph.ir import RouteGraph
    from routespace.language.imports import Library
    from routespace.space.model import ParameterValue


@command
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files, or `-` for standard input.")],
    settings: Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on standard output.")] = False,
) -> None:
    """Check .route files.

    Their text, their spaces with all that follows from them, and their nets. Findings go to standard error. Of a space
    that nothing is wrong with, its parts are counted and the smallest images that fit it are told. A file without a
    space, a library of ops, only has to be readable.

    \b
    Examples:
      routespace check examples/*.route
      routespace check space.route --set depth=33 --set live=always
      routespace check space.route --json | jq '.[].code'
    """
    from routespace.diagnostics.render import render, to_json

    given = read_settings(settings)
    results = [check_file(path, given) for path in files]
    if as_json:
        found = [json.loads(to_json(one.findings.diagnostics, one.findings.sources)) for one in results]
        print_json([finding for findings in found for finding in findings], 2)
    else:
        for one in results:
            print("".join(f"{line}\n" for line in one.summary), end="", flush=True)
            if one.findings.diagnostics:
                shown = render(one.findings.diagnostics, one.findings.sources, color=has_color(sys.stderr))
                print(shown, file=sys.stderr)
    if any(one.findings.has_errors for one in results):
        raise typer.Exit(PROBLEMS)


@dataclass(frozen=True)
class Checked:
    """What was found in one file, and a line on each space that nothing is wrong with."""

    findings: Findings
    summary: tuple[str, ...] = ()


def check_file(path: Path, given: dict[str, ParameterValue]) -> Checked:
    """Everything that can be found in a file before it is compiled: each space built, each of its nets held."""
    from routespace.language.load import read_library

    name = name_of(path)
    found = Findings()
    try:
        library = read_library(read_source(path), name, path, found, ROOT.get())
    except RouteError as error:
        return Checked(_all(error))
    of_nets = dict.fromkeys(net.space for net in library.nets.values() if net.space in library.spaces)
    spaces = library.own_spaces or list(of_nets)
    if not spaces:
        return Checked(found, () if found.has_errors else (f"{escaped(name)}: no space, readable",))
    summary: list[str] = []
    readable = not found.has_errors
    for space in spaces:
        inner = Findings(found.sources) if readable else found
        line = _check_space(library, name, space, given, inner)
        if inner is not found:
            found.extend(inner.diagnostics)
        summary += [] if line is None else [line]
    return Checked(found, tuple(summary))


def _check_space(
    library: Library, name: str, space: str, given: dict[str, ParameterValue], findings: Findings
) -> str | None:
    """A line on a space that nothing is wrong with, with the size of its smallest images.

    Nets written for other parameters may not fit: a warning.
    """
    from routespace.graph.build import build
    from routespace.graph.nets import hold
    from routespace.graph.sizes import least_size
    from routespace.graph.verify import verify
    from routespace.language.load import space_of

    loaded = space_of(library.spaces[space], library, given, findings)
    if findings.has_errors:
        return None
    try:
        graph = verify(build(loaded, findings))
    except RouteError:
        return None
    for net in loaded.nets:
        try:
            hold(graph, net)
        except RouteError as error:
            severity: Literal["error", "warning"] = "warning" if given else "error"
            findings.extend(replace(one, severity=severity) for one in error.diagnostics)
    if any(clause.name == "require" for clause in loaded.clauses):
        from routespace.questions.check import check_requirements

        check_requirements(graph, findings)
    if findings.has_errors:
        return None
    height, width = least_size(graph)
    return f"{escaped(name)}: space {space}, {_counts(graph, len(loaded.nets))}, images from {height}x{width}"


def _counts(graph: RouteGraph, nets: int) -> str:
    from routespace.graph.ir import Route

    routes = sum(isinstance(value, Route) for value in graph.values)
    counts = (("node", len(graph.nodes)), ("route", routes), ("gate", len(graph.gates)), ("net", nets))
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts)


def _all(error: RouteError) -> Findings:
    findings = Findings(dict(error.sources))
    findings.extend(error.diagnostics)
    return findings
