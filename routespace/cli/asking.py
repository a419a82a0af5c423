"""Options of the commands that ask about nets, and what their words mean."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import USAGE, Trouble

if TYPE_CHECKING:
    from routespace.graph.ir import RouteGraph
    from routespace.questions.nets import Nets
    from routespace.questions.window import Window

Require = Annotated[
    list[str] | None,
    typer.Option(
        "--require", metavar="CONDITION", help="Require this of nets, beside what the space does. Repeatable."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Option("--number", "-n", min=1, max=10**6, metavar="N", help="How many nets at most.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Where the dice start.")]

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_AMOUNT = r"(\d{1,30}(?:\.\d{1,30})?(?:e\d{1,2})?)([kMGT]?)"


def nets_of(graph: RouteGraph, conditions: list[str] | None) -> Nets:
    """The nets of `graph` that also satisfy `conditions`. Raises `RouteError`."""
    from routespace.language.asked import read_requirement
    from routespace.questions.nets import Nets

    asked = [read_requirement(text, f"--require {text}") for text in conditions or ()]
    return Nets(graph, [clause for clause, _ in asked], [source for _, source in asked])


def read_window(option: str, text: str | None) -> Window:
    """A window of costs, both ends included; either end may be left out.

    >>> read_window("--flops", "53..55G")
    Window(least=53000000000, most=55000000000)
    >>> read_window("--params", "..6.2M")
    Window(least=None, most=6200000)
    """
    from routespace.questions.window import Window

    if text is None:
        return Window()
    match = re.fullmatch(rf"(?:{_AMOUNT})?\.\.(?:{_AMOUNT})?", text.replace(" ", ""), re.ASCII)
    if match is None or match.group(1) is match.group(3) is None:
        raise Trouble(f"`{option} {text}` is no window", "write `53..55G`, `53G..` or `..55G`", code=USAGE)
    low, low_unit, high, high_unit = match.groups()
    least = None if low is None else _amount(low, low_unit or high_unit or "")
    most = None if high is None else _amount(high, high_unit)
    if least is not None and most is not None and least > most:
        raise Trouble(f"`{option} {text}` is empty", "the least stands before the most", code=USAGE)
    return Window(least, most)


def in_units(amount: int) -> str:
    """An amount with the prefix of its size, to be followed by a unit.

    >>> in_units(53_901_000_000), in_units(7)
    ('53.901 G', '7 ')
    """
    prefix = next((one for one in "TGMk" if amount >= UNITS[one]), "")
    return f"{amount / UNITS[prefix]:.3f} {prefix}" if prefix else f"{amount} "


def _amount(number: str, unit: str) -> int:
    return int(Fraction(number) * UNITS[unit])
