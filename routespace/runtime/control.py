"""Taking gates out of the model's hands: forcing, replaying and freezing them by node name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Real
from typing import TypeAlias

import torch
from torch import Tensor, nn

from routespace.diagnostics import did_you_mean
from routespace.runtime.errors import GateError
from routespace.runtime.result import Routing
from routespace.runtime.tree import every

Weight = float | Tensor
Override: TypeAlias = "tuple[tuple[Weight, ...] | None, tuple[Tensor, ...] | None]"
"""Weights of the routes of a gate and where they are open; None where the gate, or its weights, tell that."""


class Control:
    """The override of one gate: for each of its routes a weight, or None while the gate decides itself; and where a
    record is replayed, whether it is open, which weights of 0 and NaN do not tell."""

    def __init__(self, routes: tuple[str, ...]) -> None:
        self.routes = routes
        self.forced: tuple[Weight, ...] | None = None
        self.opened: tuple[Tensor, ...] | None = None

    def decided(self, batch: int, like: Tensor, size: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
        """Forced weights and which of them are open, on the device of `like`: (N, K), or (N, K, H, W) of a gate per
        position for maps of `size`. More than 0 is open, and NaN."""
        assert self.forced is not None
        weights = self._columns(self.forced, batch, like, size)
        if self.opened is None:
            return weights, ~(weights <= 0)
        return weights, self._columns(self.opened, batch, like, size) > 0

    def _columns(self, given: Sequence[Weight], batch: int, like: Tensor, size: tuple[int, int] | None) -> Tensor:
        return self._numbers(given, batch, like) if size is None else self._maps(given, batch, size, like)

    def _numbers(self, given: Sequence[Weight], batch: int, like: Tensor) -> Tensor:
        """One number for each image and route (N, K)."""
        columns: list[Tensor] = []
        for route, weight in zip(self.routes, given, strict=True):
            column = torch.as_tensor(weight, dtype=like.dtype, device=like.device)
            if column.dim() > 1:
                raise GateError(f"weights forced on `{route}` are {tuple(column.shape)}, one for each image is needed")
            if column.dim() == 1 and column.shape[0] != batch:
                raise GateError(f"weights forced on `{route}` are for {column.shape[0]} images, the batch has {batch}")
            columns.append(column.expand(batch) if column.dim() == 0 else column)
        return torch.stack(columns, 1) if columns else like.new_zeros(batch, 0)

    def _maps(self, given: Sequence[Weight], batch: int, size: tuple[int, int], like: Tensor) -> Tensor:
        """A map for each image and route (N, K, H, W): of a number, of one for each image, or as given (N, H, W)."""
        columns: list[Tensor] = []
        for route, weight in zip(self.routes, given, strict=True):
            column = torch.as_tensor(weight, dtype=like.dtype, device=like.device)
            if column.dim() == 1:
                column = column.view(-1, 1, 1)
            try:
                columns.append(column.expand(batch, *size))
            except RuntimeError:
                shown = tuple(column.shape)
                raise GateError(f"weights forced on `{route}` are {shown}, {(batch, *size)} is needed") from None
        return torch.stack(columns, 1) if columns else like.new_zeros(batch, 0, *size)


def controls(module: nn.Module) -> dict[str, dict[str, tuple[Control, int]]]:
    """Controls of a compiled module by node and route."""
    found: dict[str, dict[str, tuple[Control, int]]] = {}
    for part in module.modules():
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
    changed: dict[int, tuple[Control, Override]] = {}
    try:
        for node, wanted in gates.items():
            if node not in known:
                hint = did_you_mean(node, known)
                raise GateError(f"no node `{node}` with a gate{f'; {hint}' if hint else ''}")
            _force(node, known[node], wanted, changed)
        yield module
    finally:
        for control, before in changed.values():
            control.forced, control.opened = before


def _force(
    node: str,
    routes: dict[str, tuple[Control, int]],
    wanted: Mapping[str, Weight] | str | float,
    changed: dict[int, tuple[Control, Override]],
) -> None:
    if isinstance(wanted, str):
        if wanted not in ("open", "closed"):
            raise GateError(f"a gate is forced open, closed or to weights, not `{wanted}`")
        wanted = 1.0 if wanted == "open" else 0.0
    if isinstance(wanted, Real):
        wanted = dict.fromkeys(routes, float(wanted))
    if not isinstance(wanted, Mapping):
        raise GateError(f"`{node}` is forced to a mapping of weights by route, not to a {type(wanted).__name__}")
    for route, weight in wanted.items():
        if not isinstance(weight, (Real, Tensor)):
            raise GateError(f"`{route}` of `{node}` is forced to a number or a tensor, not to {weight!r}")
        if route not in routes:
            hint = did_you_mean(route, routes)
            raise GateError(f"node `{node}` has no route `{route}`{f'; {hint}' if hint else ''}")
    for control, _ in routes.values():
        if id(control) not in changed:
            changed[id(control)] = (control, (control.forced, control.opened))
            control.forced, control.opened = tuple(_plain(wanted.get(route, 0.0)) for route in control.routes), None


def _plain(weight: Weight) -> Weight:
    return weight if isinstance(weight, Tensor) else float(weight)


@contextmanager
def among(module: nn.Module, places: Sequence[int]) -> Iterator[nn.Module]:
    """Within the block, weights forced for each image of a batch are those of the images at `places`."""
    held = {id(control): control for routes in controls(module).values() for control, _ in routes.values()}
    before = [(control.forced, control.opened) for control in held.values()]
    try:
        for control in held.values():
            if control.forced is not None:
                control.forced = tuple(_taken(weight, places) for weight in control.forced)
            if control.opened is not None:
                control.opened = tuple(opened[list(places)] for opened in control.opened)
        yield module
    finally:
        for control, (forced, opened) in zip(held.values(), before, strict=True):
            control.forced, control.opened = forced, opened


def _taken(weight: Weight, places: Sequence[int]) -> Weight:
    is_each = isinstance(weight, Tensor) and weight.dim() > 0
    return weight[list(places)] if is_each else weight  # type: ignore[index]


def _stay(body: nn.Module, mode: bool = True) -> nn.Module:
    """What a frozen body answers to `train()`."""
    return body


@contextmanager
def replaying(module: nn.Module, routing: Routing) -> Iterator[nn.Module]:
    """Within the block, every gate decides as recorded in `routing` (of the same images, in their order).

    Raises `GateError` where that is no routing of this space.
    """
    if not isinstance(routing, Routing):
        raise GateError(f"what is replayed is `outcome.routing`, not a {type(routing).__name__}")
    for node, routes in controls(module).items():
        missing = [route for route in routes if route not in routing.weights.get(node, {})]
        if missing:
            raise GateError(f"this is a routing of another space: it has nothing of route `{missing[0]}` of `{node}`")
    gates = {
        node: {
            route: torch.where(routing.reached_by(node, route), weight.detach(), 0.0) for route, weight in of.items()
        }
        for node, of in routing.weights.items()
    }
    with forcing(module, gates):
        for node, routes in controls(module).items():
            for control, _ in routes.values():
                if routing.opened is not None:
                    control.opened = tuple(routing.opened[node][route] for route in control.routes)
        yield module


def freeze(module: nn.Module, *nodes: str) -> None:
    """Stop the gates of `nodes` (all gates when none is named) from learning: no gradient, norms in inference mode.

    `module.train()` keeps them so. Raises `GateError` for a node without a gate.
    """
    known = controls(module)
    for node in nodes or tuple(known):
        if node not in known:
            hint = did_you_mean(node, known)
            raise GateError(f"no node `{node}` with a gate{f'; {hint}' if hint else ''}")
    for part in module.modules():
        if isinstance(getattr(part, "control", None), Control) and (not nodes or getattr(part, "node", "") in nodes):
            body = part.body
            assert isinstance(body, nn.Module)
            for one in every(body):
                one.requires_grad_(False)
            body.eval()
            body.train = partial(_stay, body)  # type: ignore[method-assign]
