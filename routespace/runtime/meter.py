"""The ledger at run time: what the decisions of a call cost, image by image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.dense import Decision
from routespace.runtime.frame import Frame, Size
from routespace.runtime.result import Cost


@dataclass(frozen=True, slots=True)
class Unit:
    """A value that does work. `gate` for a gate's own work; `atoms` (gate, route or None) under which it is needed,
    None for always; `present` which of the presence masks given it depends on, None for all images."""

    name: str
    atoms: tuple[tuple[int, int | None], ...] | None
    gate: int | None = None
    present: int | None = None


class Prices(NamedTuple):
    """By unit, float64: what a convention charges where the unit runs; `always` those charged hard in any case."""

    expected: Tensor
    hard: Tensor
    executed: Tensor
    always: Tensor
    open_above: float


PriceList = Callable[[Size, str], tuple[list[float], list[float], list[float], list[bool], float]]


class Meter(nn.Module):
    """Costs of a call from its decisions. `slots` is the number of routes of each gate."""

    def __init__(self, units: Sequence[Unit], slots: Sequence[int], price_list: PriceList, convention: str) -> None:
        super().__init__()
        self.units, self.convention = tuple(units), convention
        self.price_list = lru_cache(maxsize=64)(price_list)
        self.slots = tuple(slots)
        starts = [sum(slots[:gate]) for gate in range(len(slots))]
        total = sum(slots)
        closed, reached, one, zero = total, total + len(slots), total + 2 * len(slots), total + 2 * len(slots) + 1
        columns: list[list[int]] = []
        for unit in self.units:
            if unit.gate is not None:
                columns.append([reached + unit.gate])
            elif unit.atoms is None:
                columns.append([one])
            else:
                columns.append([closed + g if k is None else starts[g] + k for g, k in unit.atoms] or [zero])
        widest = max((len(line) for line in columns), default=1)
        padded = [[*line, *[zero] * (widest - len(line))] for line in columns]
        self.columns: Tensor
        self.register_buffer("columns", torch.tensor(padded, dtype=torch.long).view(-1, widest), persistent=False)
        watched = [-1 if unit.present is None else unit.present for unit in self.units]
        self.watched: Tensor
        self.register_buffer("watched", torch.tensor(watched, dtype=torch.long), persistent=False)

    def prices(self, size: Size, convention: str, device: torch.device) -> Prices:
        expected, hard, executed, always, above = self.price_list(size, convention)
        return Prices(
            torch.tensor(expected, dtype=torch.float64, device=device),
            torch.tensor(hard, dtype=torch.float64, device=device),
            torch.tensor(executed, dtype=torch.float64, device=device),
            torch.tensor(always, dtype=torch.bool, device=device),
            above,
        )

    def cost(
        self,
        frame: Frame,
        decisions: Sequence[Decision],
        present: Sequence[Tensor | None],
        ran: Tensor | None,
        only_needed: bool,
        convention: str,
    ) -> Cost:
        """Cost by `convention`. `ran` (N, units) is what was executed; without it the form ran all, or all needed."""
        device = frame.images.device
        prices = self.prices(frame.size, convention, device)
        weights = self._spread(frame, decisions, present, [decision.weights for decision in decisions], device)
        opened = [
            decision.open & ~(decision.weights <= prices.open_above) if prices.open_above > 0 else decision.open
            for decision in decisions
        ]
        needed = self._spread(frame, decisions, present, opened, device).detach()
        expected = weights @ prices.expected
        hard = torch.where(prices.always, 1.0, needed) @ prices.hard
        if ran is not None:
            done = ran
        elif only_needed:
            exact = [decision.open for decision in decisions]
            done = self._spread(frame, decisions, present, exact, device)
        else:
            done = torch.ones(frame.batch, len(self.units), dtype=torch.float64, device=device)
            for place, unit in enumerate(self.units):
                if unit.gate is not None and not decisions[unit.gate].consulted:
                    done[:, place] = 0.0
        return Cost(expected, hard, done @ prices.executed, convention)

    def _spread(
        self,
        frame: Frame,
        decisions: Sequence[Decision],
        present: Sequence[Tensor | None],
        by_route: Sequence[Tensor],
        device: torch.device,
    ) -> Tensor:
        """Weight of every unit for every image, (N, units) float64."""
        one = torch.ones(frame.batch, 1, dtype=torch.float64, device=device)
        closed = [(decision.reached & ~decision.active)[:, None] for decision in decisions]
        reached = [
            (decision.reached if decision.consulted else torch.zeros_like(decision.reached))[:, None]
            for decision in decisions
        ]
        table = torch.cat(
            [part.to(torch.float64) for part in (*by_route, *closed, *reached)] + [one, torch.zeros_like(one)], 1
        )
        if not self.units:
            return table[:, :0]
        spread = table[:, self.columns].amax(-1)
        held = [mask for mask in present if mask is not None]
        if not held:
            return spread
        masks = torch.stack([one[:, 0] if mask is None else mask.to(torch.float64) for mask in (*present, None)], 1)
        return spread * masks[:, self.watched]
