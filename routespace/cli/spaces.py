"""From arguments to texts, spaces and graphs."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from routespace.cli.ending import USAGE, Trouble
from routespace.cli.options import read_size

if TYPE_CHECKING:
    from routespace.graph.ir import RouteGraph
    from routespace.space.model import ParameterValue, Space

STDIN = "-"


ROOT: ContextVar[Path | None] = ContextVar("ROOT", default=None)
"""The folder that imports may not leave, where the command line names one."""


def read_source(path: Path) -> str:
    """The text at `path`, or on standard input where that is `-`. Raises `RouteError` where it cannot be read."""
    from routespace.language.texts import LARGEST_FILE, read_stream, read_text

    if str(path) != STDIN:
        return read_text(path, str(path))
    stream = getattr(sys.stdin, "buffer", None) or BytesIO(sys.stdin.read(LARGEST_FILE + 1).encode())
    return read_stream(stream, name_of(path))


def name_of(path: Path) -> str:
    """What a file is called in reports."""
    return "<stdin>" if str(path) == STDIN else str(path)


def read_space(path: Path, given: dict[str, ParameterValue], wanted: str | None = None) -> Space:
    """The space `wanted`, or the only one, in the file at `path`. Raises `RouteError`."""
    from routespace.language.load import loads

    return loads(read_source(path), path=name_of(path), space=wanted, root=ROOT.get(), findings=None, **given)


def build_graph(space: Space) -> RouteGraph:
    """The verified graph of `space`, all of which was checked. Raises `RouteError`."""
    from routespace.graph.verify import verify
    from routespace.reading import checked_graph

    return verify(checked_graph(space))


def sides_of(text: str, *graphs: RouteGraph) -> tuple[int, int]:
    """(height, width) of the images that `text` tells, which fit each of `graphs`. Raises `Trouble`."""
    from routespace.graph.sizes import refusal

    sides = read_size(text, channels_of(graphs[0]))
    for graph in graphs:
        why = refusal(graph, sides)
        if why is not None:
            raise Trouble(why, "`--input HEIGHTxWIDTH` gives another size", code=USAGE)
    return sides


def channels_of(graph: RouteGraph) -> int:
    """Channels of the image that `graph` reads."""
    from routespace.graph.ir import Input

    return next(value.channels for value in graph.values if isinstance(value, Input))
