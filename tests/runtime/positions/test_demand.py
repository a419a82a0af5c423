"""Masks grow backward to exactly the positions that masked outputs depend on, and no others are computed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from routespace.runtime.layers import GroupNorm, Mean
from routespace.runtime.positions import Work, demand, exact, measured, run_where
from routespace.runtime.positions.geometry import leaves, size_after
from routespace.runtime.tree import ChainOp
from routespace.space.registry import ByMode
from tests.runtime.positions.parts import SIZES, blobs, bottleneck, chain, maps, masks, stirred, trees

FLAT = (nn.Sigmoid, nn.Tanh)
"""Activations that are level far out, where a change does not show."""


def rising(op: nn.Module) -> nn.Module:
    """The op with weights under which a larger input never gives a smaller output."""
    with torch.no_grad():
        for name, tensor in [*op.named_parameters(), *op.named_buffers()]:
            if "weight" in name or "bias" in name:
                tensor.abs_().add_(0.1)
    return op.double()


def depended_on(op: nn.Module, size: tuple[int, int], channels: int, mask: Tensor) -> Tensor:
    """Brute force: the positions of the input that change some masked output when they alone are made very large."""
    area = size[0] * size[1]
    base = maps(1, channels, size, seed=9).double().abs()
    poked = base.repeat(area, 1, 1, 1).view(area, channels, area)
    poked[torch.arange(area), :, torch.arange(area)] += 1e7
    with torch.no_grad():
        y = op(torch.cat([base, poked.view(area, channels, *size)]), SIZES)
    changed = (y[1:] > y[:1] + 1e-3).any(1, keepdim=True)
    return (changed & mask).flatten(1).any(1).view(1, 1, *size)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_the_input_needed_is_the_one_depended_on(data: st.DataObject) -> None:
    op = data.draw(trees(norms=False).filter(lambda op: not any(isinstance(leaf, FLAT) for leaf in leaves(op))))
    size = (data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9)))
    mask = data.draw(masks(1, size_after(op, size, SIZES)))
    assert torch.equal(demand(op, size, mask, SIZES)[0], depended_on(rising(op), size, 4, mask))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_leaf_of_a_chain(data: st.DataObject) -> None:
    parts = [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.ReLU(),
        nn.Conv2d(4, 6, (1, 3), dilation=(1, 2), padding=(0, 2)),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.Conv2d(6, 4, 3, padding=2, stride=(1, 2)),
    ]
    size = (data.draw(st.integers(5, 9)), data.draw(st.integers(5, 9)))
    op = rising(stirred(chain(*parts)))
    mask = data.draw(masks(1, size_after(op, size, SIZES)))
    found = demand(op, size, mask, SIZES)
    assert torch.equal(found[-1], mask)
    for place in range(len(parts)):
        channels = 6 if place in (3, 4) else 4
        assert torch.equal(found[place], depended_on(chain(*parts[place:]), size, channels, mask)), place
        size = size_after(parts[place], size, SIZES)


@pytest.mark.parametrize("whole", [GroupNorm(2, 4, 1e-5, "all"), Mean()], ids=["stats all", "mean"])
def test_what_reads_all_reads_images_with_some_output(whole: nn.Module) -> None:
    op = chain(nn.Conv2d(4, 4, 1, bias=False), whole)
    mask = torch.zeros(2, 1, *size_after(op, (5, 6), SIZES), dtype=torch.bool)
    mask[1, 0, 0, 0] = True
    read, computed, _ = demand(op, (5, 6), mask, SIZES)
    assert read.flatten(1).sum(1).tolist() == computed.flatten(1).sum(1).tolist() == [0, 30]


def test_statistics_of_a_mode() -> None:
    norm = GroupNorm(2, 4, 1e-5, ByMode("all", "active"))
    mask = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    mask[0, 0, 1, 1] = True
    assert demand(norm.eval(), (3, 3), mask, {})[0].sum() == 1
    assert demand(norm.train(), (3, 3), mask, {})[0].sum() == 9


def macs(op: nn.Module, positions: dict[nn.Module, list[int]]) -> int:
    return sum(
        sum(counts) * conv.weight[0].numel() * conv.out_channels
        for conv, counts in positions.items()
        if isinstance(conv, nn.Conv2d)
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_positions_computed_are_those_needed(data: st.DataObject) -> None:
    op = data.draw(trees())
    size = (data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9)))
    mask = data.draw(masks(2, size_after(op, size, SIZES)))
    work = Work(2)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run_where(op, maps(2, 4, size), mask, SIZES, choose=exact, work=work)
    for leaf, needed in zip(leaves(op), demand(op, size, mask, SIZES)[1:], strict=True):
        if isinstance(leaf, nn.Conv2d):
            assert work.of(leaf) == needed.flatten(1).sum(1).tolist()
    assert counter.get_total_flops() == 2 * macs(op, work.positions)


@pytest.mark.parametrize("density", [0.02, 0.1, 0.3])
def test_work_counted_from_outside(density: float) -> None:
    op = stirred(bottleneck(32))
    assert isinstance(op, ChainOp)
    size = (50, 84)
    mask = blobs(1, size, density)
    _, first, *_, second = (one.sum().item() for one in demand(op, size, mask, {}))
    wanted = 2 * 32 * 32 * 9 * (first + second)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run_where(op, maps(1, 32, size), mask, {}, choose=exact)
    assert second == round(density * size[0] * size[1])
    assert abs(counter.get_total_flops() - wanted) <= 0.1 * wanted


def test_a_dense_convolution_is_charged_in_full() -> None:
    op = stirred(nn.Conv2d(8, 8, 3, padding=1))
    work = Work(1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run_where(op, maps(1, 8, (40, 40)), blobs(1, (40, 40), 0.95), {}, choose=measured, work=work)
    assert work.of(op) == [1600]
    assert counter.get_total_flops() == 2 * macs(op, work.positions)
