"""`compile`: a space, or its graph, to a module of the form asked for."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Literal, SupportsIndex, TypeAlias

from torch import fx, nn

from routespace.emit import emit
from routespace.graph.build import build
from routespace.graph.ir import RouteGraph
from routespace.graph.nets import Held, Weights, hold
from routespace.graph.passes.fix import fix
from routespace.graph.passes.guard import guard
from routespace.graph.verify import verify
from routespace.runtime.init import initialise
from routespace.runtime.wrapped import inside
from routespace.space.model import Space
from routespace.targets import shared_target, targets_of

Form: TypeAlias = Literal["dense", "sparse", "export", "fixed"]
Pass: TypeAlias = Callable[[RouteGraph], RouteGraph]


def compile(
    space: Space | RouteGraph,
    form: Form = "dense",
    *,
    net: str | Held | Weights | None = None,
    seed: int = 0,
    debug: bool = False,
) -> fx.GraphModule:
    """A module that runs `space` in `form`.

    `form`: "dense" (all candidate work, selected by the gates; for training), "sparse" (work no image needs is not
    done), "export" (no Python branches, for `torch.export`), "fixed" (a `net` of the space, gates gone). `net` is the
    name of a net declared with the space, or the weights its routes are held at. All forms share parameter names;
    parameters are initialised from `seed` and their names. `debug` makes a NaN of a gate an error.

    The module takes images (N, C, H, W) and returns an `Outcome`. Raises `TypeError` for a seed that is no whole number
    and a net that is neither a name nor weights, `ValueError` for a form that does not exist or does not go with `net`.

    >>> import routespace as rs, torch
    >>> space = rs.loads('''space tiny {
    ...   input image: 3
    ...   output y = image | conv(3, 2)
    ... }''')
    >>> rs.compile(space, form="dense")(torch.zeros(1, 3, 64, 64)).output.shape
    torch.Size([1, 2, 64, 64])
    """
    if not isinstance(seed, SupportsIndex):
        raise TypeError(f"`seed` is a whole number, not {seed!r}")
    graph = verify(space if isinstance(space, RouteGraph) else build(space))
    if (form == "fixed") != (net is not None):
        raise ValueError("a fixed form needs a net, and only it takes one")
    passes: tuple[Pass, ...] = (guard,)
    if net is not None:
        held = hold(graph, net)
        passes = (lambda given: fix(given, held),)
    for one in passes:
        graph = verify(one(graph))
    if form not in ("dense", "sparse", "export", "fixed"):
        raise ValueError(f"there is no form `{form}`; the forms are dense, sparse, export and fixed")
    module = emit(graph, form, debug)
    policies = graph.policies
    targets = targets_of(graph)
    starts = {
        f"{shared_target(gate.weights) if gate.weights else targets[gate.name]}.body": gate.start
        for gate in graph.gates
        if gate.start is not None
    }
    initialise(module, policies.init, dict(policies.init_args), starts, index(seed))
    module.meta["routespace"] = graph
    return module if form in ("dense", "fixed") else module.eval()


def graph_of(module: nn.Module) -> RouteGraph:
    """The graph that a compiled module, which may be wrapped, runs; that of the whole space for one that was pruned.

    Raises `TypeError` for a module that holds none that `compile` made, or several.
    """
    graph = getattr(inside(module), "meta", {}).get("routespace")
    if not isinstance(graph, RouteGraph):
        raise TypeError("this module is a copy that another program made of one of `routespace.compile`")
    return graph
