"""Budgets: the loss that keeps the expected cost of a space near a share of its maximum."""

from __future__ import annotations

from torch import Tensor, nn

from routespace.compiler import graph_of
from routespace.graph.bounds import bounds
from routespace.graph.ir import Budget
from routespace.modules import factory
from routespace.runtime.result import Outcome
from routespace.space.registry import BUDGETS


def budget_loss(module: nn.Module, outcome: Outcome, progress: float) -> Tensor:
    """Loss of the budget that the space of a compiled `module` declares, a scalar.

    `progress` in [0, 1] is the share of training done: before the budget's start the loss is 0, over its ramp it
    grows to its weight. The expected cost, averaged over the batch, is compared with that of the whole space at the
    size of the images just run. A space without a budget, or an empty batch, costs 0. (Li et al., CVPR 2020, the
    budget constraint; `ratio` is that of Song et al., NeurIPS 2020.) Raises `TypeError` for what is no outcome and
    `ValueError` for a progress that is no share.
    """
    graph = graph_of(module)
    if not isinstance(outcome, Outcome):
        raise TypeError(f"`outcome` is what the module returned, not a {type(outcome).__name__}")
    if not 0.0 <= progress <= 1.0:
        raise ValueError(f"`progress` is {progress}: it is the share of training done, from 0 to 1")
    budget = graph.policies.budget
    expected = outcome.routing.cost.expected
    if budget is None or expected.shape[0] == 0 or progress < budget.start:
        return expected.sum() * 0.0
    whole = bounds(graph, outcome.size, outcome.routing.cost.convention).most_expected
    share = expected.mean() / whole
    entry = BUDGETS[budget.kind]
    given = (share, budget.target) if entry.targeted else (share,)
    loss: Tensor = factory(entry.loss)(*given)
    return ramp(budget, progress) * budget.weight * loss


def ramp(budget: Budget, progress: float) -> float:
    """Share of its weight that a budget has at `progress`."""
    if progress < budget.start:
        return 0.0
    return 1.0 if budget.ramp == 0 else min(1.0, (progress - budget.start) / budget.ramp)


def square(ratio: Tensor, target: float) -> Tensor:
    """(ratio - target)²"""
    return (ratio - target) ** 2


def hinge(ratio: Tensor, target: float) -> Tensor:
    """max(0, ratio - target)"""
    return (ratio - target).clamp_min(0.0)


def ratio(ratio: Tensor) -> Tensor:
    """The ratio itself."""
    return ratio
