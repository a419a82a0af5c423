"""The export form: one graph without Python branches. Closed paths run on zero rows.

A stream is a `Flow`, as in the dense form; guarded work gathers the images that need it, runs on those rows and
scatters them back. Norms of the batch are the affine maps they are in inference.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from routespace.runtime import dense
from routespace.runtime.dense import Decision, Flow, both, needed, select
from routespace.runtime.fold import scale_and_shift
from routespace.runtime.frame import Frame
from routespace.runtime.layers import BatchNorm
from routespace.runtime.leaves import Atoms, GateParts, RouteParts
from routespace.runtime.tree import every, run

tally = "needed"
presence = dense.presence

Sink = dense.Sink
Merge = dense.Merge


class Source(dense.Source):
    """The input called `name`, in inference."""

    def forward(self, frame: Frame) -> Flow:
        if self.training:
            raise RuntimeError("the export form is for inference: call `eval()` on it, and train the dense form")
        return super().forward(frame)


class AffineNorm(BatchNorm):
    """Batch norm in inference, written as the affine map it is; one without statistics of its own is none."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training or self.running_mean is None:
            return super().forward(x)
        scale, shift = scale_and_shift(self)
        return x * scale.to(x.dtype).view(1, -1, 1, 1) + shift.to(x.dtype).view(1, -1, 1, 1)


def prepare(op: nn.Module) -> nn.Module:
    """`op` with its batch norms turned affine, in place; parameters and names stay."""
    for part in every(op):
        if isinstance(part, BatchNorm):
            part.__class__ = AffineNorm
    return op


def on_rows(op: nn.Module, x: Tensor, mask: Tensor | None, frame: Frame, targets: bool) -> Tensor:
    """`op` on the rows that `mask` holds for; the other rows are zeros."""
    if mask is None:
        return run(op, x, frame.sizes, targets)
    picked = mask.nonzero().squeeze(1)
    part = run(op, x.index_select(0, picked), frame.sizes, targets)
    return part.new_zeros(x.shape[0], *part.shape[1:]).index_copy(0, picked, part)


class Gather(nn.Module):
    """An op of several flows, for the images that have any of them."""

    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, widths: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.op, self.targets = prepare(op), targets

    def forward(self, frame: Frame, *flows: Flow) -> Flow:
        values = [select(flow.present, flow.value, 0.0) for flow in flows]
        present = dense.either([flow.present for flow in flows])
        return Flow(dense.gathered(self.op, values, present, frame, self.targets), present)


class Apply(nn.Module):
    def __init__(self, op: nn.Module, targets: bool, coupled: str | None, atoms: Atoms | None) -> None:
        super().__init__()
        self.op, self.targets, self.atoms = prepare(op), targets, atoms

    def forward(self, frame: Frame, x: Flow, *decisions: Decision) -> Flow:
        mask = both(x.present, needed(self.atoms, decisions))
        return Flow(on_rows(self.op, x.value, mask, frame, self.targets), x.present)


class Gate(dense.Gate):
    def __init__(self, parts: GateParts) -> None:
        super().__init__(parts._replace(body=prepare(parts.body)))

    def forward(self, frame: Frame, x: Flow, *decisions: Decision) -> Decision:
        wanted = both(x.present, needed(self.atoms, decisions))
        override = frame.setting(self.control)
        if override is not None and not override.asks:
            weights, opened = override.decided(frame.batch, frame.deciding)
            return self.decide(weights, opened, wanted, None, weights, override)
        logits = on_rows(self.body, x.value, wanted, frame, self.targets).flatten(1)
        weights, opened = self.activation(logits)
        return self.decide(weights, opened, wanted, None, logits, override)


class Route(nn.Module):
    def __init__(self, parts: RouteParts) -> None:
        super().__init__()
        self.op, self.targets, self.index = prepare(parts.op), parts.targets, parts.place
        self.passes, self.zeros = parts.passes, parts.zeros[0]

    def forward(self, frame: Frame, source: Flow, decision: Decision, *closed: Flow) -> Flow:
        opened = decision.open[:, self.index]
        mask = opened if source.present is None else opened & source.present
        made = on_rows(self.op, source.value, mask, frame, self.targets)
        value = made * decision.weights[:, self.index].to(made.dtype).view(-1, 1, 1, 1)
        present = mask | (decision.active & ~opened) if self.zeros else mask
        if self.passes:
            shut = both(decision.reached & ~decision.active, closed[0].present)
            assert shut is not None
            value = select(shut, closed[0].value, value)
            present = present | shut
        return Flow(value, present)
