"""Which values share their weights: `share across(axes)`."""

from __future__ import annotations

from collections.abc import Sequence

from routespace.diagnostics import Span
from routespace.graph.draft import Draft
from routespace.graph.ir import Leaf, Op
from routespace.graph.params import leaves
from routespace.graph.places import Place
from routespace.space.fault import Fault
from routespace.space.registry import OPS
from routespace.space.scope import Scope


class Sharing:
    """Names for the weights that values at indices of the shared axes have in common."""

    def __init__(self, scope: Scope, places: Sequence[Place]) -> None:
        axes = {axis for share in scope.shares for axis in share.axes}
        self.common: dict[str, str] = {}
        for place in places:
            declared = place.declaration
            if axes.isdisjoint(declared.axes):
                continue
            labels = zip(declared.axes, place.index, strict=True)
            kept = [scope.axis(axis, declared.span).label(index) for axis, index in labels if axis not in axes]
            self.common[place.name] = ".".join(["shared", *([declared.name] if declared.name else []), *kept])
        self.outputs = {f"outputs.{one.name}": one.index for one in scope.outputs if not axes.isdisjoint(one.index)}
        self.axes = axes
        self.first: dict[str, tuple[list[Leaf], Span | None]] = {}

    def weights(self, draft: Draft, op: Op) -> str:
        """What the weights of a value are kept under, "" where they are its own; `Fault` RS407 where they differ."""
        name = self._name(draft)
        if not name:
            return ""
        learned = [leaf for leaf in leaves(op) if _has_weights(leaf)]
        if not learned:
            return ""
        known, span = self.first.setdefault(name, (learned, draft.span))
        if known != learned:
            different = next((two for one, two in zip(known, learned, strict=False) if one != two), learned[-1])
            raise Fault(
                "RS407",
                f"weights shared as `{name}` have different shapes at different indices",
                different.span or draft.span,
                others=[(span, "first made here")] if span != draft.span else (),
                help="leave the axis that they differ on out of `share across(…)`",
            )
        return name

    def _name(self, draft: Draft) -> str:
        """What a value is called without the indices of the shared axes, "" where it stands on none."""
        if not self.axes:
            return ""
        within = draft.name[len(draft.node) + 1 :]
        if draft.node in self.common:
            return f"{self.common[draft.node]}.{within}"
        index = self.outputs.get(draft.node)
        if index is None:
            return ""
        labels = within.split(".")
        kept = [label for axis, label in zip(index, labels, strict=False) if axis not in self.axes]
        return ".".join(["shared", draft.node, *kept, *labels[len(index) :]])


def _has_weights(leaf: Leaf) -> bool:
    rule = OPS[leaf.entry].params
    return rule is None or rule(dict(leaf.args), leaf.channels) > 0
