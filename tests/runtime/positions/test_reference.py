"""The dense evaluation: what it means, and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from routespace.runtime.layers import BatchNorm, GroupNorm
from routespace.runtime.positions import reference_where
from tests.runtime.positions.parts import blobs, bottleneck, chain, maps, stirred


def test_active_statistics_are_those_of_the_positions_taken_out() -> None:
    norm = stirred(GroupNorm(2, 6, 1e-5, "active"))
    x, mask = maps(2, 6, (8, 9)), blobs(2, (8, 9), 0.3)
    found = reference_where(norm, x, mask, {})
    for image in range(2):
        taken = x[image][:, mask[image, 0]]
        wanted = nn.functional.group_norm(taken[None], 2, norm.weight, norm.bias, 1e-5)[0]
        assert torch.allclose(found[image][:, mask[image, 0]], wanted, atol=1e-5)


def test_gradients_by_finite_differences() -> None:
    op = stirred(bottleneck(4)).double()
    x, mask = maps(2, 4, (5, 4)).double().requires_grad_(), blobs(2, (5, 4), 0.3)
    gain = torch.rand(2, 1, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, gain: reference_where(op, x, mask, {}, gain), (x, gain))


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf")])
def test_nothing_leaks_from_where_it_is_not_needed(spoilt: float) -> None:
    op = stirred(bottleneck(4))
    x, mask = maps(2, 4, (12, 12)), blobs(2, (12, 12), 0.1)
    mask[1] = False
    needed = nn.functional.max_pool2d(mask.float(), 5, 1, 2) > 0
    results = []
    for fill in (0.0, spoilt):
        given = torch.where(needed, x, fill).requires_grad_()
        gain = torch.where(mask, 0.5, fill).requires_grad_()
        y = reference_where(op, given, mask, {}, gain)
        op.zero_grad()
        y.square().sum().backward()
        results.append(
            [y, given.grad, gain.grad, *(one.grad.clone() for one in op.parameters() if one.grad is not None)]
        )
    for clean, found in zip(*results, strict=True):
        assert clean is not None and torch.equal(clean, found)


def test_batch_norm_in_training_counts_the_active_positions() -> None:
    norm = BatchNorm(3, 1e-5, 0.1, "active").train()
    x, mask = maps(2, 3, (6, 7)), blobs(2, (6, 7), 0.4)
    found = reference_where(norm, x, mask, {})
    taken = x.permute(0, 2, 3, 1)[mask[:, 0]]
    assert norm.running_mean is not None and torch.allclose(norm.running_mean, 0.1 * taken.mean(0), atol=1e-6)
    wanted = nn.functional.batch_norm(taken, None, None, training=True)
    assert torch.allclose(found.permute(0, 2, 3, 1)[mask[:, 0]], wanted, atol=1e-5)
    assert not found.masked_select(~mask).any()


def test_batch_norm_in_training_of_one_position_uses_what_it_has() -> None:
    norm = BatchNorm(3, 1e-5, 0.1, "active").train()
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[0, 0, 1, 2] = True
    x = maps(1, 3, (4, 4))
    found = reference_where(norm, x, mask, {})
    assert norm.running_mean is not None and not norm.running_mean.any()
    assert torch.allclose(found[0, :, 1, 2], x[0, :, 1, 2], atol=1e-4)


def test_batch_norm_in_training_counts_all_where_it_says_so() -> None:
    op = chain(nn.Conv2d(3, 3, 1), BatchNorm(3, 1e-5, 0.1, "all")).train()
    x, mask = maps(3, 3, (6, 7)), blobs(3, (6, 7), 0.4)
    mask[1] = False
    assert torch.allclose(reference_where(op, x, mask, {}), torch.where(mask, op(x, {}), 0.0), atol=1e-6)
