"""`routespace find`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.asking import AsJson, Number, Require, in_units, nets_of, read_window
from routespace.cli.cost import known_convention
from routespace.cli.ending import USAGE, Trouble, command
from routespace.cli.options import OneSpace, Set, SpaceFile, read_settings
from routespace.cli.spaces import build_graph, read_space, sides_of
from routespace.cli.streams import print_json, print_text

if TYPE_CHECKING:
    from routespace.questions.costs import Priced, PricedNets

EXTREMES = ("cheapest", "dearest", "smallest", "largest", "shortest", "longest")


@command
def find(
    file: SpaceFile,
    extreme: Annotated[
        str | None, typer.Argument(metavar="[EXTREME]", help=f"Instead of a window: {', '.join(EXTREMES)}.")
    ] = None,
    flops: Annotated[
        str | None, typer.Option("--flops", metavar="A..B", help="Window of work, as the convention counts: `53..55G`.")
    ] = None,
    params: Annotated[
        str | None, typer.Option("--params", metavar="A..B", help="Window of trained parameters: `6.0..6.2M`.")
    ] = None,
    number: Number = 1,
    size: Annotated[str, typer.Option("--input", metavar="SIZE", help="Size of an image.")] = "1024x2048",
    convention: Annotated[
        str | None, typer.Option("--convention", metavar="NAME", help="How to count; else as the space declares.")
    ] = None,
    require: Require = None,
    settings: Set = None,
    space: OneSpace = None,
    as_json: AsJson = False,
) -> None:
    """Find nets by what they cost.

    Those in a window of work and parameters, or an extreme: the cheapest or dearest by work, the smallest or largest
    by parameters, the shortest or longest path by routes. The answers are exact: where none is found there is none,
    and the exit code is 1.

    \b
    Examples:
      routespace find examples/segmentation.route --flops 53..55G --params 6.0..6.2M
      routespace find space.route cheapest --require "x[8, s32]" --convention macs
      routespace find space.route longest
    """
    from routespace.language.format import format_text
    from routespace.questions.costs import PARAMETERS, ROUTES, WORK, PricedNets

    if extreme is not None and extreme not in EXTREMES:
        raise Trouble(f"`{extreme}` is none of {', '.join(EXTREMES)}", code=USAGE)
    if extreme is not None and (flops or params):
        raise Trouble("a window and an extreme exclude each other", code=USAGE)
    windows = read_window("--flops", flops), read_window("--params", params)
    graph = build_graph(read_space(file, read_settings(settings), space))
    is_path = extreme in EXTREMES[4:]
    nets = nets_of(graph, [*(require or ()), *(["single_path"] if is_path else [])])
    sides = sides_of(size, graph)
    priced = PricedNets(nets, sides, known_convention(convention or graph.policies.cost))
    found: list[Priced]
    if extreme is None:
        found = list(islice(priced.find(*windows), number))
    else:
        kind = (WORK, PARAMETERS, ROUTES)[EXTREMES.index(extreme) // 2]
        is_least = EXTREMES.index(extreme) % 2 == 0
        one = priced.cheapest(kind) if is_least else priced.dearest(kind)
        found = [] if one is None else [one]
    if as_json and found:
        print_json([_shown(one, nets.names(one.routes)) for one in found], 2)
    else:
        print_text(format_text("\n\n".join(_told(priced, f"net{at}", one) for at, one in enumerate(found))))
    if not found:
        raise Trouble("there is no net" if extreme else "no net lies in this window")


def _told(nets: PricedNets, name: str, one: Priced) -> str:
    from routespace.questions.written import write_net

    work, parameters = in_units(one.work), in_units(one.parameters)
    head = f"# {parameters} parameters, {work}{nets.convention.unit}, {len(one.routes)} routes"
    return f"{head}\n{write_net(nets.graph, name, one.routes)}"


def _shown(one: Priced, routes: list[str]) -> dict[str, object]:
    return {"work": one.work, "parameters": one.parameters, "routes": routes}
