"""The end of a call: outputs, routing and cost gathered into an `Outcome`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from routespace.runtime.aside import aside
from routespace.runtime.dense import Decision
from routespace.runtime.errors import GateError
from routespace.runtime.frame import Frame
from routespace.runtime.meter import Call, Meter
from routespace.runtime.modes import as_now
from routespace.runtime.result import ByRoute, Cost, Outcome, Routing
from routespace.runtime.surrogate import zero_of


class Report(nn.Module):
    """`keys` name the outputs; `gates` are (node, routes) of the decisions; `watched` counts the streams whose
    presence the meter needs; `mapped` are the places of decisions per position; `tally` says how executed work is
    told: "all" (everything ran), what was "needed", or the "trace" that leaves wrote into the frame."""

    def __init__(
        self,
        meter: Meter,
        keys: Sequence[str],
        gates: Sequence[tuple[str, tuple[str, ...]]],
        watched: int,
        tally: str,
        presence: Callable[[Frame, Any], Tensor | None],
        debug: bool,
        mapped: Collection[int] = (),
    ) -> None:
        super().__init__()
        self.meter, self.keys, self.gates = meter, tuple(keys), tuple(gates)
        self.watched, self.tally, self.presence, self.debug = watched, tally, presence, debug
        owners = [place for place, (_, routes) in enumerate(self.gates) if place not in mapped for _ in routes]
        self.owners: Tensor
        self.register_buffer("owners", torch.tensor(owners, dtype=torch.long), persistent=False)

    @aside
    def forward(self, frame: Frame, *parts: Any) -> Outcome:
        outputs = list(parts[: len(self.keys)])
        decisions = [recorded(decision) for decision in parts[len(self.keys) : len(self.keys) + len(self.gates)]]
        streams = parts[len(parts) - self.watched :] if self.watched else ()
        present = [self.presence(frame, stream) for stream in streams]
        call, as_then = Call.of(frame, self.training), as_now()
        ran = cache(partial(self.meter.ran, call)) if self.tally == "trace" else None

        def view(convention: str) -> Cost:
            with as_then():
                done = None if ran is None else ran()
                cost = self.meter.cost(call, decisions, present, done, self.tally == "needed", convention)
            cost.view = view
            return cost

        weights, logits, reached = self._by_node(decisions)
        opened = self._named([decision.open for decision in decisions])
        consulted: ByRoute = {}
        for (node, routes), decision in zip(self.gates, decisions, strict=True):
            consulted.setdefault(node, {}).update(dict.fromkeys(routes, decision.reached))
        far = partial(self._margins, decisions)
        told = partial(view, self.meter.convention)
        routing = Routing(weights, logits, reached, told, far, consulted, opened, self._forced(decisions))
        if self.debug:
            bad = routing.nan_gates()
            if bad:
                raise GateError(f"the gate of `{bad[0]}` gave NaN ({len(bad)} such nodes)")
        if self.training:
            outputs = anchored(outputs, frame.parameters())
        output = outputs[0] if len(outputs) == 1 else dict(zip(self.keys, outputs, strict=True))
        return Outcome(output, routing, frame.size, frozenset(frame.missed))

    def _forced(self, decisions: Sequence[Decision]) -> frozenset[tuple[str, str]]:
        gates = zip(self.gates, decisions, strict=True)
        return frozenset((node, route) for (node, routes), one in gates if not one.consulted for route in routes)

    def _by_node(self, decisions: Sequence[Decision]) -> tuple[ByRoute, ByRoute, dict[str, Tensor]]:
        weights = self._spread([decision.weights for decision in decisions], decisions)
        logits = self._spread([decision.logits for decision in decisions], decisions)
        reached: dict[str, Tensor] = {}
        for (node, _), decision in zip(self.gates, decisions, strict=True):
            reached[node] = reached[node] | decision.reached if node in reached else decision.reached
        return weights, logits, reached

    def _named(self, values: Sequence[Tensor]) -> ByRoute:
        """Values (N, K, …) of every gate by node and route."""
        found: ByRoute = {}
        for (node, routes), value in zip(self.gates, values, strict=True):
            found.setdefault(node, {}).update(zip(routes, value.unbind(1), strict=True))
        return found

    def _spread(self, values: Sequence[Tensor], decisions: Sequence[Decision]) -> ByRoute:
        """Values (N, K) of every gate by node and route, NaN where the node was not reached."""
        if not decisions:
            return {}
        whole = [place for place, value in enumerate(values) if value.dim() == 2]
        columns: dict[int, Iterator[Tensor]] = {}
        if whole:
            missing = ~torch.stack([decision.reached for decision in decisions], 1)[:, self.owners]
            shown = torch.cat([values[place] for place in whole], 1).masked_fill(missing, torch.nan)
            columns = dict.fromkeys(whole, iter(shown.unbind(1)))
        found: ByRoute = {}
        for place, ((node, routes), value, decision) in enumerate(zip(self.gates, values, decisions, strict=True)):
            if place not in columns:
                columns[place] = iter(value.masked_fill(~decision.reached.view(-1, 1, 1, 1), torch.nan).unbind(1))
            for route in routes:
                found.setdefault(node, {})[route] = next(columns[place])
        return found

    def _margins(self, decisions: Sequence[Decision]) -> ByRoute:
        return self._spread([decision.margin() for decision in decisions], decisions)


def recorded(decision: Decision) -> Decision:
    """A decision without the images for which it was asked for the gradient of another gate alone."""
    counted = decision.counted
    if counted is None:
        return decision
    reached = decision.reached & counted
    shaped = reached.view(-1, *[1] * (decision.open.dim() - 1))
    weights, opened = torch.where(shaped, decision.weights, 0.0), decision.open & shaped
    return decision._replace(weights=weights, open=opened, active=decision.active & counted, reached=reached)


def anchored(outputs: Sequence[Tensor], parameters: Iterable[Tensor]) -> list[Tensor]:
    """Outputs in which every parameter has a part: a loss of them gives zeros to those that nothing used."""
    zero = zero_of(parameters)
    return list(outputs) if zero is None else [output + zero.to(output) for output in outputs]
