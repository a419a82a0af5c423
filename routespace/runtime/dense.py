"""The dense form: all candidate work is done for all images and selected by the gates.

A stream is a `Flow`: values of the whole batch and which images have one. Rows of images without a value hold
anything; whoever reads a flow selects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.activations import margin
from routespace.runtime.frame import Frame
from routespace.runtime.layers import counting
from routespace.runtime.leaves import Atoms, GateLeaf, RouteParts
from routespace.runtime.merges import Merger
from routespace.runtime.override import Override
from routespace.runtime.surrogate import Surrogate, attached
from routespace.runtime.tree import active_norms, run

tally = "all"
"""How executed work is told: everything runs for every image."""


class Flow(NamedTuple):
    """Values (N, C, H, W) and `present` (N,) bool, None where every image has one. `surrogates` are those of images
    that have none: a sum gives them the gradient that zeros would get."""

    value: Tensor
    present: Tensor | None
    surrogates: tuple[Surrogate, ...] = ()


class Decision(NamedTuple):
    """What a gate decided for a batch.

    `weights` (N, K) are 0 where shut or unreached; `open` (N, K); `active`, `reached` (N,): some route is open; the
    gate was consulted. `consulted` is False for a gate that was forced, and not asked. `logits` (N, K) as computed.
    `margin` gives the distance (N, K) of each decision from flipping. `counted` (N,): what is recorded and charged,
    None for all that reached it; others were asked inside a branch that runs for a gradient alone. `taught` (N,): whose
    shut routes teach the gate, None for nobody's.
    """

    weights: Tensor
    open: Tensor
    active: Tensor
    reached: Tensor
    consulted: bool
    logits: Tensor
    margin: Callable[[], Tensor]
    counted: Tensor | None = None
    taught: Tensor | None = None

    def opens(self, index: int) -> Tensor:
        """Images (N,) for which route `index` is open."""
        return self.open[:, index]


def distance(activation: nn.Module, logits: Tensor, weights: Tensor, below: float, free: bool) -> Tensor:
    """How far decisions are from flipping: by their own logit, or by the sum of weights that closes an image."""
    if not free:
        return torch.full_like(logits, torch.inf)
    own = margin(activation, logits)
    return torch.minimum(own, (weights.sum(1, keepdim=True) - below).abs()) if below > 0 else own


def select(mask: Tensor | None, value: Tensor, otherwise: Tensor | float) -> Tensor:
    """`value` where `mask` (N,) holds, else `otherwise`."""
    if mask is None:
        return value
    return torch.where(mask.view(-1, *[1] * (value.dim() - 1)), value, otherwise)


def holds(decision: Decision, index: int | None) -> Tensor:
    """Images (N,) for which an atom holds."""
    return decision.reached & ~decision.active if index is None else decision.opens(index)


def needed(atoms: Atoms | None, decisions: Sequence[Decision]) -> Tensor | None:
    """Images (N,) for which a value runs: some atom holds, or a shut route teaches its gate; None for all."""
    if atoms is None:
        return None
    found = either([holds(decisions[which], index) for which, index in atoms])
    taught = [decisions[which].taught for which, index in atoms if index is not None]
    for images in taught:
        if images is not None:
            found = images if found is None else found | images
    return found


def counted(atoms: Atoms | None, decisions: Sequence[Decision]) -> Tensor | None:
    """Images (N,) for which some atom holds of what is recorded, which `active` norms count; None for all."""
    if atoms is None:
        return None
    return either([both(holds(decisions[which], index), decisions[which].counted) for which, index in atoms])


def is_taught(decisions: Sequence[Decision]) -> bool:
    """Whether some images run for a gradient alone."""
    return any(decision.taught is not None or decision.counted is not None for decision in decisions)


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


class _Op(nn.Module):
    """An op over flows. Where statistics of the batch matter (training), it runs on the images that count only.

    `mixed`: some of its norms count all of these, others the active ones alone.
    """

    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, atoms: Atoms | None) -> None:
        super().__init__()
        self.op, self.targets, self.coupled, self.atoms = op, targets, coupled, atoms
        self.mixed = coupled == "all" and bool(active_norms(op))

    def compute(self, frame: Frame, x: Tensor, present: Tensor | None, decisions: Sequence[Decision]) -> Tensor:
        if not self.training or self.coupled is None:
            return run(self.op, x, frame.sizes, self.targets)
        uses = self.mixed or self.coupled == "active"
        active = both(present, counted(self.atoms, decisions)) if uses else None
        rows = present
        if self.coupled == "active":
            rows = both(present, needed(self.atoms, decisions)) if is_taught(decisions) else active
        picked = None if rows is None else rows.nonzero().squeeze(1)
        if rows is active and not self.mixed:
            active = None
        if picked is None or picked.shape[0] == x.shape[0]:
            return self.counting(frame, x, active)
        part = self.counting(frame, x[picked], None if active is None else active[picked])
        return part.new_zeros(x.shape[0], *part.shape[1:]).index_copy(0, picked, part)

    def counting(self, frame: Frame, x: Tensor, active: Tensor | None) -> Tensor:
        if active is None:
            return run(self.op, x, frame.sizes, self.targets)
        with counting(active):
            return run(self.op, x, frame.sizes, self.targets)


class Apply(_Op):
    def forward(self, frame: Frame, x: Flow, *decisions: Decision) -> Flow:
        return Flow(self.compute(frame, x.value, x.present, decisions), x.present)


class Gather(nn.Module):
    """An op of several flows: what is nothing is read as zeros, and where all are nothing so is the result."""

    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, widths: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.op, self.targets, self.coupled = op, targets, coupled

    def forward(self, frame: Frame, *flows: Flow) -> Flow:
        values = [select(flow.present, flow.value, 0.0) for flow in flows]
        present = either([flow.present for flow in flows])
        rows = present if self.training and self.coupled is not None else None
        return Flow(gathered(self.op, values, rows, frame, self.targets), present)


def gathered(op: nn.Module, values: Sequence[Tensor], rows: Tensor | None, frame: Frame, targets: bool) -> Tensor:
    """An op of several tensors on the `rows` (N,) that count; the other rows are zeros."""
    if rows is None:
        return run(op, values, frame.sizes, targets)
    picked = rows.nonzero().squeeze(1)
    part = run(op, [value.index_select(0, picked) for value in values], frame.sizes, targets)
    return part.new_zeros(rows.shape[0], *part.shape[1:]).index_copy(0, picked, part)


def either(masks: Sequence[Tensor | None]) -> Tensor | None:
    """Images that any of the masks holds for; None (all) if one mask is None."""
    found: Tensor | None = None
    for mask in masks:
        if mask is None:
            return None
        found = mask if found is None else found | mask
    return found


class Merge(nn.Module):
    """Streams that are nothing are neutral. `always` (in inference, in training): zeros where nothing arrives. `zeros`:
    what is nothing counts as zeros, and gets their gradient."""

    def __init__(
        self,
        merger: Merger,
        neutral: float,
        always: tuple[bool, bool],
        ordered: bool,
        widths: Sequence[tuple[str, int]],
        zeros: bool,
    ) -> None:
        super().__init__()
        self.merger, self.neutral, self.always = merger, neutral, always
        self.zeros, self.adds = zeros, zeros and not ordered

    def forward(self, frame: Frame, *flows: Flow) -> Flow:
        values = [select(flow.present, flow.value, self.neutral) for flow in flows]
        if self.zeros:
            values = [attached(value, flow.surrogates) for value, flow in zip(values, flows, strict=True)]
        merged = self.merger(values)
        present = either([flow.present for flow in flows])
        if self.neutral != 0.0:
            merged = select(present, merged, 0.0)
        if present is None or self.always[self.training]:
            return Flow(merged, None)
        passed = [one.among(~present) for flow in flows for one in flow.surrogates] if self.adds else []
        return Flow(merged, present, tuple(passed))


class Gate(GateLeaf):
    """Weights of the images that reach it."""

    def forward(self, frame: Frame, x: Flow, *decisions: Decision) -> Decision:
        asked = both(x.present, needed(self.atoms, decisions))
        recorded = both(x.present, counted(self.atoms, decisions)) if is_taught(decisions) else None
        override = frame.setting(self.control)
        if override is not None and not override.asks:
            weights, opened = override.decided(frame.batch, frame.deciding)
            return self.decide(weights, opened, asked, recorded, weights, override)
        picked = None
        if self.coupled and self.training and asked is not None:
            picked = asked.nonzero().squeeze(1)
        values = x.value if picked is None else x.value[picked]
        with counting(recorded if picked is None or recorded is None else recorded[picked]):
            logits = run(self.body, values, frame.sizes, self.targets).flatten(1)
        if picked is not None:
            logits = logits.new_zeros(frame.batch, logits.shape[1]).index_copy(0, picked, logits)
        weights, opened = self.activation(logits)
        return self.decide(weights, opened, asked, recorded, logits, override)

    def decide(
        self,
        weights: Tensor,
        opened: Tensor,
        asked: Tensor | None,
        recorded: Tensor | None,
        logits: Tensor,
        override: Override | None,
    ) -> Decision:
        consulted = override is None or override.asks
        reached = asked if asked is not None else opened.new_ones(opened.shape[0])
        opened = self.settled(weights, opened, override, recorded) & reached[:, None]
        taught = both(reached, recorded) if consulted and self.is_taught(weights) else None
        weights = torch.where(reached[:, None], self.shown(weights, opened), 0.0)
        far = partial(distance, self.activation, logits, weights, self.below, override is None)
        return Decision(weights, opened, opened.any(1), reached, consulted, logits, far, recorded, taught)


class Route(_Op):
    """α·op(source) where the route is open, what the closed rule passes on where the gate is closed.

    `zeros` (in inference, in training): whether a running node delivers zeros through a shut route.
    """

    def __init__(self, parts: RouteParts) -> None:
        super().__init__(parts.op, parts.targets, parts.coupled, ((0, parts.place),))
        self.index, self.passes, self.zeros = parts.place, parts.passes, parts.zeros

    def forward(self, frame: Frame, source: Flow, decision: Decision, *closed: Flow) -> Flow:
        here = both(source.present, decision.reached)
        made = self.compute(frame, source.value, here, (decision,))
        weight = decision.weights[:, self.index].view(-1, 1, 1, 1)
        opened = decision.open[:, self.index]
        value = select(both(opened, source.present), made, 0.0) * weight.to(made.dtype)
        present = opened if source.present is None else opened & source.present
        if self.zeros[self.training]:
            present = present | (decision.active & ~opened)
        if self.passes:
            shut = both(decision.reached & ~decision.active, closed[0].present)
            assert shut is not None
            value = select(shut, closed[0].value, value)
            present = present | shut
        if decision.taught is None:
            return Flow(value, present)
        where = both(decision.taught & ~opened, source.present)
        assert where is not None
        surrogate = Surrogate(weight, made.detach(), where.view(-1, 1, 1, 1))
        if self.zeros[self.training] or self.passes:
            return Flow(attached(value, [surrogate]), present, (surrogate.among(~present),))
        return Flow(value, present, (surrogate,))


class Sink(nn.Module):
    """An output: what is nothing is read as zeros."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()

    def forward(self, frame: Frame, x: Flow) -> Tensor:
        return attached(select(x.present, x.value, 0.0), x.surrogates)


class Source(nn.Module):
    """The input called `name`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, frame: Frame) -> Flow:
        return Flow(frame.inputs[self.name], None)


def presence(frame: Frame, stream: Flow) -> Tensor | None:
    """Images (N,) that have a value; None for all."""
    return stream.present
