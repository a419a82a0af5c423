"""Budgets: the loss that keeps the expected cost of a space near a share of its maximum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from routespace.compiler import graph_of
from routespace.graph.bounds import bounds
from routespace.graph.ir import Budget
from routespace.modules import factory
from routespace.runtime.result import Outcome
from routespace.space.registry import BUDGETS

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


def budget_loss(module: nn.Module, outcome: Outcome, progress: float, *, group: ProcessGroup | None = None) -> Tensor:
    """Loss of the budget that the space of a compiled `module` declares, a scalar.

    `progress` in [0, 1] is the share of training done: before the budget's start the loss is 0, over its ramp it
    grows to its weight. The expected cost, averaged over the batch, is compared with that of the whole space at the
    size of the images just run. A space without a budget, or an empty batch, costs 0. Where processes share a batch,
    `group` names them: the average is then over all of it, and once they average their gradients these are those of
    one process that has the whole batch; each of them has to call. (Li et al., CVPR 2020, the budget constraint;
    `ratio` is that of Song et al., NeurIPS 2020.) Raises `TypeError` for what is no outcome and `ValueError` for a
    progress that is no share.
    """
    graph = graph_of(module)
    if not isinstance(outcome, Outcome):
        raise TypeError(f"`outcome` is what the module returned, not a {type(outcome).__name__}")
    if not 0.0 <= progress <= 1.0:
        raise ValueError(f"`progress` is {progress}: it is the share of training done, from 0 to 1")
    budget = graph.policies.budget
    expected = outcome.routing.cost.expected
    if budget is None or progress < budget.start or (group is None and expected.shape[0] == 0):
        return expected.sum() * 0.0
    whole = bounds(graph, outcome.size, outcome.routing.cost.convention).most_expected
    share = expected.mean() / whole if group is None else _shared_mean(expected / whole, group)
    entry = BUDGETS[budget.kind]
    given = (share, budget.target) if entry.targeted else (share,)
    loss: Tensor = factory(entry.loss)(*given)
    return ramp(budget, progress) * budget.weight * loss


def _shared_mean(shares: Tensor, group: ProcessGroup) -> Tensor:
    """Their mean over all processes of `group`, with a gradient that is right once these average theirs."""
    whole = torch.stack([shares.detach().sum(), shares.new_tensor(shares.shape[0])])
    torch.distributed.all_reduce(whole, group=group)
    total, count = whole[0], whole[1].clamp_min(1)
    own = shares.sum() * (group.size() / count)
    return own + (total / count - own).detach()


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
