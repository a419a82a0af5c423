"""Gates per position in the export form: whole maps of the images that need them, and no rows of the others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from routespace.runtime.dense import Decision, Flow, both, needed
from routespace.runtime.export import on_rows, prepare
from routespace.runtime.frame import Frame
from routespace.runtime.leaves import GateLeaf, GateParts, RouteParts
from routespace.runtime.maps import MapDecision, decided, of_rows, selected, there


class Gate(GateLeaf):
    """Maps of weights for the images that reach it."""

    def __init__(self, parts: GateParts) -> None:
        super().__init__(parts._replace(body=prepare(parts.body)))

    def forward(self, frame: Frame, x: Flow, *decisions: Decision) -> MapDecision:
        wanted = both(x.present, needed(self.atoms, decisions))
        reached = wanted if wanted is not None else x.value.new_ones(frame.batch, dtype=torch.bool)
        override = frame.setting(self.control)
        if override is not None and not override.asks:
            weights, opened = override.decided(frame.batch, frame.deciding, frame.values[self.name])
            return decided(self, weights, opened, reached, None, weights, override)
        logits = on_rows(self.body, x.value, wanted, frame, self.targets)
        weights, opened = self.activation(logits)
        return decided(self, weights, opened, reached, None, logits, override)


class Route(nn.Module):
    """α·op(source) at the positions where the route is open, for the images that have some."""

    def __init__(self, parts: RouteParts) -> None:
        super().__init__()
        self.op, self.targets, self.index = prepare(parts.op), parts.targets, parts.place

    def forward(self, frame: Frame, source: Flow, decision: MapDecision) -> Flow:
        present, mask = there(source, decision, self.index)
        gain = decision.weights[:, self.index, None]

        def make(x: Tensor, mask: Tensor, gain: Tensor) -> Tensor:
            return selected(self.op, self.targets, x, mask, frame.sizes, gain)

        return Flow(of_rows(mask.flatten(1).any(1), make, source.value, mask, gain), present)
