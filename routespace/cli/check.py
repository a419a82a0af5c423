"""`routespace check`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import PROBLEMS, command, has_color
from routespace.cli.options import Set, read_settings
from routespace.cli.spaces import build_graph, name_of, read_source
from routespace.diagnostics import Findings, RouteError

if TYPE_CHECKING:
    from routespace.graph.ir import RouteGraph
    from routespace.space.model import ParameterValue


@command
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files, or `-` for standard input.")],
    settings: Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on standard output.")] = False,
) -> None:
    """Check .route files.

    Their text, their spaces with all that follows from them, and their nets. Findings go to standard error. A file
    without a space, a library of ops, only has to be readable.

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
        print(json.dumps([finding for findings in found for finding in findings], indent=2, ensure_ascii=False))
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
    name = name_of(path)
    try:
        text = read_source(path)
    except RouteError as error:
        return Checked(_all(error))
    spaces = _spaces(text, name)
    found = Findings()
    if not spaces:
        _read_library(text, path, name, found)
        return Checked(found, () if found.has_errors else (f"{name}: no space, readable",))
    summary: list[str] = []
    for space in spaces:
        inner = Findings()
        line = _check_space(text, name, space, given, inner)
        found.sources.update(inner.sources)
        found.extend(inner.diagnostics)
        summary += [] if line is None else [line]
    return Checked(found, tuple(summary))


def _check_space(text: str, name: str, space: str, given: dict[str, ParameterValue], findings: Findings) -> str | None:
    from routespace.graph.nets import hold
    from routespace.language.load import loads

    try:
        loaded = loads(text, path=name, space=space, findings=findings, **given)
        graph = build_graph(loaded, findings)
    except RouteError as error:
        findings.extend(error.diagnostics)
        return None
    for net in loaded.nets:
        try:
            hold(graph, net)
        except RouteError as error:
            findings.extend(error.diagnostics)
    return None if findings.has_errors else f"{name}: space {space}, {_counts(graph, len(loaded.nets))}"


def _spaces(text: str, name: str) -> list[str]:
    """The spaces that a file declares, or else those that its nets are of."""
    from routespace.language.parser import parse
    from routespace.space.expr import NetDecl, SpaceDecl

    items = parse(text, name, Findings()).items
    own = [item.name for item in items if isinstance(item, SpaceDecl)]
    return list(dict.fromkeys(own or [item.space for item in items if isinstance(item, NetDecl)]))


def _read_library(text: str, path: Path, name: str, findings: Findings) -> None:
    from routespace.language.imports import Library, collect
    from routespace.language.parser import parse

    collect(parse(text, name, findings), path, Library(), findings, [path.resolve()])


def _counts(graph: RouteGraph, nets: int) -> str:
    from routespace.graph.ir import Route

    routes = sum(isinstance(value, Route) for value in graph.values)
    counts = (("node", len(graph.nodes)), ("route", routes), ("gate", len(graph.gates)), ("net", nets))
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts)


def _all(error: RouteError) -> Findings:
    findings = Findings(dict(error.sources))
    findings.extend(error.diagnostics)
    return findings
