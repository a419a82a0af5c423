"""`routespace cost`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import USAGE, Trouble, command
from routespace.cli.options import Net, OneSpace, Set, SpaceFile, finite, read_settings
from routespace.cli.spaces import build_graph, channels_of, read_source, read_space, sides_of
from routespace.cli.streams import print_json

if TYPE_CHECKING:
    from routespace.cli.pricing import NodeCost, Pricing

PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
BINARY_PREFIXES = ((2.0**30, "Gi"), (2.0**20, "Mi"), (2.0**10, "Ki"), (1.0, ""))


@command
def cost(
    file: SpaceFile,
    size: Annotated[
        str, typer.Option("--input", metavar="SIZE", help="Size of an image, `3x1024x2048` or `1024x2048`.")
    ] = "1024x2048",
    convention: Annotated[
        str | None, typer.Option("--convention", metavar="NAME", help="How to count; else as the space declares.")
    ] = None,
    net: Net = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="JSON", help="Leave out routes that images did not open.")
    ] = None,
    at_least: Annotated[
        float,
        typer.Option(
            "--at-least", metavar="P", min=0, max=100, callback=finite, help="In how many percent of the images."
        ),
    ] = 0.0,
    settings: Set = None,
    space: OneSpace = None,
    totals: Annotated[bool, typer.Option("--totals", help="Leave out the table of nodes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, costs in multiply-adds or FLOP.")] = False,
) -> None:
    """Count what a space, or a net, costs.

    Parameters and work by node, without weights. The minimum has every gate closed that can close, the maximum
    everything open that can be open. With the profile of `routespace extract`, the costs are those of the space pruned
    of the routes that were open for less than P percent of its images, or for none.

    \b
    Examples:
      routespace cost examples/segmentation.route --input 3x512x512
      routespace cost space.route --set depth=33 --totals
      routespace cost space.route --net fcn_32s --convention dynamic_routing_table1
      routespace cost space.route --json | jq .parameters.without_gates
    """
    from routespace.cli.pricing import price_net, price_pruned, price_space
    from routespace.graph.profile import Profile

    if at_least and not profile:
        raise Trouble("`--at-least` goes with `--profile`", "add `--profile JSON`, of `routespace extract`", code=USAGE)
    if net and profile:
        raise Trouble("`--net` and `--profile` exclude each other: nothing in a net is decided", code=USAGE)

    graph = build_graph(read_space(file, read_settings(settings), space))
    channels = channels_of(graph)
    sides = sides_of(size, graph)
    chosen = known_convention(convention or graph.policies.cost)
    if net:
        found = price_net(graph, net, channels, sides, chosen)
    elif profile:
        read = Profile.from_json(read_source(profile))
        found = price_pruned(graph, read, Fraction(str(at_least)) / 100, channels, sides, chosen)
    else:
        found = price_space(graph, channels, sides, chosen)
    if as_json:
        told = found.to_dict()
        print_json({name: told[name] for name in told if name != "nodes" or not totals}, 2)
    else:
        _print(found, not totals)


def known_convention(name: str) -> str:
    """`name`, if it is that of a convention."""
    from routespace.diagnostics import did_you_mean
    from routespace.space.conventions import CONVENTIONS

    if name not in CONVENTIONS:
        hint = did_you_mean(name, CONVENTIONS) or f"there are {', '.join(CONVENTIONS)}"
        raise Trouble(f"there is no convention `{name}`", hint, code=USAGE)
    return name


def _print(found: Pricing, with_nodes: bool) -> None:
    from routespace.cli.tables import print_table

    factor, unit = _unit(found)
    subject = f"net {found.net} of space {found.space}" if found.net else f"space {found.space}"
    shape = "x".join(map(str, (found.channels, *found.size)))
    print(f"{subject}, image {shape}, counted as {found.convention.name}")
    print(f"({found.convention.source})\n")
    if with_nodes:
        rows = [_row(node, factor) for node in found.nodes]
        print_table(("node", "parameters", "always", "cell", "gate", "routes", unit), rows)
        print()
    lines = _totals(found, factor, unit)
    width = max(len(number) for _, number, _ in lines)
    for name, number, note in lines:
        print(f"{name:<11} {number:>{width}}  {note}".rstrip())


def _totals(found: Pricing, factor: float, unit: str) -> list[tuple[str, str, str]]:
    """Name, number and remark of each total."""

    def amount(value: float) -> str:
        return f"{value / factor:.3f} {unit}"

    def split(gates: str, rest: str) -> str:
        return f"of which gates {gates}, without them {rest}"

    count = found.parameters
    lines = [("parameters", f"{count.total:,}", split(f"{count.gates:,}", f"{count.without_gates:,}"))]
    if found.net:
        lines = [("parameters", f"{count.total:,}", ""), ("cost", amount(found.maximum), "")]
    else:
        lines += [
            ("minimum", amount(found.minimum), "every gate closed that can close"),
            ("maximum", amount(found.maximum), split(amount(found.gates), amount(found.maximum - found.gates))),
            *(
                [("guard", amount(found.guard), f"of gates all of whose routes are pruned, as {found.pruned} are")]
                if found.pruned
                else []
            ),
            ("budget", amount(found.reference), "what budgets divide by: the expected cost with everything open"),
        ]
    if count.uncounted:
        names = ", ".join(count.uncounted)
        lines.append(("not counted", "", f"the parameters of {names}: registered without a rule for them"))
    return lines


def _unit(found: Pricing) -> tuple[float, str]:
    prefixes = BINARY_PREFIXES if found.convention.binary else PREFIXES
    factor, prefix = next((one for one in prefixes if found.maximum >= one[0]), prefixes[-1])
    return factor, f"{prefix}{found.convention.unit}"


def _row(node: NodeCost, factor: float) -> tuple[str, ...]:
    costs = (node.always, node.cell, node.gate, node.routes, node.total)
    return (node.node, f"{node.parameters:,}", *(f"{value / factor:.3f}" if value else "-" for value in costs))
