"""What a call of a compiled module returns: outputs, the route every image took, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

ByRoute = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Recorded:
    """What a call left to be worked out when it is asked for, worked out."""

    value: Any

    def __call__(self) -> Any:
        return self.value


@dataclass
class Cost:
    """Work per image (N,), in the unit of `convention`: expected (differentiable), hard, and executed by this form.

    One that is pickled or copied leaves the ledger behind, and can only be read as it is.
    """

    expected: Tensor
    hard: Tensor
    executed: Tensor
    convention: str = "macs"
    view: Callable[[str], Cost] | None = field(default=None, repr=False)
    parts: Callable[[], dict[str, Cost]] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "view": None, "parts": None}

    def __repr__(self) -> str:
        return f"Cost({', '.join(map(str, self.hard.shape))} images, in {self.convention})"

    def under(self, convention: str) -> Cost:
        """The same call counted by another convention."""
        if self.view is None:
            raise ValueError("this cost was recorded without its ledger and can only be read as it is")
        return self.view(convention)

    def by_value(self) -> dict[str, Cost]:
        """The same cost told apart by the values of the graph that do the work; they sum up to the whole."""
        if self.parts is None:
            raise ValueError("this cost was recorded without its ledger and can only be read as a whole")
        return self.parts()


@dataclass
class Routing:
    """The route each image took.

    `weights[node][route]` are (N,), of gates per position (N, H, W), NaN where the gate was not consulted; `logits`
    likewise, before the activation. `reached[node]` (N,) tells for which images a gate of it was consulted, and
    `consulted[node][route]` (N,), where it is known, for which that of a route. `opened[node][route]`, where it was
    recorded, tells what is open (bool, shaped as the weights): a weight may round to 0, and NaN is open. `forced` are
    the (node, route) whose gate did not decide by itself.

    One that is pickled, on its way to another process, or copied holds tensors and no part of the module: its cost and
    margins are worked out then, and the cost can only be read as it is.
    """

    weights: ByRoute
    logits: ByRoute
    reached: dict[str, Tensor]
    cost_of: Callable[[], Cost] = field(repr=False)
    margin_of: Callable[[], ByRoute] | None = field(default=None, repr=False)
    consulted: ByRoute | None = field(default=None, repr=False)
    opened: ByRoute | None = field(default=None, repr=False)
    forced: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)

    def __getstate__(self) -> dict[str, Any]:
        margins = None if self.margin_of is None else Recorded(self.margins())
        return {**self.__dict__, "cost": self.cost, "cost_of": Recorded(self.cost), "margin_of": margins}

    def __repr__(self) -> str:
        routes = sum(map(len, self.weights.values()))
        return f"Routing({len(self.weights)} nodes, {routes} routes)"

    def reached_by(self, node: str, route: str) -> Tensor:
        """The images (N,) for which the gate of a route was consulted, shaped to stand beside its weights."""
        asked = self.reached[node] if self.consulted is None else self.consulted[node][route]
        return asked.view(-1, *[1] * (self.weights[node][route].dim() - 1))

    def opens(self, node: str, route: str) -> Tensor:
        """Where a route is open, bool, shaped as its weights: nowhere for an image that its gate was not asked for."""
        opened = ~(self.weights[node][route] <= 0) if self.opened is None else self.opened[node][route]
        return opened & self.reached_by(node, route)

    @cached_property
    def cost(self) -> Cost:
        """Work per image by the declared convention, worked out when it is first asked for."""
        return self.cost_of()

    def margins(self) -> ByRoute:
        """Distance of each decision from flipping, in logits, (N,) by node and route; inf where it cannot flip."""
        if self.margin_of is None:
            raise ValueError("this routing was recorded without its gates and has no margins")
        return self.margin_of()

    def nan_gates(self) -> list[str]:
        """Nodes whose gate gave NaN for an image that reached it (such a route counts as open)."""
        return [
            node
            for node, routes in self.weights.items()
            if any(self._is_nan(node, route, weight) for route, weight in routes.items())
        ]

    def _is_nan(self, node: str, route: str, weight: Tensor) -> bool:
        return bool((torch.isnan(weight) & self.reached_by(node, route)).any())


@dataclass
class Outcome:
    """`output`: a tensor, or a dict by name where the space declares several; `routing`: how it came about.

    `size` is the (height, width) of the images, or that of every input by its name. `missed`: images of the batch that
    opened a route which the module that ran was pruned of.
    """

    output: Any
    routing: Routing
    size: tuple[Any, ...]
    missed: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        named = self.output if isinstance(self.output, dict) else {"output": self.output}
        made = ", ".join(f"{name} {tuple(getattr(one, 'shape', ()))}" for name, one in named.items())
        return f"Outcome({made}; {self.routing!r})"


def _flatten(outcome: Outcome) -> tuple[list[Any], Any]:
    routing = outcome.routing
    cost = routing.cost
    return [
        outcome.output,
        routing.weights,
        routing.logits,
        routing.reached,
        routing.consulted,
        routing.opened,
        cost.expected,
        cost.hard,
        cost.executed,
    ], [cost.convention, outcome.size, sorted(routing.forced)]


def _frozen(size: Any) -> Any:
    """A size as it was before it went through JSON."""
    return tuple(_frozen(part) for part in size) if isinstance(size, (list, tuple)) else size


def _unflatten(parts: Iterable[Any], context: Any) -> Outcome:
    convention, size, forced = context
    output, weights, logits, reached, consulted, opened, expected, hard, executed = parts
    cost = Cost(expected, hard, executed, str(convention))
    own = frozenset((node, route) for node, route in forced)
    routing = Routing(weights, logits, reached, lambda: cost, consulted=consulted, opened=opened, forced=own)
    return Outcome(output, routing, _frozen(size))


pytree.register_pytree_node(
    Outcome,
    _flatten,
    _unflatten,
    serialized_type_name="routespace.Outcome",
    to_dumpable_context=lambda context: context,
    from_dumpable_context=lambda context: context,
)
