"""`routespace show`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from routespace.cli.ending import USAGE, Trouble, command
from routespace.cli.options import Input, Net, OneSpace, Set, SpaceFile, read_settings
from routespace.cli.spaces import build_graph, name_of, read_source, read_space, sides_of
from routespace.cli.streams import print_text

if TYPE_CHECKING:
    from routespace.graph.ir import RouteGraph


class Stage(str, Enum):
    """The values on the way from text to module."""

    syntax = "syntax"
    space = "space"
    graph = "graph"
    guard = "guard"
    fixed = "fixed"
    fx = "fx"


class Form(str, Enum):
    """The forms a space compiles to."""

    dense = "dense"
    sparse = "sparse"
    export = "export"
    fixed = "fixed"


@command
def show(
    file: SpaceFile,
    stage: Annotated[Stage, typer.Option("--stage", help="What to show on the way to the module.")] = Stage.graph,
    form: Annotated[Form | None, typer.Option("--form", help="The form whose code `--stage fx` shows.")] = None,
    net: Net = None,
    settings: Set = None,
    size: Input = None,
    space: OneSpace = None,
) -> None:
    """Show a space at a stage of the compiler.

    \b
    syntax  what the parser read
    space   the space with its parameters bound, as JSON
    graph   every value, with the shape it has for `--input`
    guard   the same with the gates that each value waits for
    fixed   what `--net` leaves of it
    fx      the code of the module

    \b
    Examples:
      routespace show space.route
      routespace show space.route --set depth=2 --stage guard --input 3x512x512
      routespace show space.route --stage fixed --net fcn_32s
      routespace show space.route --stage fx --form sparse
    """
    if (form is not None and stage is not Stage.fx) or (net is not None and stage not in (Stage.fixed, Stage.fx)):
        raise Trouble("`--form` goes with `--stage fx`, `--net` with `--stage fixed` or `--stage fx`", code=USAGE)
    if stage is Stage.syntax and (settings or space):
        raise Trouble("the syntax is that of the file as it stands, without `--set` and `--space`", code=USAGE)
    if size is not None and stage in (Stage.syntax, Stage.space, Stage.fx):
        raise Trouble("`--input` is for the shapes of values: `--stage graph`, `guard` or `fixed`", code=USAGE)
    form = form or (Form.fixed if net else Form.dense)
    if (stage is Stage.fixed or (stage is Stage.fx and form is Form.fixed)) != (net is not None):
        raise Trouble("the fixed form is that of a net, and only it takes one", "add `--net NAME`", code=USAGE)
    if stage is Stage.syntax:
        from routespace.cli.outline import outline
        from routespace.language.parser import parse

        print(outline(parse(read_source(file), name_of(file))))
        return
    loaded = read_space(file, read_settings(settings), space)
    if stage is Stage.space:
        print_text(f"{loaded.to_json()}\n")
    elif stage is Stage.fx:
        print(_code(build_graph(loaded), form, net))
    else:
        from routespace.graph.text import dump

        graph = build_graph(loaded)
        sides = None if size is None else sides_of(size, graph)
        print(dump(_at(stage, graph, net), sides))


def _at(stage: Stage, graph: RouteGraph, net: str | None) -> RouteGraph:
    from routespace.graph.nets import hold
    from routespace.graph.passes.fix import fix
    from routespace.graph.passes.guard import guard
    from routespace.graph.verify import verify

    if stage is Stage.guard:
        return verify(guard(graph))
    return verify(fix(graph, hold(graph, net))) if net is not None else graph


def _code(graph: RouteGraph, form: Form, net: str | None) -> str:
    """The code that torch.fx makes of the module."""
    from routespace.compiler import compile

    return str(compile(graph, form.value, net=net).code).strip()
