"""Taking gates out of the model's hands: forcing, replaying and freezing them by node name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Real
from typing import Literal

import torch
from torch import Tensor, nn

from routespace.diagnostics import did_you_mean, listed
from routespace.runtime.entered import Handle, entered, entering, settings
from routespace.runtime.errors import GateError
from routespace.runtime.override import Control, Override, Weight
from routespace.runtime.result import Routing
from routespace.runtime.tree import every
from routespace.runtime.wrapped import inside
from routespace.space.routes import route_meant


def controls(module: nn.Module) -> dict[str, dict[str, tuple[Control, int]]]:
    """Controls of a compiled module, which may be wrapped, by node and route."""
    found: dict[str, dict[str, tuple[Control, int]]] = {}
    for part in inside(module).modules():
        control = getattr(part, "control", None)
        if isinstance(control, Control):
            node = found.setdefault(str(getattr(part, "node", "")), {})
            for place, route in enumerate(control.routes):
                node[route] = (control, place)
    return found


@contextmanager
def forcing(module: nn.Module, gates: Mapping[str, Mapping[str, Weight] | str | float]) -> Iterator[nn.Module]:
    """Within the block, the gates of the nodes named do not decide: their routes have the weights given.

    A value is a mapping from route to weight (a number, or a tensor (N,); routes left out are closed), or `"open"`,
    `"closed"` or one number for all routes. A forced gate is neither run nor charged and may leave its range; 0 or less
    is closed, and told as 0. Raises `GateError` for a node or route that does not exist and for what is no weight.
    """
    if not isinstance(gates, Mapping):
        raise GateError(f"what is forced is a mapping from nodes to weights, not a {type(gates).__name__}")
    known = controls(module)
    overrides: dict[Handle, Override] = {}
    for node, wanted in gates.items():
        if node not in known:
            raise _no_gate(node, known)
        overrides.update(_forced(node, known[node], wanted))
    with entering(overrides):
        yield module


def _forced(
    node: str, routes: dict[str, tuple[Control, int]], wanted: Mapping[str, Weight] | str | float
) -> dict[Handle, Override]:
    """The overrides of the gates of a node."""
    if isinstance(wanted, str):
        if wanted not in ("open", "closed"):
            raise GateError(f"a gate is forced open, closed or to weights, not `{wanted}`")
        wanted = 1.0 if wanted == "open" else 0.0
    if isinstance(wanted, Real):
        wanted = dict.fromkeys(routes, float(wanted))
    if not isinstance(wanted, Mapping):
        raise GateError(f"`{node}` is forced to a mapping of weights by route, not to a {type(wanted).__name__}")
    weights: dict[str, Weight] = {}
    for name, weight in wanted.items():
        if not isinstance(weight, (Real, Tensor)):
            raise GateError(f"`{name}` of `{node}` is forced to a number or a tensor, not to {weight!r}")
        route = route_meant(name, routes)
        if route is None:
            hint = did_you_mean(name, routes)
            known = f"it has {listed(routes)}"
            raise GateError(f"node `{node}` has no route `{name}`; {f'{hint} ' if hint else ''}{known}")
        if route in weights:
            raise GateError(f"`{route}` of `{node}` is forced twice, as `{name}` too")
        weights[route] = _plain(weight)
    return {
        control: Override(control.routes, tuple(weights.get(route, 0.0) for route in control.routes))
        for control, _ in routes.values()
    }


def _no_gate(node: object, known: Iterable[str]) -> GateError:
    """What to say of a node that this module has no gate of: it may stand in the text, where nothing reads it."""
    hint = did_you_mean(node, known)
    return GateError(f"this module has no gate at a node `{node}`{f'; {hint}' if hint else ''}")


def _plain(weight: Weight) -> Weight:
    return weight if isinstance(weight, Tensor) else float(weight)


@contextmanager
def among(module: nn.Module, places: Sequence[int]) -> Iterator[nn.Module]:
    """Within the block, weights forced for each image of a batch are those of the images at `places`."""
    gates = {control for of in controls(module).values() for control, _ in of.values()}
    held = {control: override for control in gates if (override := _held(control)) is not None}
    with entering({control: override.among(places) for control, override in held.items()}):
        yield module


def undecided(module: nn.Module) -> set[tuple[str, str]]:
    """Nodes and routes of the gates that are forced or replayed at present, and so decide nothing."""
    return {
        (node, route)
        for node, routes in controls(module).items()
        for route, (control, _) in routes.items()
        if _held(control) is not None
    }


def _held(control: Control) -> Override | None:
    """What the blocks that this context is in have a gate do."""
    return next(settings(entered(), control), None)


def _stay(body: nn.Module, mode: bool = True) -> nn.Module:
    """What a frozen body answers to `train()`."""
    return body


@contextmanager
def replaying(
    module: nn.Module, routing: Routing, weights: Literal["recorded", "live"] = "recorded"
) -> Iterator[nn.Module]:
    """Within the block, every gate decides as recorded in `routing` (of the same images, in their order).

    With `weights` "live" each gate that decided by itself is asked, and charged: what it opened is open, with the
    weights that its logits have now, which it learns by. A gate that was forced stays forced. Raises `GateError` where
    that is no routing of this space.
    """
    if weights not in ("recorded", "live"):
        raise GateError(f"weights are replayed as `recorded`, or are `live`, not {weights!r}")
    if not isinstance(routing, Routing):
        raise GateError(f"what is replayed is `outcome.routing`, not a {type(routing).__name__}")
    for node, routes in controls(module).items():
        missing = [route for route in routes if route not in routing.weights.get(node, {})]
        if missing:
            raise GateError(f"this is a routing of another space: it has nothing of route `{missing[0]}` of `{node}`")
    overrides: dict[Handle, Override] = {}
    for node, routes in controls(module).items():
        for control in {control for control, _ in routes.values()}:
            names = [(node, route) for route in control.routes]
            asked = weights == "live" and not routing.forced.issuperset(names)
            given = None if asked else tuple(_recorded(routing, *name) for name in names)
            opened = tuple(routing.opens(node, route) for route in control.routes)
            overrides[control] = Override(control.routes, given, opened)
    with entering(overrides):
        yield module


def _recorded(routing: Routing, node: str, route: str) -> Tensor:
    """The weight that a route had, 0 where it was not asked for."""
    return torch.where(routing.reached_by(node, route), routing.weights[node][route].detach(), 0.0)


def freeze(module: nn.Module, *nodes: str) -> None:
    """Stop the gates of `nodes` (all gates when none is named) from learning: no gradient, norms in inference mode.

    `module.train()` keeps them so. Raises `GateError` for a node without a gate.
    """
    known = controls(module)
    for node in nodes or tuple(known):
        if node not in known:
            raise _no_gate(node, known)
    for part in inside(module).modules():
        if isinstance(getattr(part, "control", None), Control) and (not nodes or getattr(part, "node", "") in nodes):
            body = part.body
            assert isinstance(body, nn.Module)
            for one in every(body):
                one.requires_grad_(False)
            body.eval()
            body.train = partial(_stay, body)  # type: ignore[method-assign]
