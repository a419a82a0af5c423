"""`Oracle`: outputs, decisions and costs of a graph for a batch of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from routespace.graph.ir import Gate, Merge, Output, Route, RouteGraph
from routespace.runtime.layers import BatchNorm
from routespace.space.conventions import CONVENTIONS
from routespace.testing.oracle.decide import Decision
from routespace.testing.oracle.evaluate import Evaluation, Forced, Stream, graph_modules
from routespace.testing.oracle.need import Need, needs_of
from routespace.testing.oracle.price import Prices, gated
from routespace.testing.oracle.sizes import Plan, plan

Weights = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Costs:
    """Cost per image (N,) under one convention: weighted by α, and with every open route counted whole."""

    expected: Tensor
    hard: Tensor


@dataclass(frozen=True)
class OracleResult:
    """What the oracle found.

    `weights` and `logits` are (N,) by node and route, NaN where the gate was not consulted for the image (logits also
    where the gate was forced); `margins` is (N,) by gate. `closed` and `consulted` tell per gate and image what was
    decided. `present`, `blank` and `computed` say per value and image whether it is something, whether it is nothing
    but the zeros of shut routes, and whether it was needed (for a route: needed and open). `state` holds the buffers
    after a training run.
    """

    graph: RouteGraph
    size: tuple[int, int]
    outputs: dict[str, Tensor]
    streams: dict[str, Stream]
    blank: dict[str, list[bool]]
    decisions: dict[str, list[Decision | None]]
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
        """Per gate (N,): how far each consulted decision is from another one; infinite where nothing was decided."""
        return {
            name: torch.tensor([math.inf if one is None else one.margin for one in decisions], dtype=torch.float64)
            for name, decisions in self.decisions.items()
        }

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
            needs = needs_of(self.graph, image, self.decisions, self.like, rules.open_above)
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
            weight = decision.weights[value.index]
            full = rules.open_above == 0 or float(weight.detach()) > rules.open_above
            return weight * price, price if full else 0.0
        in_expected = part == "cell" or rules.fixed_in_expected
        return need.share * price if in_expected else nothing, price if need.counted else 0.0

    def _by_node(self, read: Callable[[Decision, int], Tensor]) -> Weights:
        found: Weights = {}
        for gate in self.graph.gates:
            rows = self.decisions[gate.name]
            asked = self.computed[gate.name]
            for place, route in enumerate(gate.routes):
                column = [
                    read(one, place) if seen and one is not None else self.like.new_full((), math.nan)
                    for one, seen in zip(rows, asked, strict=True)
                ]
                found.setdefault(gate.node, {})[route] = torch.stack(column) if column else self.like.new_zeros(0)
        return found


class Oracle:
    """Evaluates `graph` with the weights of `state_dict` (every name of the graph and no other) in `dtype`.

    `modules` holds the leaf modules by name. In training, batch statistics move the running ones of the oracle's own
    copies; each `run` starts from those of `state_dict`.
    """

    def __init__(
        self,
        graph: RouteGraph,
        state_dict: Mapping[str, Tensor],
        mode: Literal["training", "inference"] = "inference",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.graph, self.mode, self.dtype = graph, mode, dtype
        self.modules = graph_modules(graph)
        names = {f"{path}.{name}" for path, module in self.modules.items() for name in module.state_dict()}
        if names != set(state_dict):
            missing, extra = sorted(names - set(state_dict)), sorted(set(state_dict) - names)
            raise ValueError(f"the state dict lacks {missing[:5]} and has {extra[:5]} beside the graph's names")
        self.state = {name: tensor.detach().clone() for name, tensor in state_dict.items()}
        for module in self.modules.values():
            module.to(dtype).train(mode == "training")
        self._load()

    def parameters(self) -> dict[str, nn.Parameter]:
        """Parameters by their name in the state dict."""
        return {
            f"{path}.{name}": parameter
            for path, module in self.modules.items()
            for name, parameter in module.named_parameters()
        }

    def run(self, images: Tensor, forced: Forced | None = None) -> OracleResult:
        """Evaluate a batch (N, C, H, W). `forced` gives weights by node and route, a number or one per image (N,).

        Routes that a forced node leaves out are closed.
        """
        given = images.to(self.dtype)
        size = (given.shape[2], given.shape[3])
        planned = plan(self.graph, size)
        evaluation = self._evaluate(planned, given, forced or {})
        computed = self._computed(evaluation, given)
        outputs = {
            value.key: self._stacked(evaluation.streams[value.name], planned, value, given)
            for value in self.graph.values
            if isinstance(value, Output)
        }
        state = {
            f"{path}.{name}": tensor.detach().clone()
            for path, module in self.modules.items()
            for name, tensor in module.state_dict().items()
        }
        return OracleResult(
            self.graph,
            size,
            outputs,
            evaluation.streams,
            evaluation.blank,
            evaluation.decisions,
            computed,
            state,
            given[:, 0, 0, 0],
        )

    def _evaluate(self, planned: Plan, images: Tensor, forced: Forced) -> Evaluation:
        """One pass, and in training further ones until the images that `active` statistics count no longer change."""
        training = self.mode == "training"
        active: dict[str, tuple[bool, ...]] | None = None
        for _ in range(len(self.graph.gates) + 2):
            self._load()
            evaluation = Evaluation(self.graph, self.modules, planned, images, training, forced, active)
            if not training or self._counts_everyone():
                return evaluation
            found = self._computed(evaluation, images)
            if found == active:
                return evaluation
            active = found
        raise RuntimeError("statistics of this graph depend on the decisions that they make")

    def _counts_everyone(self) -> bool:
        """Whether no statistic depends on which images need a value: no `active` norm, no gate behind another."""
        behind = gated(self.graph)
        return not any(gate.name in behind for gate in self.graph.gates) and not any(
            isinstance(module, BatchNorm) and module.stats == "active" for module in self.modules.values()
        )

    def _computed(self, evaluation: Evaluation, images: Tensor) -> dict[str, tuple[bool, ...]]:
        like = images.new_zeros(())
        needs = [
            needs_of(self.graph, image, evaluation.decisions, like, open_above=0.0) for image in range(len(images))
        ]
        found: dict[str, tuple[bool, ...]] = {}
        for value in self.graph.values:
            wanted = [need[value.name].wanted for need in needs]
            if isinstance(value, Gate):
                there = [x is not None for x in evaluation.streams[value.args[0]]]
            elif isinstance(value, Route):
                source = evaluation.streams[value.source]
                there = [
                    decision is not None and decision.is_open(value.index) and source[image] is not None
                    for image, decision in enumerate(evaluation.decisions[value.gate])
                ]
            else:
                there = [x is not None for x in evaluation.streams[value.name]]
            found[value.name] = tuple(a and b for a, b in zip(wanted, there, strict=True))
        return found

    def _stacked(self, stream: Sequence[Tensor | None], planned: Plan, value: Output, like: Tensor) -> Tensor:
        there = [x for x in stream if x is not None]
        if there:
            return torch.cat(there)
        extent = planned.extents[value.name]
        return like.new_zeros(0, extent.channels, extent.height, extent.width)

    def _load(self) -> None:
        with torch.no_grad():
            for path, module in self.modules.items():
                for name, tensor in module.state_dict(keep_vars=True).items():
                    tensor.copy_(self.state[f"{path}.{name}"])
