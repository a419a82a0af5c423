"""`routespace table`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from routespace.cli.cost import known_convention
from routespace.cli.ending import USAGE, Trouble, command
from routespace.cli.options import OneSpace, Set, read_settings, read_size
from routespace.cli.spaces import build_graph, channels_of, read_space


@dataclass(frozen=True)
class Line:
    """A net and what it costs: trained parameters, and work as the convention counts it."""

    net: str
    parameters: int
    work: int


Written: TypeAlias = Callable[[Sequence[Line], str], str]


@command
def table(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files with nets, or `-` for standard input.")],
    size: Annotated[str, typer.Option("--input", metavar="SIZE", help="Size of an image.")] = "1024x2048",
    convention: Annotated[
        str | None, typer.Option("--convention", metavar="NAME", help="How to count; else as the spaces declare.")
    ] = None,
    style: Annotated[str, typer.Option("--format", metavar="FORMAT", help="markdown, json or latex.")] = "markdown",
    settings: Set = None,
    space: OneSpace = None,
) -> None:
    """Lay the nets of some files side by side: parameters and work.

    \b
    Examples:
      routespace table examples/classic/u_net.route examples/classic/hrnet_v2.route
      routespace table space.route --convention dynamic_routing_table1 --format latex
    """
    from routespace.cli.pricing import price_net

    if style not in STYLES:
        raise Trouble(f"`{style}` is none of {', '.join(STYLES)}", code=USAGE)
    lines: list[Line] = []
    units: set[str] = set()
    for file in files:
        graph = build_graph(read_space(file, read_settings(settings), space))
        channels = channels_of(graph)
        sides = read_size(size, channels, graph.smallest)
        chosen = known_convention(convention or graph.policies.cost)
        for net in graph.space.nets if graph.space else ():
            found = price_net(graph, net.name, channels, sides, chosen)
            lines.append(Line(net.name, found.parameters.total, int(found.maximum)))
            units.add(found.convention.unit)
    if len(units) > 1:
        raise Trouble("these spaces count in different units", "choose one way with `--convention`", code=USAGE)
    print(STYLES[style](lines, units.pop() if units else "MAC"))


def _markdown(lines: Sequence[Line], unit: str) -> str:
    rows = [f"| {line.net} | {line.parameters / 1e6:.3f} | {line.work / 1e9:.2f} |" for line in lines]
    return "\n".join([f"| net | parameters M | G{unit} |", "|---|---:|---:|", *rows])


def _latex(lines: Sequence[Line], unit: str) -> str:
    names = [line.net.replace("_", r"\_") for line in lines]
    amounts = [rf"{line.parameters / 1e6:.3f} & {line.work / 1e9:.2f} \\" for line in lines]
    rows = [f"{name} & {amount}" for name, amount in zip(names, amounts, strict=True)]
    head = [r"\begin{tabular}{lrr}", rf"net & parameters (M) & G{unit} \\", r"\hline"]
    return "\n".join([*head, *rows, r"\end{tabular}"])


def _json(lines: Sequence[Line], unit: str) -> str:
    shown = [{"net": one.net, "parameters": one.parameters, "work": one.work, "unit": unit} for one in lines]
    return json.dumps(shown, indent=2)


STYLES: dict[str, Written] = {"markdown": _markdown, "json": _json, "latex": _latex}
