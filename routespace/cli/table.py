"""`routespace table`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from routespace.cli.cost import known_convention
from routespace.cli.ending import PROBLEMS, USAGE, Trouble, command
from routespace.cli.options import OneSpace, Set, read_settings
from routespace.cli.spaces import build_graph, channels_of, read_space, sides_of


@dataclass(frozen=True)
class Line:
    """A net, or a whole space, and what it costs: trained parameters, and work as the convention counts it.

    `miou` is known of what was run on labelled images.
    """

    net: str
    parameters: int
    work: int
    miou: float | None = None


Written: TypeAlias = Callable[[Sequence[Line], str], str]


@command
def table(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE_OR_ARTIFACT", help="Files with nets, `-`, or folders of `train`.")
    ],
    images: Annotated[
        Path | None, typer.Option("--images", metavar="FOLDER", help="Run what the folders hold on these images.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FOLDER", help="Their labels: a grey .png each; 255 is no class, so a mask is 0 and 1."
        ),
    ] = None,
    size: Annotated[str, typer.Option("--input", metavar="SIZE", help="Size of an image.")] = "1024x2048",
    convention: Annotated[
        str | None, typer.Option("--convention", metavar="NAME", help="How to count; else as the spaces declare.")
    ] = None,
    style: Annotated[str, typer.Option("--format", metavar="FORMAT", help="markdown, json or latex.")] = "markdown",
    settings: Set = None,
    space: OneSpace = None,
) -> None:
    """Lay the nets of some files side by side: parameters, work and, where weights and data are given, quality.

    Of a folder that `train` wrote, the net in it is shown, or the whole space. With `--images` and `--labels` these are
    run, for mean IoU; the work of a whole space is then the mean hard cost of the images, else that of all it has. An
    image that cannot be used is told and left out, and the exit code is 1.

    \b
    Examples:
      routespace table examples/classic/u_net.route examples/classic/hrnet_v2.route
      routespace table space.route --convention dynamic_routing_table1 --format latex
      routespace table out/static/artifact out/dynamic/artifact --images photos --labels classes
    """
    from routespace.cli.pricing import price_net

    if style not in STYLES:
        raise Trouble(f"`{style}` is none of {', '.join(STYLES)}", code=USAGE)
    if (images is None) != (labels is None):
        raise Trouble("`--images` and `--labels` go together", code=USAGE)
    if images is not None and not any(file.is_dir() for file in files):
        raise Trouble("only folders that `train` wrote have weights to be run with", code=USAGE)
    lines: list[Line] = []
    units: set[str] = set()
    whole = True
    for file in files:
        if file.is_dir():
            line, unit, used = _saved(file, size, convention, images, labels)
            lines.append(line)
            units.add(unit)
            whole = whole and used
            continue
        graph = build_graph(read_space(file, read_settings(settings), space))
        channels = channels_of(graph)
        sides = sides_of(size, graph)
        chosen = known_convention(convention or graph.policies.cost)
        for net in graph.space.nets if graph.space else ():
            found = price_net(graph, net.name, channels, sides, chosen)
            lines.append(Line(net.name, found.parameters.total, int(found.maximum)))
            units.add(found.convention.unit)
    if len(units) > 1:
        raise Trouble("these spaces count in different units", "choose one way with `--convention`", code=USAGE)
    print(STYLES[style](lines, units.pop() if units else "MAC"))
    if not whole:
        raise typer.Exit(PROBLEMS)


def _saved(
    folder: Path, size: str, convention: str | None, images: Path | None, labels: Path | None
) -> tuple[Line, str, bool]:
    """The line of what `train` wrote to `folder`, the unit of its work, and whether all images could be used."""
    from routespace.cli.labelled import judge
    from routespace.cli.pricing import price_net, price_space
    from routespace.integrations.artifact import load_artifact

    artifact = load_artifact(folder)
    graph = build_graph(artifact.space)
    channels, chosen = channels_of(graph), known_convention(convention or graph.policies.cost)
    sides = sides_of(size, graph)
    net = artifact.net
    found = price_net(graph, net, channels, sides, chosen) if net else price_space(graph, channels, sides, chosen)
    line = Line(net or graph.name, found.parameters.total, int(found.maximum))
    if images is None or labels is None:
        return line, found.convention.unit, True
    quality = judge(folder, images, labels, chosen)
    line = replace(line, miou=quality.miou, work=line.work if net else int(quality.work))
    return line, found.convention.unit, quality.whole


def _cells(lines: Sequence[Line]) -> list[list[str]]:
    """What the lines say, in words; mean IoU where some line knows it."""
    rows = [[line.net, f"{line.parameters / 1e6:.3f}", f"{line.work / 1e9:.2f}"] for line in lines]
    if any(line.miou is not None for line in lines):
        for row, line in zip(rows, lines, strict=True):
            row.append("-" if line.miou is None else f"{100 * line.miou:.1f}")
    return rows


def _head(rows: Sequence[Sequence[str]], parameters: str, unit: str, miou: str) -> list[str]:
    return ["net", parameters, f"G{unit}", miou][: max(map(len, rows), default=3)]


def _markdown(lines: Sequence[Line], unit: str) -> str:
    cells = _cells(lines)
    head = _head(cells, "parameters M", unit, "mIoU %")
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *cells]
    return "\n".join(f"|{'|'.join(row)}|" if row[0] == "---" else f"| {' | '.join(row)} |" for row in rows)


def _latex(lines: Sequence[Line], unit: str) -> str:
    cells = [[row[0].replace("_", r"\_"), *row[1:]] for row in _cells(lines)]
    head = _head(cells, "parameters (M)", unit, r"mIoU (\%)")
    begin = rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}"
    rows = [rf"{' & '.join(row)} \\" for row in cells]
    return "\n".join([begin, rf"{' & '.join(head)} \\", r"\hline", *rows, r"\end{tabular}"])


def _json(lines: Sequence[Line], unit: str) -> str:
    shown = [
        {"net": one.net, "parameters": one.parameters, "work": one.work, "unit": unit}
        | ({} if one.miou is None else {"miou": one.miou})
        for one in lines
    ]
    return json.dumps(shown, indent=2)


STYLES: dict[str, Written] = {"markdown": _markdown, "json": _json, "latex": _latex}
