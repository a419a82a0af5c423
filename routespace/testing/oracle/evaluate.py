"""Values of every stream for every image, computed one after the other as the semantics says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from routespace.graph.ir import (
    Apply,
    Gate,
    Input,
    Leaf,
    Merge,
    Op,
    Output,
    Parallel,
    Route,
    RouteGraph,
    Sequential,
    Value,
    Zero,
)
from routespace.runtime.layers import BatchNorm, GroupNorm
from routespace.space.registry import OPS
from routespace.testing.oracle import factories
from routespace.testing.oracle.decide import Decision, decide, decide_forced
from routespace.testing.oracle.footprints import statistics
from routespace.testing.oracle.inside import Inside, batch_normalised, group_normalised, inside
from routespace.testing.oracle.maps import MapDecision, decide_forced_maps, decide_maps
from routespace.testing.oracle.need import is_taught
from routespace.testing.oracle.sizes import Plan, is_run, leaf_has_weights, leaf_paths, op_of, state_paths

Stream: TypeAlias = list["Tensor | None"]
"""Per image a tensor (1, C, H, W) or nothing."""

Forced: TypeAlias = Mapping[str, Mapping[str, "float | Tensor"]]

Said: TypeAlias = "Decision | MapDecision"
"""What a gate says about one image."""


def leaf_module(leaf: Leaf) -> nn.Module:
    """A fresh module of a leaf, from the factory its entry names."""
    module: nn.Module = factories.made(OPS[leaf.entry].factory)(leaf.channels, **dict(leaf.args))
    return module


def graph_modules(graph: RouteGraph) -> dict[str, nn.Module]:
    """Leaf modules of `graph` by path, with nothing to go by in their weights yet; those that share weights are one."""
    modules: dict[str, nn.Module] = {}
    common = state_paths(graph)
    kept: dict[str, nn.Module] = {}
    for value in graph.values:
        found = op_of(value) if is_run(graph, value) else None
        for path, leaf in leaf_paths(*found) if found is not None else ():
            if leaf_has_weights(leaf):
                modules[path] = kept.setdefault(common[path], _unfilled(leaf))
            else:
                modules[path] = _unfilled(leaf)
    return modules


def _unfilled(leaf: Leaf) -> nn.Module:
    """A module of a leaf; one registered from outside may hold more than its state dict, and is made whole."""
    if callable(OPS[leaf.entry].factory):
        return leaf_module(leaf)
    with torch.device("meta"):
        return leaf_module(leaf).to_empty(device="cpu")


class Evaluation:
    """One run of a graph: streams and decisions by name.

    `active` says for which images a value is needed; it matters to batch statistics only: those of `active` norms, and
    which gates are consulted. `asked` says for which images a gate is asked, be it for the gradient of another one.
    `slopes` are zeros that stand beside streams which are nothing: what their gradient reaches in a sum. Each leaf is
    called on one image at a time, except those that count statistics over the batch in training.
    """

    def __init__(
        self,
        graph: RouteGraph,
        modules: Mapping[str, nn.Module],
        plan: Plan,
        inputs: Mapping[str, Tensor],
        training: bool,
        forced: Forced,
        active: Mapping[str, Sequence[bool]] | None = None,
        asked: Mapping[str, Sequence[bool]] | None = None,
    ) -> None:
        self.graph, self.modules, self.plan, self.inputs = graph, modules, plan, inputs
        self.images = next(iter(inputs.values()))
        self.training, self.forced, self.active, self.asked = training, forced, active, asked
        self.count = len(self.images)
        self.live = graph.policies.live_training if training else graph.policies.live_inference
        self.streams: dict[str, Stream] = {}
        self.slopes: dict[str, Stream] = {}
        self.blank: dict[str, list[bool]] = {}
        self.decisions: dict[str, list[Said | None]] = {}
        self.counted: list[bool] = []
        for value in graph.values:
            self.counted = [True] * self.count if active is None else list(active[value.name])
            self.slopes[value.name] = [None] * self.count
            if isinstance(value, Gate):
                self.decisions[value.name] = self._gate(value)
                self.streams[value.name] = [None] * self.count
            else:
                self.streams[value.name] = self._stream(value)
            self.blank[value.name] = [self._is_blank(value, image) for image in range(self.count)]

    def _is_blank(self, value: Value, image: int) -> bool:
        """Whether a stream is made of nothing but zeros that stand for shut routes, or for what never arrived."""
        if self.streams[value.name][image] is None:
            return False
        match value:
            case Merge():
                return all(self.blank[arg][image] for arg in value.args if self.streams[arg][image] is not None)
            case Route():
                decision = self.decisions[value.gate][image]
                assert decision is not None
                if isinstance(decision, Decision) and decision.closed:
                    return value.closed is not None and self.blank[value.closed][image]
                return not decision.is_open(value.index)
        return isinstance(value, Zero)

    def _stream(self, value: Input | Apply | Merge | Route | Zero | Output) -> Stream:
        match value:
            case Input():
                return [self.inputs[value.name][i : i + 1] for i in range(self.count)]
            case Zero():
                return [self._zeros(value.name) for _ in range(self.count)]
            case Apply():
                return self._apply(value)
            case Merge():
                return [self._merge(value, i) for i in range(self.count)]
            case Route():
                return self._route(value)
            case Output():
                read, slopes = self.streams[value.args[0]], self.slopes[value.args[0]]
                zeros = self._zeros(value.name)
                return [_sloping(zeros, slope) if x is None else x for x, slope in zip(read, slopes, strict=True)]

    def _zeros(self, name: str) -> Tensor:
        extent = self.plan.extents[name]
        return self.images.new_zeros(1, extent.channels, extent.height, extent.width)

    def _apply(self, value: Apply) -> Stream:
        if len(value.args) == 1 and not _is_variadic(value.op):
            return self._op(value.op, f"{value.name}.op", self.streams[value.args[0]])
        rows = [[self.streams[arg][i] for arg in value.args] for i in range(self.count)]
        there = [i for i, row in enumerate(rows) if any(x is not None for x in row)]
        filled = [
            [self._zeros(arg) if x is None else x for arg, x in zip(value.args, rows[i], strict=True)] for i in there
        ]
        module = self.modules[f"{value.name}.op"]
        result: Stream = [None] * self.count
        if self.training and there:
            together = module([torch.cat(column) for column in zip(*filled, strict=True)], self.plan.sizes)
            for place, i in enumerate(there):
                result[i] = together[place : place + 1]
            return result
        for i, row in zip(there, filled, strict=True):
            result[i] = module(row, self.plan.sizes)
        return result

    def _merge(self, value: Merge, image: int) -> Tensor | None:
        arriving = [self.streams[arg][image] for arg in value.args]
        there = [x for x in arriving if x is not None]
        slopes = [self.slopes[arg][image] for arg in value.args]
        beside = _total(slopes) if value.kind == "sum" else None
        if not there:
            if self.live == "always" and value.arrives:
                return _sloping(self._zeros(value.name), beside)
            self.slopes[value.name][image] = beside
            return None
        if value.kind == "concat":
            zeros = [self._zeros(arg) for arg in value.args]
            filled = [
                _sloping(zero, slope) if x is None else x
                for x, zero, slope in zip(arriving, zeros, slopes, strict=True)
            ]
            return torch.cat(filled, 1)
        return _sloping(_combined(value.kind, there), beside)

    def _gate(self, gate: Gate) -> list[Said | None]:
        entering = self.streams[gate.args[0]]
        if self.asked is not None:
            entering = [x if self.asked[gate.name][i] else None for i, x in enumerate(entering)]
        forced = self.forced.get(gate.node)
        if gate.granularity == "position":
            return self._maps(gate, entering, forced)
        if forced is not None:
            given = [_column(forced.get(route, 0.0), self.count, self.images) for route in gate.routes]
            columns = torch.stack(given, 1)
            return [None if x is None else decide_forced(gate, columns[i]) for i, x in enumerate(entering)]
        logits = self._op(gate.body, f"{gate.name}.body", entering)
        return [None if x is None else decide(gate, x.flatten(), self.training) for x in logits]

    def _maps(self, gate: Gate, entering: Stream, forced: Mapping[str, float | Tensor] | None) -> list[Said | None]:
        if forced is not None:
            extent = self.plan.extents[gate.name]
            size = (self.count, extent.height, extent.width)
            maps = torch.stack([_map(forced.get(route, 0.0), size, self.images) for route in gate.routes], 1)
            return [None if x is None else decide_forced_maps(maps[i]) for i, x in enumerate(entering)]
        logits = self._op(gate.body, f"{gate.name}.body", entering)
        return [None if x is None else decide_maps(gate, x[0], self.training) for x in logits]

    def _route_of_maps(self, route: Route) -> Stream:
        """α·op(source) at the open positions of every image that has a source and a decision; zeros where there is
        none."""
        decisions = self.decisions[route.gate]
        source = self.streams[route.source]
        said = [one if isinstance(one, MapDecision) else None for one in decisions]
        there = [one is not None and x is not None for one, x in zip(said, source, strict=True)]
        weights = [one.weights[route.index] if one and here else None for one, here in zip(said, there, strict=True)]
        masks = [one.masks[route.index] if one and here else None for one, here in zip(said, there, strict=True)]
        steps = {step.path: step for step in self.plan.steps[route.name]}
        path = f"{route.name}.op"
        taught = [one is not None and self._is_taught(route, one, i) for i, one in enumerate(said)]
        entry = self.plan.extents[route.source]
        within = inside(route.op, path, steps, entry, weights, masks, self.training, taught)
        moved = self._op(route.op, path, [within.entering(i, x) for i, x in enumerate(source)], within)
        result: Stream = []
        for i, (one, weight, mask, made) in enumerate(zip(said, weights, masks, moved, strict=True)):
            if one is None or (mask is None and one.is_open(route.index)):
                result.append(None)
            elif mask is None or weight is None or made is None:
                result.append(self._zeros(route.name))
            else:
                shut = _slope(weight, made) if taught[i] else torch.zeros_like(made)
                result.append(torch.where(mask, weight * made, shut))
        return result

    def _is_taught(self, route: Route, decision: Said, image: int) -> bool:
        """Whether what a route of this image would have delivered, were it open, teaches its gate."""
        recorded = self.active is None or self.active[route.gate][image]
        return recorded and is_taught(self.graph, route, decision, self.training)

    def _route(self, route: Route) -> Stream:
        if not is_run(self.graph, route):
            return [None] * self.count
        gate = self.graph.by_name[route.gate]
        if isinstance(gate, Gate) and gate.granularity == "position":
            return self._route_of_maps(route)
        source = self.streams[route.source]
        decisions = [one if isinstance(one, Decision) else None for one in self.decisions[route.gate]]
        opened = [decision is not None and decision.is_open(route.index) for decision in decisions]
        taught = [one is not None and self._is_taught(route, one, i) for i, one in enumerate(decisions)]
        reached = self.training and _counts_all(route.op)
        entering = [
            x if opened[i] or taught[i] or (reached and decisions[i] is not None) else None
            for i, x in enumerate(source)
        ]
        moved = self._op(route.op, f"{route.name}.op", entering)
        result: Stream = [None] * self.count
        for i, decision in enumerate(decisions):
            x = moved[i]
            if decision is None:
                continue
            if opened[i]:
                result[i] = None if x is None else decision.weights[route.index] * x
                continue
            if decision.closed:
                result[i] = None if route.closed is None else self.streams[route.closed][i]
            elif route.sends and self.live in ("by_node", "always"):
                result[i] = self._zeros(route.name)
            if taught[i] and x is not None:
                self._teach(route, i, _slope(decision.weights[route.index], x), result)
        return result

    def _teach(self, route: Route, image: int, slope: Tensor, result: Stream) -> None:
        """Put a slope on what a shut route delivers, or beside nothing."""
        delivered = result[image]
        if delivered is None:
            self.slopes[route.name][image] = slope
        else:
            result[image] = delivered + slope

    def _op(self, op: Op, path: str, entering: Stream, within: Inside | None = None) -> Stream:
        if isinstance(op, Sequential):
            for place, part in enumerate(op.parts):
                entering = self._op(part, f"{path}.{place}", entering, within)
            return entering
        if isinstance(op, Parallel):
            parts = [self._op(part, f"{path}.{place}", entering, within) for place, part in enumerate(op.parts)]
            result: Stream = []
            for row in zip(*parts, strict=True):
                there = [x for x in row if x is not None]
                result.append(None if not there else _combined(op.merge, there))
            return result
        return self._leaf(op, path, entering, within)

    def _leaf(self, leaf: Leaf, path: str, entering: Stream, within: Inside | None) -> Stream:
        module = self.modules[path]
        there = {i: x for i, x in enumerate(entering) if x is not None}
        result: Stream = [None] * self.count
        if not there:
            return result
        tensors = list(there.values())
        if self.training and isinstance(module, BatchNorm):
            leaving = batch_normalised(module, tensors, self._values(module, path, there, within))
        elif self.training and OPS[leaf.entry].statistics == "batch":
            leaving = list(module(torch.cat(tensors)).split(1))
        elif within is not None and isinstance(module, GroupNorm) and statistics(leaf, self.training) == "active":
            leaving = [
                group_normalised(module, x, within.counted(i, path), within.mask(i, path)) for i, x in there.items()
            ]
        elif OPS[leaf.entry].targets:
            leaving = [module(x, self.plan.sizes) for x in tensors]
        else:
            leaving = [module(x) for x in tensors]
        for i, x in zip(there, leaving, strict=True):
            result[i] = x if within is None else within.leaving(i, path, x)
        return result

    def _values(self, module: BatchNorm, path: str, there: Mapping[int, Tensor], within: Inside | None) -> list[Tensor]:
        """What a batch norm counts in training, (C, n) of each image: all there is, or what is active."""
        if module.stats == "all":
            return [x[0].flatten(1) for x in there.values()]
        if within is None:
            return [x[0].flatten(1) for i, x in there.items() if self.counted[i]]
        return [x[0][:, within.counts[i][path]] for i, x in there.items()]


def _slope(weight: Tensor, made: Tensor) -> Tensor:
    """Zeros whose gradient is that of `weight` times what a shut branch `made`; nothing flows into the branch."""
    made = made.detach()
    return torch.where(made.isfinite(), (weight - weight.detach()) * made, 0.0)


def _sloping(x: Tensor, slope: Tensor | None) -> Tensor:
    return x if slope is None else x + slope


def _total(slopes: Sequence[Tensor | None]) -> Tensor | None:
    there = [slope for slope in slopes if slope is not None]
    return _combined("sum", there) if there else None


def _is_variadic(op: Op) -> bool:
    return isinstance(op, Leaf) and OPS[op.entry].variadic


def _counts_all(op: Op) -> bool:
    """Whether some norm of `op` counts every image that reaches it."""
    if isinstance(op, Leaf):
        return OPS[op.entry].statistics == "batch" and dict(op.args).get("stats", "all") == "all"
    return any(_counts_all(part) for part in op.parts)


def _combined(kind: str, streams: Sequence[Tensor]) -> Tensor:
    if kind == "concat":
        return torch.cat(list(streams), 1)
    total = streams[0]
    for x in streams[1:]:
        total = total + x if kind == "sum" else torch.maximum(total, x)
    return total


def _column(value: float | Tensor, count: int, like: Tensor) -> Tensor:
    """A forced weight per image."""
    given = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return given.expand(count) if given.dim() == 0 else given


def _map(value: float | Tensor, size: tuple[int, int, int], like: Tensor) -> Tensor:
    """Forced weights (N, H, W): of a number, a number per image, or maps."""
    given = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return (given[:, None, None] if given.dim() == 1 else given).expand(size)
