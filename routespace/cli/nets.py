"""`routespace count`, `sample` and `contains`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.asking import AsJson, Number, Require, Seed, nets_of
from routespace.cli.ending import PROBLEMS, USAGE, Trouble, command
from routespace.cli.options import OneSpace, Set, SpaceFile, read_settings
from routespace.cli.spaces import build_graph, name_of, read_source, read_space
from routespace.cli.streams import print_json, print_text
from routespace.diagnostics import escaped, quoted

if TYPE_CHECKING:
    from routespace.questions.nets import Nets


@command
def count(
    file: SpaceFile, require: Require = None, settings: Set = None, space: OneSpace = None, as_json: AsJson = False
) -> None:
    """Count the nets of a space.

    A net is a set of open routes, each on a path from an input to an output. The count is exact. Where it is 0, the
    requirements that exclude each other are shown.

    \b
    Examples:
      routespace count examples/segmentation.route
      routespace count space.route --require single_path
      routespace count space.route --require "open(x[layer, scale]) <= 2" --require "not up[layer, s32]"
    """
    nets = nets_of(build_graph(read_space(file, read_settings(settings), space)), require)
    why = nets.why_empty()
    if as_json:
        print_json({"space": nets.graph.name, "routes": len(nets.flow.routes), "nets": nets.count()})
    else:
        print(nets.count())
    if why is not None:
        nets.report(why)


@command
def sample(
    file: SpaceFile,
    number: Number = 1,
    seed: Seed = 0,
    require: Require = None,
    settings: Set = None,
    space: OneSpace = None,
    as_json: AsJson = False,
) -> None:
    """Draw nets, each as likely as any other one.

    \b
    Examples:
      routespace sample examples/segmentation.route -n 3 --seed 1
      routespace sample space.route --require single_path
    """
    from routespace.language.format import format_text
    from routespace.questions.written import write_net

    nets = nets_of(build_graph(read_space(file, read_settings(settings), space)), require)
    drawn = list(nets.sample(number, seed))
    if as_json:
        print_json([nets.names(net) for net in drawn], 2)
    else:
        print_text(format_text("\n\n".join(write_net(nets.graph, f"net{at}", net) for at, net in enumerate(drawn))))


@command
def contains(
    file: SpaceFile,
    net: Annotated[
        str | None, typer.Argument(metavar="[NET]", help="A net declared with the space, or imported.")
    ] = None,
    graph: Annotated[
        Path | None, typer.Option("--graph", metavar="JSON", help="Instead of NET: a network as nodes and edges.")
    ] = None,
    subdivide: Annotated[
        bool, typer.Option("--subdivide", help="An edge of the graph may ride a chain of routes.")
    ] = False,
    attainable: Annotated[
        bool, typer.Option("--attainable", help="Also ask whether the gates can open just these routes.")
    ] = False,
    require: Require = None,
    settings: Set = None,
    space: OneSpace = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether a net is one of its space.

    Its routes are there, each of them lies on a path from an input to an output, and what is required holds. If so,
    the open routes are listed; if not, the first thing that does not fit is shown, and the exit code is 1. A network
    given as a graph, `{"nodes": {"a": 4, "b": 8}, "edges": [["a", "b"]]}` with the strides of its nodes, is placed in
    the space if it can be.

    \b
    Examples:
      routespace contains examples/classic/u_net.route u_net
      routespace contains space.route fcn_32s --attainable --json
      routespace contains space.route --graph net.json --subdivide
    """
    if (net is None) == (graph is None) or (graph is None and subdivide) or (graph is not None and attainable):
        help = "`--attainable` is for a net, `--subdivide` for a graph"
        raise Trouble("give the name of a net, or a `--graph`", help, code=USAGE)
    nets = nets_of(build_graph(read_space(file, read_settings(settings), space)), require)
    if graph is not None:
        _place(nets, graph, subdivide, as_json)
        return
    assert net is not None
    verdict = nets.contains(net, attainable)
    if as_json:
        problem = None if verdict.misfit is None else {"code": verdict.misfit.code, "message": verdict.misfit.message}
        print_json({"net": net, "contained": verdict.is_contained, "routes": verdict.routes, "misfit": problem})
        if problem:
            raise typer.Exit(PROBLEMS)
    elif verdict.misfit is None:
        print(f"net {net} is contained in space {nets.graph.name}, by {len(verdict.routes)} open routes:")
        print("\n".join(f"  {route}" for route in verdict.routes))
    else:
        nets.report(verdict.misfit)


def _place(nets: Nets, path: Path, subdivide: bool, as_json: bool) -> None:
    """Place the graph at `path` and print where it lies."""
    from routespace.questions.embedding import embed
    from routespace.questions.sketch import read_sketch

    found = embed(read_sketch(read_source(path)), nets, subdivide=subdivide)
    if as_json:
        chains = [{"from": a, "to": b, "routes": routes} for (a, b), routes in found.chains.items()]
        shown = {"answer": found.answer, "why": found.why or None, "places": found.places, "chains": chains}
        print_json(shown)
    elif found.answer == "yes":
        name = escaped(name_of(path))
        print(f"{name} is contained in space {nets.graph.name}, by {len(found.routes)} open routes:")
        print("\n".join(f"  {node}: {place}" for node, place in found.places.items()))
        for (source, target), routes in found.chains.items():
            if routes:
                print(f"  {source or 'the input'} to {target or 'an output'}: {', '.join(routes)}")
    if found.answer != "yes":
        if as_json:
            raise typer.Exit(PROBLEMS)
        what = "cannot be placed" if found.answer == "no" else "may or may not have a place"
        raise Trouble(f"{quoted(path)} {what} in space {nets.graph.name}: {found.why}")
