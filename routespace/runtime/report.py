"""The end of a call: outputs, routing and cost gathered into an `Outcome`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from routespace.runtime.dense import Decision
from routespace.runtime.errors import GateError
from routespace.runtime.frame import Frame
from routespace.runtime.meter import Meter
from routespace.runtime.result import ByRoute, Cost, Outcome, Routing


class Report(nn.Module):
    """`keys` name the outputs; `gates` are (node, routes) of the decisions; `watched` counts the streams whose
    presence the meter needs; `tally` says how executed work is told: "all" (everything ran), what was "needed", or
    the "trace" that leaves wrote into the frame."""

    def __init__(
        self,
        meter: Meter,
        keys: Sequence[str],
        gates: Sequence[tuple[str, tuple[str, ...]]],
        watched: int,
        tally: str,
        presence: Callable[[Frame, Any], Tensor | None],
        debug: bool,
    ) -> None:
        super().__init__()
        self.meter, self.keys, self.gates = meter, tuple(keys), tuple(gates)
        self.watched, self.tally, self.presence, self.debug = watched, tally, presence, debug

    def forward(self, frame: Frame, *parts: Any) -> Outcome:
        outputs = parts[: len(self.keys)]
        decisions: tuple[Decision, ...] = parts[len(self.keys) : len(self.keys) + len(self.gates)]
        streams = parts[len(parts) - self.watched :] if self.watched else ()
        present = [self.presence(frame, stream) for stream in streams]
        ran = self._trace(frame) if self.tally == "trace" else None

        def view(convention: str) -> Cost:
            cost = self.meter.cost(frame, decisions, present, ran, self.tally == "needed", convention)
            cost.view = view
            return cost

        weights, logits, reached = self._by_node(decisions)
        routing = Routing(weights, logits, reached, view(self.meter.convention), partial(self._margins, decisions))
        if self.debug:
            bad = routing.nan_gates()
            if bad:
                raise GateError(f"the gate of `{bad[0]}` gave NaN ({len(bad)} such nodes)")
        output = outputs[0] if len(outputs) == 1 else dict(zip(self.keys, outputs, strict=True))
        return Outcome(output, routing, frame.size)

    def _by_node(self, decisions: Sequence[Decision]) -> tuple[ByRoute, ByRoute, dict[str, Tensor]]:
        weights: ByRoute = {}
        logits: ByRoute = {}
        reached: dict[str, Tensor] = {}
        for (node, routes), decision in zip(self.gates, decisions, strict=True):
            nothing = ~decision.reached[:, None]
            shown = decision.weights.masked_fill(nothing, torch.nan)
            before = decision.logits.masked_fill(nothing, torch.nan)
            for place, route in enumerate(routes):
                weights.setdefault(node, {})[route] = shown[:, place]
                logits.setdefault(node, {})[route] = before[:, place]
            reached[node] = reached[node] | decision.reached if node in reached else decision.reached
        return weights, logits, reached

    def _margins(self, decisions: Sequence[Decision]) -> ByRoute:
        found: ByRoute = {}
        for (node, routes), decision in zip(self.gates, decisions, strict=True):
            far = decision.margin().masked_fill(~decision.reached[:, None], torch.nan)
            for place, route in enumerate(routes):
                found.setdefault(node, {})[route] = far[:, place]
        return found

    def _trace(self, frame: Frame) -> Tensor:
        ran = torch.zeros(frame.batch, len(self.meter.units), dtype=torch.float64)
        for unit, images in frame.ran.items():
            ran[list(images), unit] += 1.0
        return ran.to(frame.images.device)
