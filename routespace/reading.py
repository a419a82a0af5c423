"""`load` and `loads`: from a file or a text to a space with nothing wrong with it. Neither loads torch."""

from __future__ import annotations

from pathlib import Path

from routespace.diagnostics import Findings
from routespace.graph.build import build
from routespace.graph.ir import RouteGraph
from routespace.language import load as language
from routespace.space.model import ParameterValue, Space


def load(
    path: str | Path,
    *,
    space: str | None = None,
    root: str | Path | None = None,
    findings: Findings | None = None,
    **given: ParameterValue,
) -> Space:
    """The space in the `.route` file at `path`, its names, numbers, shapes and grid checked.

    `space` chooses one where the file has several. Imports read `.route` files in the folder `root` and below it; that
    is the folder of the file, the working directory around it, or one above that a file `.route-root` marks. Further
    arguments are parameters (numbers, yes/no as bool, op names as str, lists) or policies (`live="always"`) of the
    space. Raises `RouteError` with everything that is wrong; its `str()` is the report. Warnings are added to
    `findings`, if they are given.
    """
    return _checked(language.load(path, space=space, root=root, findings=findings, **given), findings)


def loads(
    text: str,
    *,
    path: str = "<text>",
    space: str | None = None,
    root: str | Path | None = None,
    findings: Findings | None = None,
    **given: ParameterValue,
) -> Space:
    """The space in `text`, where `path` says that it stands; imports of a text without one are relative to the working
    directory. Otherwise as `load`.

    >>> space = loads('''space tiny(width = 8) {
    ...   input image: 3
    ...   output y = image | conv(3, width)
    ... }''', width=4)
    >>> space.parameter("width")
    4
    """
    if not isinstance(text, str):
        raise TypeError(f"`text` is a str, not {type(text).__name__}; `load` reads files")
    return _checked(language.loads(text, path=path, space=space, root=root, findings=findings, **given), findings)


def _checked(space: Space, findings: Findings | None) -> Space:
    space.remember(checked_graph(space, findings))
    return space


def checked_graph(space: Space, findings: Findings | None = None) -> RouteGraph:
    """The graph of `space`, whose requirements mean something and leave a net. Raises `RouteError`."""
    if findings is None and isinstance(space.remembered, RouteGraph):
        return space.remembered
    graph = build(space, findings)
    if any(clause.name == "require" for clause in space.clauses):
        from routespace.questions.check import check_required

        found = findings if findings is not None else Findings({source.path: source for source in space.sources})
        check_required(graph, found)
        found.raise_errors()
    return graph
