"""The ledger at run time: what the decisions of a call cost, image by image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.dense import Decision
from routespace.runtime.frame import Frame, Sizes
from routespace.runtime.growth import grown
from routespace.runtime.result import Cost
from routespace.runtime.widest import widest
from routespace.space.conventions import Convention
from routespace.space.demand import Demand


@dataclass(frozen=True, slots=True)
class Unit:
    """A value that does work. `gate` for a gate's own work; `atoms` (gate, route or None) under which it is needed,
    None for always; `present` which of the presence masks given it depends on, None for all images. `route` (gate,
    index) decides per position how much of the unit runs; a `sent` one leaves its node. `value` is the value of the
    graph that it is, or is an op of."""

    name: str
    value: str
    atoms: tuple[tuple[int, int | None], ...] | None
    gate: int | None = None
    present: int | None = None
    route: tuple[int, int] | None = None
    sent: bool = False


@dataclass(frozen=True)
class Call:
    """What a call's cost is worked out of, decisions aside: no image and no map. Numbers are of `dtype`, on `device`.

    `ran` are the images that a unit ran for, once each time; `shares` (unit, images, positions of each or None for all)
    are those of units that run per position. `training` is the mode that the call was made in.
    """

    batch: int
    size: Sizes
    device: torch.device
    training: bool
    ran: dict[int, list[int]]
    shares: list[tuple[int, Sequence[int], Sequence[int] | None]]

    @classmethod
    def of(cls, frame: Frame, training: bool) -> Call:
        return cls(frame.batch, frame.size, frame.images.device, training, frame.ran, frame.shares)

    @cached_property
    def dtype(self) -> torch.dtype:
        return widest(self.device)


class Prices(NamedTuple):
    """By unit, in the dtype of the call: what a convention charges where the unit runs; `always` those charged hard in
    any case; `positions` of units that gates decide per position, with what stands `after` them."""

    expected: Tensor
    hard: Tensor
    executed: Tensor
    always: Tensor
    positions: Tensor
    after: list[tuple[Demand, ...]]
    convention: Convention


class Listed(NamedTuple):
    """Prices by unit as the ledger lists them; see `Prices`."""

    expected: list[float]
    hard: list[float]
    executed: list[float]
    always: list[bool]
    positions: list[int]
    after: list[tuple[Demand, ...]]
    convention: Convention


PriceList = Callable[[Sizes, str], Listed]


class Meter(nn.Module):
    """Costs of a call from its decisions. `slots` is the number of routes of each gate."""

    def __init__(self, units: Sequence[Unit], slots: Sequence[int], price_list: PriceList, convention: str) -> None:
        super().__init__()
        self.units, self.convention = tuple(units), convention
        self.price_list = lru_cache(maxsize=64)(price_list)
        self.slots = tuple(slots)
        self.mapped = [place for place, unit in enumerate(self.units) if unit.route is not None]
        self.places: Tensor
        self.register_buffer("places", torch.tensor(self.mapped, dtype=torch.long), persistent=False)
        starts = [sum(slots[:gate]) for gate in range(len(slots))]
        total = sum(slots)
        closed, reached, one, zero = total, total + len(slots), total + 2 * len(slots), total + 2 * len(slots) + 1
        columns: list[list[int]] = []
        for unit in self.units:
            if unit.gate is not None:
                columns.append([reached + unit.gate])
            elif unit.route is not None:
                columns.append([zero])
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

    def prices(self, call: Call, convention: str) -> Prices:
        listed = self.price_list(call.size, convention)
        expected, hard, executed, positions = (
            torch.tensor(column, dtype=call.dtype, device=call.device)
            for column in (listed.expected, listed.hard, listed.executed, listed.positions)
        )
        always = torch.tensor(listed.always, dtype=torch.bool, device=call.device)
        return Prices(expected, hard, executed, always, positions, listed.after, listed.convention)

    def ran(self, call: Call) -> Tensor:
        """How much of every unit ran for every image, (N, units)."""
        done = [[0.0] * len(self.units) for _ in range(call.batch)]
        for unit, images in call.ran.items():
            for image in images:
                done[image][unit] += 1.0
        positions = self.price_list(call.size, self.convention).positions if call.shares else []
        for unit, among, counts in call.shares:
            for place, image in enumerate(among):
                done[image][unit] += 1.0 if counts is None else counts[place] / positions[unit]
        found = torch.tensor(done, dtype=call.dtype, device=call.device)
        return found.view(call.batch, len(self.units))

    def cost(
        self,
        call: Call,
        decisions: Sequence[Decision],
        present: Sequence[Tensor | None],
        ran: Tensor | None,
        only_needed: bool,
        convention: str,
    ) -> Cost:
        """Cost by `convention` of a call. `ran` (N, units) is what was executed; without it the form ran all, or all
        needed."""
        prices = self.prices(call, convention)
        above = prices.convention.open_above
        spread = partial(self._spread, call, decisions, present, prices)
        soft = [decision.weights for decision in decisions]
        weights = spread(soft)
        opened = [
            decision.open & ~(decision.weights <= above) if above > 0 else decision.open for decision in decisions
        ]
        needed = spread(opened).detach()
        charged = torch.where(prices.always, 1.0, needed)
        if ran is not None:
            done = ran
        elif only_needed:
            exact = [decision.open for decision in decisions]
            done = spread(exact, whole=True)
        else:
            done = torch.ones(call.batch, len(self.units), dtype=call.dtype, device=call.device)
            for place, unit in enumerate(self.units):
                if unit.gate is not None and not decisions[unit.gate].consulted:
                    done[:, place] = 0.0

        def parts() -> dict[str, Cost]:
            return {value: total(torch.tensor(places, device=call.device)) for value, places in self.by_value().items()}

        def total(chosen: Tensor | slice) -> Cost:
            return Cost(
                weights[:, chosen] @ prices.expected[chosen],
                charged[:, chosen] @ prices.hard[chosen],
                done[:, chosen] @ prices.executed[chosen],
                convention,
                parts=parts,
            )

        return total(slice(None))

    def by_value(self) -> dict[str, list[int]]:
        """Places of the units of each value."""
        found: dict[str, list[int]] = {}
        for place, unit in enumerate(self.units):
            found.setdefault(unit.value, []).append(place)
        return found

    def _spread(
        self,
        call: Call,
        decisions: Sequence[Decision],
        present: Sequence[Tensor | None],
        prices: Prices,
        by_route: Sequence[Tensor],
        whole: bool = False,
    ) -> Tensor:
        """Weight of every unit for every image, (N, units); `whole` maps of those that are decided per position
        where some position is open."""
        one = torch.ones(call.batch, 1, dtype=call.dtype, device=call.device)
        closed = [(decision.reached & ~decision.active)[:, None] for decision in decisions]
        reached = [
            (decision.reached if decision.consulted else torch.zeros_like(decision.reached))[:, None]
            for decision in decisions
        ]
        table = torch.cat(
            [part.to(call.dtype) for part in (*map(highest, by_route), *closed, *reached)]
            + [one, torch.zeros_like(one)],
            1,
        )
        if not self.units:
            return table[:, :0]
        spread = table[:, self.columns].amax(-1)
        if self.mapped:
            spread = spread.index_copy(1, self.places, self._shares(call, by_route, prices, whole))
        held = [mask for mask in present if mask is not None]
        if not held:
            return spread
        masks = torch.stack([one[:, 0] if mask is None else mask.to(call.dtype) for mask in (*present, None)], 1)
        return spread * masks[:, self.watched]

    def _shares(self, call: Call, by_route: Sequence[Tensor], prices: Prices, whole: bool) -> Tensor:
        """How much of each unit that is decided per position is used, (N, such units): the gate's map, grown
        by what the ops behind the unit demand, summed, over the positions there are."""
        known: dict[tuple[object, ...], Tensor] = {}
        found: list[Tensor] = []
        for place in self.mapped:
            unit = self.units[place]
            assert unit.route is not None
            gate, index = unit.route
            if whole:
                found.append(highest(by_route[gate])[:, index].to(call.dtype))
                continue
            detached = unit.sent and prices.convention.sent_detached
            after = prices.after[place]
            key = (gate, index, after, detached)
            if key not in known:
                weights = by_route[gate][:, index].to(call.dtype)
                grown_ = grown(
                    weights.detach() if detached else weights, after, call.training, prices.convention.local_norms
                )
                known[key] = grown_.flatten(1).sum(1)
            found.append(known[key] / prices.positions[place])
        return torch.stack(found, 1)


def highest(weights: Tensor) -> Tensor:
    """Weights (N, K) as they are; of maps (N, K, H, W) the highest of each."""
    return weights if weights.dim() == 2 else weights.flatten(2).amax(2)
