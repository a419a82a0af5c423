"""`routespace draw`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import USAGE, Trouble, command
from routespace.cli.options import Net, OneSpace, Set, SpaceFile, read_settings
from routespace.cli.spaces import STDIN, build_graph, read_space
from routespace.cli.streams import print_text
from routespace.diagnostics import quoted

if TYPE_CHECKING:
    from routespace.graph.ir import RouteGraph

FORMATS = (".svg", ".png")


@command
def draw(
    file: SpaceFile,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="PATH", help="An .svg or .png file; `-` prints SVG.")],
    net: Net = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="JSON", help="Weights, 0 to 1: {node: {route: weight}}."),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="NAME", help="Another net, to be laid over that of `--net`.")
    ] = None,
    settings: Set = None,
    space: OneSpace = None,
) -> None:
    """Draw a space, a net, how two nets differ, or a routing.

    Layers run to the right and scales downwards; lines are as thick as the weights of their routes. Two nets share the
    colour of what is in both; a node that only one of them runs is hollow. PNG needs matplotlib
    (`pip install 'routespace[draw]'`), SVG nothing.

    \b
    Examples:
      routespace draw examples/segmentation.route -o space.svg
      routespace draw examples/segmentation.route --net fcn_32s -o net.png
      routespace draw space.route --net fcn_32s --against u_net -o difference.svg
      routespace run space.route image.png --seed 0 -o out
      routespace draw space.route --weights out/image.json -o route.svg
    """
    if str(out) != STDIN and out.suffix not in FORMATS:
        raise Trouble(f"{quoted(out)} is neither .svg nor .png", code=USAGE)
    if net and weights:
        raise Trouble("`--net` and `--weights` exclude each other", code=USAGE)
    if against and not net:
        raise Trouble("`--against` goes with `--net`", code=USAGE)
    from routespace.draw.grid import grid_png, grid_svg
    from routespace.draw.space import difference_of, grid_of
    from routespace.files import atomic_path, write_atomically
    from routespace.graph.nets import hold

    graph = build_graph(read_space(file, read_settings(settings), space))
    try:
        if net and against:
            held = hold(graph, net), hold(graph, against)
            grid = difference_of(graph, held, (net, against), title=f"{net} against {against}")
        else:
            grid = grid_of(graph, _weights(graph, net, weights), title=net or "")
    except ValueError as error:
        raise Trouble(f"{quoted(weights)}: {error}") from None
    if str(out) == STDIN:
        print_text(grid_svg(grid))
    elif out.suffix == ".png":
        with atomic_path(out) as temporary:
            grid_png(grid, temporary)
    else:
        write_atomically(out, grid_svg(grid))


def _weights(graph: RouteGraph, net: str | None, path: Path | None) -> dict[str, dict[str, float]] | None:
    from routespace.draw.space import net_weights
    from routespace.graph.nets import hold

    if net is not None:
        return net_weights(graph, hold(graph, net))
    if path is None:
        return None
    from routespace.cli.written import gaps, read_weights

    found = read_weights(path, graph)
    for warning in gaps(graph, found):
        print(f"warning: {quoted(path)}: {warning}", file=sys.stderr)
    return found
