"""Options that several commands share, and what their words mean."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import USAGE, Trouble

if TYPE_CHECKING:
    from routespace.space.model import ParameterValue

SpaceFile = Annotated[Path, typer.Argument(metavar="FILE", help="A .route file, or `-` for standard input.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Give a parameter or policy a value: a number, yes or no, a name, or a list `[a, b]`. Repeatable.",
    ),
]
OneSpace = Annotated[
    str | None, typer.Option("--space", metavar="NAME", help="Which space, where the file has several.")
]
Net = Annotated[str | None, typer.Option("--net", metavar="NAME", help="A net declared with the space.")]
Input = Annotated[
    str | None, typer.Option("--input", metavar="SIZE", help="Size of an image, `3x1024x2048` or `1024x2048`.")
]

LARGEST = 2**16


def finite(value: float) -> float:
    """The number of an option, refused where it is NaN or infinite: ranges let these through."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


def read_settings(items: Iterable[str] | None) -> dict[str, ParameterValue]:
    """What the `--set` options say; the last one wins where a name comes twice.

    >>> read_settings(["depth=5", "small_gate=yes", "cell=[identity, sep_conv_3x3]", "mu = -0.5"])
    {'depth': 5, 'small_gate': True, 'cell': ['identity', 'sep_conv_3x3'], 'mu': -0.5}
    >>> read_settings(["third=-1/3"])
    {'third': Fraction(-1, 3)}
    """
    from routespace.language.load import RESERVED

    found: dict[str, ParameterValue] = {}
    for item in items or ():
        name, sign, text = item.partition("=")
        name = name.strip()
        if not sign or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise Trouble(f"`--set {item}` is not `NAME=VALUE`", code=USAGE)
        if name in RESERVED:
            raise Trouble(f"`{name}` cannot be set from the command line", code=USAGE)
        found[name] = _value(name, text)
    return found


def _value(name: str, text: str) -> ParameterValue:
    """A value as the language reads it."""
    from routespace.diagnostics import Findings
    from routespace.language.parser import parse
    from routespace.space.expr import OpDecl
    from routespace.space.model import from_expr

    findings = Findings()
    items = parse(f"op value = {text}", "--set", findings).items
    if not findings.has_errors and len(items) == 1 and isinstance(items[0], OpDecl):
        try:
            return from_expr(items[0].value)
        except TypeError:
            pass
    raise Trouble(
        f"`{text.strip()}` is not a value for `{name}`",
        "a value is a number, a fraction like `1/3`, yes or no, a name, or a list of them: `[a, b]`",
        code=USAGE,
    )


def read_size(text: str, channels: int | None = None) -> tuple[int, int]:
    """(height, width) of `CxHxW` or `HxW`; a number of channels must be `channels`.

    >>> read_size("3x1024x2048", channels=3)
    (1024, 2048)
    """
    match = re.fullmatch(r"(?:(\d{1,6})x)?(\d{1,6})x(\d{1,6})", text.strip())
    if match is None:
        raise Trouble(f"`{text}` is not a size", "write `3x1024x2048` or `1024x2048`", code=USAGE)
    given, height, width = match.groups()
    if given is not None and channels is not None and int(given) != channels:
        raise Trouble(f"`{text}` has {given} channels, the input of the space has {channels}", code=USAGE)
    sides = int(height), int(width)
    if not 1 <= min(sides) <= max(sides) <= LARGEST:
        raise Trouble(f"`{text}` is out of range: a side has 1 to {LARGEST} pixels", code=USAGE)
    return sides
