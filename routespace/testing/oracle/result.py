"""What the oracle found: outputs, decisions and costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from routespace.graph.ir import Gate, Merge, Route, RouteGraph
from routespace.space.conventions import CONVENTIONS
from routespace.testing.oracle.evaluate import Said, Stream
from routespace.testing.oracle.footprints import Footprints, Wants
from routespace.testing.oracle.inside import wanted_of, weight_of
from routespace.testing.oracle.maps import MapDecision
from routespace.testing.oracle.need import Need, needs_of
from routespace.testing.oracle.price import Prices
from routespace.testing.oracle.sizes import Plan, Sizes, plan

Weights = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Costs:
    """Cost per image (N,) under one convention: weighted by α, and with every open route counted whole."""

    expected: Tensor
    hard: Tensor


@dataclass(frozen=True)
class OracleResult:
    """What the oracle found.

    `weights` and `logits` are (N,) by node and route, of gates per position (N, H, W), NaN where the gate was not
    consulted for the image (logits also where the gate was forced); `margins` is (N,) or (N, H, W) by gate. `closed`
    and `consulted` tell per gate and image what was decided. `present`, `blank` and `computed` say per value and image
    whether it is something, whether it is nothing but the zeros of shut routes, and whether it was needed (for a route:
    needed and open). `state` holds the buffers after a training run.
    """

    graph: RouteGraph
    size: Sizes
    training: bool
    outputs: dict[str, Tensor]
    streams: dict[str, Stream]
    blank: dict[str, list[bool]]
    decisions: dict[str, list[Said | None]]
    computed: dict[str, tuple[bool, ...]]
    state: dict[str, Tensor]
    like: Tensor

    @property
    def count(self) -> int:
        return len(self.like)

    @property
    def output(self) -> Tensor:
        """The only output. `ValueError` where there are several."""
        (only,) = self.outputs.values()
        return only

    @property
    def present(self) -> dict[str, tuple[bool, ...]]:
        return {name: tuple(x is not None for x in stream) for name, stream in self.streams.items()}

    @property
    def consulted(self) -> dict[str, tuple[bool, ...]]:
        """Per gate and image: reached and needed."""
        return {gate.name: self.computed[gate.name] for gate in self.graph.gates}

    @property
    def closed(self) -> dict[str, tuple[bool, ...]]:
        """Per gate and image: consulted and closed."""
        return {
            name: tuple(
                asked and decision is not None and decision.closed
                for asked, decision in zip(self.computed[name], decisions, strict=True)
            )
            for name, decisions in self.decisions.items()
        }

    @property
    def weights(self) -> Weights:
        return self._by_node(lambda decision, place: decision.weights[place])

    @property
    def logits(self) -> Weights:
        return self._by_node(lambda decision, place: decision.logits[place])

    @property
    def margins(self) -> dict[str, Tensor]:
        """Per gate (N,), or (N, H, W): how far each decision is from another one; infinite where there is none."""
        found: dict[str, Tensor] = {}
        for name, decisions in self.decisions.items():
            never = torch.full(self._shape(name), math.inf, dtype=torch.float64)
            column = [never if one is None else torch.as_tensor(one.margin, dtype=torch.float64) for one in decisions]
            found[name] = torch.stack(column).detach() if column else never[None][:0]
        return found

    @cached_property
    def planned(self) -> Plan:
        """Sizes and leaves of everything."""
        return plan(self.graph, self.size)

    def mask(self, route: str, image: int) -> Tensor | None:
        """Where a route decided per position is open (H, W); None where it was not consulted, or nothing is there."""
        value = self.graph.by_name[route]
        assert isinstance(value, Route)
        said = self.decisions[value.gate][image]
        if not self.consulted[value.gate][image] or self.streams[value.source][image] is None:
            return None
        return said.masks[value.index] if isinstance(said, MapDecision) else None

    def needed(self, route: str, image: int, local_norms: bool = False, loose: bool = False) -> dict[str, Wants]:
        """What each leaf of a route decided per position has to compute for an image, by path; see `Footprints`."""
        prints = self._prints(route, image, local_norms, loose)
        return {} if prints is None else prints.makes

    def _prints(self, route: str, image: int, local_norms: bool, loose: bool = False) -> Footprints | None:
        value, mask = self.graph.by_name[route], self.mask(route, image)
        assert isinstance(value, Route)
        if mask is None:
            return None
        said = self.decisions[value.gate][image]
        assert isinstance(said, MapDecision)
        steps = {step.path: step for step in self.planned.steps[route]}
        weights = weight_of(said.weights[value.index])
        prints = Footprints(steps, weights, self.training, local_norms, loose)
        prints.back(value.op, f"{route}.op", wanted_of(mask))
        return prints

    def _shape(self, gate: str) -> tuple[int, ...]:
        value, extent = self.graph.by_name[gate], self.planned.extents[gate]
        per_position = isinstance(value, Gate) and value.granularity == "position"
        return (extent.height, extent.width) if per_position else ()

    @property
    def zero_reached(self) -> tuple[bool, ...]:
        """Per image: some node was entered by nothing but the zeros of shut routes."""
        entries = [value.name for value in self.graph.values if isinstance(value, Merge) and value.arrives]
        return tuple(
            any(self.computed[name][image] and self.blank[name][image] for name in entries)
            for image in range(self.count)
        )

    def cost(self, convention: str = "macs") -> Costs:
        """Costs per image under a registered convention."""
        rules = CONVENTIONS[convention]
        prices = Prices(self.graph, self.size, rules)
        expected, hard = [], []
        for image in range(self.count):
            needs = needs_of(self.graph, image, self.decisions, self.like, rules.open_above, self.training)
            one = [self._charge(name, image, needs[name], prices) for name in prices.price]
            expected.append(sum((soft for soft, _ in one), self.like.new_zeros(())))
            hard.append(float(sum(full for _, full in one)))
        return Costs(
            torch.stack(expected) if expected else self.like.new_zeros(0), torch.tensor(hard, dtype=self.like.dtype)
        )

    def _charge(self, name: str, image: int, need: Need, prices: Prices) -> tuple[Tensor, float]:
        """Expected and hard cost of one value for one image."""
        nothing = self.like.new_zeros(())
        part, price, rules = prices.part[name], prices.price[name], prices.convention
        value = self.graph.by_name[name]
        if part is None or price == 0:
            return nothing, 0.0
        if isinstance(value, Gate):
            decision = self.decisions[name][image]
            forced = decision is not None and decision.forced
            runs = not forced and (rules.every_gate or self.computed[name][image])
            charged = price if runs else 0.0
            return nothing + (charged if rules.gates_in_expected else 0.0), charged
        if not self.computed[name][image]:
            return nothing, 0.0
        if isinstance(value, Route):
            decision = self.decisions[value.gate][image]
            assert decision is not None
            if isinstance(decision, MapDecision):
                return self._charge_of_maps(name, image, decision.weights[value.index], prices)
            weight = decision.weights[value.index]
            full = rules.open_above == 0 or float(weight.detach()) > rules.open_above
            return weight * price, price if full else 0.0
        in_expected = part == "cell" or rules.fixed_in_expected
        return need.share * price if in_expected else nothing, price if need.counted else 0.0

    def _charge_of_maps(self, name: str, image: int, weights: Tensor, prices: Prices) -> tuple[Tensor, float]:
        """Cost of a route decided per position: every position of a leaf by the heaviest output that needs it."""
        rules = prices.convention
        prints = self._prints(name, image, rules.local_norms)
        assert prints is not None
        expected, hard = self.like.new_zeros(()), 0.0
        for step, price in prices.leaves[name]:
            each = price / step.output.positions
            outputs = [output for output in prints.worked(step).values() if output is not None]
            if outputs and each:
                rows, columns = zip(*outputs, strict=True)
                found = weights[list(rows), list(columns)]
                expected = expected + each * found.sum()
                hard += each * float((~(found <= rules.open_above)).sum())
        return expected, hard

    def _by_node(self, read: Callable[[Said, int], Tensor]) -> Weights:
        found: Weights = {}
        for gate in self.graph.gates:
            rows = self.decisions[gate.name]
            asked, shape = self.computed[gate.name], self._shape(gate.name)
            for place, route in enumerate(gate.routes):
                column = [
                    read(one, place) if seen and one is not None else self.like.new_full(shape, math.nan)
                    for one, seen in zip(rows, asked, strict=True)
                ]
                empty = self.like.new_zeros(0, *shape)
                found.setdefault(gate.node, {})[route] = torch.stack(column) if column else empty
        return found
