"""Values of every stream for every image, computed one after the other as the semantics says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from routespace.graph.ir import (
    Apply,
    Beside,
    Chain,
    Gate,
    Input,
    Leaf,
    Merge,
    Op,
    Output,
    Route,
    RouteGraph,
    Value,
    Zero,
)
from routespace.runtime.layers import BatchNorm
from routespace.space.registry import OPS
from routespace.testing.oracle.decide import Decision, decide, decide_forced
from routespace.testing.oracle.factories import made
from routespace.testing.oracle.sizes import Plan, leaf_paths, op_of

Stream: TypeAlias = list["Tensor | None"]
"""Per image a tensor (1, C, H, W) or nothing."""

Forced: TypeAlias = Mapping[str, Mapping[str, "float | Tensor"]]


def leaf_module(leaf: Leaf) -> nn.Module:
    """A fresh module of a leaf, from the factory its entry names."""
    module: nn.Module = made(OPS[leaf.entry].factory)(leaf.channels, **dict(leaf.args))
    return module


def graph_modules(graph: RouteGraph) -> dict[str, nn.Module]:
    """Leaf modules of `graph` by the name they have in the state dict, with nothing to go by in their weights yet."""
    modules: dict[str, nn.Module] = {}
    for value in graph.values:
        found = op_of(value)
        if found is not None:
            modules.update((path, _unfilled(leaf)) for path, leaf in leaf_paths(*found))
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
    which gates are consulted. Each leaf is called on one image at a time, except those that count statistics over the
    batch in training.
    """

    def __init__(
        self,
        graph: RouteGraph,
        modules: Mapping[str, nn.Module],
        plan: Plan,
        images: Tensor,
        training: bool,
        forced: Forced,
        active: Mapping[str, Sequence[bool]] | None = None,
    ) -> None:
        self.graph, self.modules, self.plan, self.images = graph, modules, plan, images
        self.training, self.forced, self.active = training, forced, active
        self.count = len(images)
        self.live = graph.policies.live_training if training else graph.policies.live_inference
        self.streams: dict[str, Stream] = {}
        self.blank: dict[str, list[bool]] = {}
        self.decisions: dict[str, list[Decision | None]] = {}
        self.counted: list[bool] = []
        for value in graph.values:
            self.counted = [True] * self.count if active is None else list(active[value.name])
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
                if decision.closed:
                    return value.closed is not None and self.blank[value.closed][image]
                return not decision.is_open(value.index)
        return isinstance(value, Zero)

    def _stream(self, value: Input | Apply | Merge | Route | Zero | Output) -> Stream:
        match value:
            case Input():
                return [self.images[i : i + 1] for i in range(self.count)]
            case Zero():
                return [self._zeros(value.name) for _ in range(self.count)]
            case Apply():
                return self._apply(value)
            case Merge():
                return [self._merge(value, [self.streams[arg][i] for arg in value.args]) for i in range(self.count)]
            case Route():
                return self._route(value)
            case Output():
                read = self.streams[value.args[0]]
                return [self._zeros(value.name) if x is None else x for x in read]

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

    def _merge(self, value: Merge, arriving: Sequence[Tensor | None]) -> Tensor | None:
        there = [x for x in arriving if x is not None]
        if not there:
            return self._zeros(value.name) if self.live == "always" and value.arrives else None
        if value.kind == "concat":
            filled = [self._zeros(arg) if x is None else x for arg, x in zip(value.args, arriving, strict=True)]
            return torch.cat(filled, 1)
        return _combined(value.kind, there)

    def _gate(self, gate: Gate) -> list[Decision | None]:
        entering = self.streams[gate.args[0]]
        entering = [x if self.counted[i] else None for i, x in enumerate(entering)]
        forced = self.forced.get(gate.node)
        if forced is not None:
            given = [_column(forced.get(route, 0.0), self.count, self.images) for route in gate.routes]
            columns = torch.stack(given, 1)
            return [None if x is None else decide_forced(gate, columns[i]) for i, x in enumerate(entering)]
        logits = self._op(gate.body, f"{gate.name}.body", entering)
        return [None if x is None else decide(gate, x.flatten(), self.training) for x in logits]

    def _route(self, route: Route) -> Stream:
        source = self.streams[route.source]
        decisions = self.decisions[route.gate]
        opened = [decision is not None and decision.is_open(route.index) for decision in decisions]
        reached = self.training and _counts_all(route.op)
        entering = [x if opened[i] or (reached and decisions[i] is not None) else None for i, x in enumerate(source)]
        moved = self._op(route.op, f"{route.name}.op", entering)
        result: Stream = [None] * self.count
        for i, decision in enumerate(decisions):
            x = moved[i]
            if decision is None:
                continue
            if opened[i]:
                result[i] = None if x is None else decision.weights[route.index] * x
            elif decision.closed:
                result[i] = None if route.closed is None else self.streams[route.closed][i]
            elif route.sends and self.live in ("by_node", "always"):
                result[i] = self._zeros(route.name)
        return result

    def _op(self, op: Op, path: str, entering: Stream) -> Stream:
        if isinstance(op, Chain):
            for place, part in enumerate(op.parts):
                entering = self._op(part, f"{path}.{place}", entering)
            return entering
        if isinstance(op, Beside):
            parts = [self._op(part, f"{path}.{place}", entering) for place, part in enumerate(op.parts)]
            result: Stream = []
            for row in zip(*parts, strict=True):
                there = [x for x in row if x is not None]
                result.append(None if not there else _combined(op.merge, there))
            return result
        return self._leaf(op, path, entering)

    def _leaf(self, leaf: Leaf, path: str, entering: Stream) -> Stream:
        module = self.modules[path]
        there = [i for i, x in enumerate(entering) if x is not None]
        result: Stream = [None] * self.count
        tensors = [x for x in entering if x is not None]
        if not tensors:
            return result
        if self.training and isinstance(module, BatchNorm):
            counted = [x for i, x in zip(there, tensors, strict=True) if self.counted[i] or module.stats == "all"]
            leaving = _normalised(module, tensors, counted)
        elif self.training and OPS[leaf.entry].statistics == "batch":
            leaving = list(module(torch.cat(tensors)).split(1))
        elif OPS[leaf.entry].targets:
            leaving = [module(x, self.plan.sizes) for x in tensors]
        else:
            leaving = [module(x) for x in tensors]
        for i, x in zip(there, leaving, strict=True):
            result[i] = x
        return result


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


def _normalised(module: BatchNorm, tensors: Sequence[Tensor], counted: Sequence[Tensor]) -> list[Tensor]:
    """Batch normalisation by the statistics of `counted`, which move the running ones; by those where too few count."""
    assert module.running_mean is not None and module.running_var is not None
    mean, variance = module.running_mean.clone(), module.running_var.clone()
    values = torch.cat([x[0].flatten(1) for x in counted], 1) if counted else mean[:, None]
    number = values.shape[1]
    if number >= 2:
        mean = values.mean(1)
        variance = ((values - mean[:, None]) ** 2).mean(1)
        momentum = module.momentum or 0.0
        with torch.no_grad():
            module.running_mean.mul_(1 - momentum).add_(momentum * mean)
            module.running_var.mul_(1 - momentum).add_(momentum * variance * number / (number - 1))
            if module.num_batches_tracked is not None:
                module.num_batches_tracked.add_(1)
    scale = module.weight / torch.sqrt(variance + module.eps)
    return [(x - mean[:, None, None]) * scale[:, None, None] + module.bias[:, None, None] for x in tensors]


def _column(value: float | Tensor, count: int, like: Tensor) -> Tensor:
    """A forced weight per image."""
    given = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return given.expand(count) if given.dim() == 0 else given
