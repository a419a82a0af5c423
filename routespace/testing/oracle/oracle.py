"""`Oracle`: evaluates a graph for a batch of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from routespace.graph.ir import Gate, Input, Output, Route, RouteGraph
from routespace.runtime.layers import BatchNorm
from routespace.testing.oracle.evaluate import Evaluation, Forced, graph_modules
from routespace.testing.oracle.need import Need, needs_of
from routespace.testing.oracle.price import gated
from routespace.testing.oracle.result import OracleResult
from routespace.testing.oracle.sizes import Plan, Sizes, plan, state_paths

Images: TypeAlias = dict[str, tuple[bool, ...]]
"""Per value, for which images something holds."""


def inputs_of(graph: RouteGraph, images: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the name of the input that they are for; a pyramid is given by level."""
    names = [value.name for value in graph.values if isinstance(value, Input)]
    if isinstance(images, Tensor):
        return {names[0]: images}
    return {name: images[name.partition(".")[2]] for name in names}


class Oracle:
    """Evaluates `graph` with the weights of `state_dict` (every name of the graph and no other) in `dtype`.

    `modules` holds the leaf modules by path, `owners` by the path of their weights in the state dict. In training,
    batch statistics move the running ones of the oracle's own copies; each `run` starts from those of `state_dict`.
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
        kept = state_paths(graph)
        self.owners = {kept[path]: module for path, module in self.modules.items()}
        names = {f"{path}.{name}" for path, module in self.owners.items() for name in module.state_dict()}
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
            for path, module in self.owners.items()
            for name, parameter in module.named_parameters()
        }

    def run(self, images: Tensor | Mapping[str, Tensor], forced: Forced | None = None) -> OracleResult:
        """Evaluate a batch (N, C, H, W), or a pyramid of them by level. `forced` gives weights by node and route: a
        number, one per image (N,), or maps (N, H, W).

        Routes that a forced node leaves out are closed.
        """
        inputs = {name: one.to(self.dtype) for name, one in inputs_of(self.graph, images).items()}
        given = next(iter(inputs.values()))
        size: Sizes = (given.shape[2], given.shape[3])
        if not isinstance(images, Tensor):
            size = tuple((name, (one.shape[2], one.shape[3])) for name, one in inputs.items())
        planned = plan(self.graph, size)
        evaluation = self._evaluate(planned, inputs, forced or {})
        computed = self._computed(evaluation, given)
        outputs = {
            value.key: self._stacked(evaluation.streams[value.name], planned, value, given)
            for value in self.graph.values
            if isinstance(value, Output)
        }
        state = {
            f"{path}.{name}": tensor.detach().clone()
            for path, module in self.owners.items()
            for name, tensor in module.state_dict().items()
        }
        return OracleResult(
            self.graph,
            size,
            self.mode == "training",
            outputs,
            evaluation.streams,
            evaluation.blank,
            evaluation.decisions,
            computed,
            state,
            given[:, 0, 0, 0],
        )

    def _evaluate(self, planned: Plan, inputs: Mapping[str, Tensor], forced: Forced) -> Evaluation:
        """One pass, and in training further ones until the images that `active` statistics count, and for which gates
        are asked, no longer change."""
        training = self.mode == "training"
        known: tuple[Images, Images] | None = None
        for _ in range(2 * len(self.graph.gates) + 2):
            self._load()
            evaluation = Evaluation(self.graph, self.modules, planned, inputs, training, forced, *(known or ()))
            if not training or self._counts_everyone():
                return evaluation
            found = (self._computed(evaluation, evaluation.images), self._asked(evaluation, evaluation.images))
            if found == known:
                return evaluation
            known = found
        raise RuntimeError("statistics of this graph depend on the decisions that they make")

    def _counts_everyone(self) -> bool:
        """Whether no statistic depends on which images need a value: no `active` norm, no gate behind another."""
        behind = gated(self.graph)
        return not any(gate.name in behind for gate in self.graph.gates) and not any(
            isinstance(module, BatchNorm) and module.stats == "active" for module in self.modules.values()
        )

    def _needs(self, evaluation: Evaluation, images: Tensor) -> list[dict[str, Need]]:
        like, training = images.new_zeros(()), self.mode == "training"
        return [
            needs_of(self.graph, image, evaluation.decisions, like, open_above=0.0, training=training)
            for image in range(len(images))
        ]

    def _asked(self, evaluation: Evaluation, images: Tensor) -> Images:
        """The images that every gate is asked about."""
        needs = self._needs(evaluation, images)
        return {gate.name: tuple(need[gate.name].asked for need in needs) for gate in self.graph.gates}

    def _computed(self, evaluation: Evaluation, images: Tensor) -> Images:
        needs = self._needs(evaluation, images)
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
            for path, module in self.owners.items():
                for name, tensor in module.state_dict(keep_vars=True).items():
                    tensor.copy_(self.state[f"{path}.{name}"])
