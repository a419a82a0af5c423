"""The sparse run of a gated expression gives what the dense one gives, for any mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from routespace.runtime.errors import InputError
from routespace.runtime.layers import BatchNorm, GroupNorm, Mean
from routespace.runtime.positions import Work, exact, measured, reference_where, run_where, streams
from routespace.runtime.positions.geometry import size_after
from routespace.runtime.positions.kernels import WHOLE, dense, gathered
from tests.runtime.positions.parts import SIZES, blobs, bottleneck, chain, maps, masks, stirred, trees

CHOOSERS = {
    "exact": exact,
    "measured": measured,
    "dense": lambda job: dense,
    "small dense": lambda job: dense if job.conv.kernel_size == (1, 1) else gathered,
    "large dense": lambda job: gathered if job.conv.kernel_size == (1, 1) else dense,
}
"""Every form of a convolution, wherever it may be chosen, and mixtures of them."""


@pytest.fixture(autouse=True)
def small_maps_count_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done to whole maps only where they are large is done to the small ones here too."""
    monkeypatch.setattr(streams, "FEW", 0)


def apart(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, as a share of the largest value wanted."""
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    if not wanted.numel():
        return 0.0
    return ((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-3)).item()


STILL = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(STILL, max_examples=150)
@given(st.data())
def test_any_tree_under_any_mask(data: st.DataObject) -> None:
    op = data.draw(trees())
    size = (data.draw(st.integers(4, 11)), data.draw(st.integers(4, 11)))
    count = data.draw(st.integers(0, 3))
    x = maps(count, 4, size, data.draw(st.integers(0, 50)))
    if data.draw(st.booleans()):
        x = x.contiguous(memory_format=torch.channels_last)
    mask = data.draw(masks(count, size_after(op, size, SIZES)))
    gain = torch.rand(mask.shape) if data.draw(st.booleans()) else None
    before = x.clone()
    with torch.no_grad():
        wanted = reference_where(op.double(), x.double(), mask, SIZES, gain).float()
        op.float()
        for name, choose in CHOOSERS.items():
            found = run_where(op, x, mask, SIZES, gain, choose=choose)
            assert apart(found, wanted) <= 1e-5, name
            assert found.masked_select(~mask).eq(0).all()
    assert torch.equal(x, before)


@pytest.mark.parametrize("stats", ["all", "active"])
def test_without_a_gate_that_closes_the_op_itself(stats: str) -> None:
    op = stirred(bottleneck(8, stats))
    x = maps(2, 8, (13, 9))
    mask = torch.ones(2, 1, 13, 9, dtype=torch.bool)
    with torch.no_grad():
        wanted = op(x, {})
        assert apart(reference_where(op, x, mask, {}), wanted) <= 1e-5
        for choose in CHOOSERS.values():
            assert apart(run_where(op, x, mask, {}, choose=choose), wanted) <= 1e-5


@pytest.mark.parametrize("density", [0.02, 0.3, 0.8])
@pytest.mark.parametrize("choose", CHOOSERS.values(), ids=CHOOSERS)
def test_what_is_not_needed_may_be_anything(choose: object, density: float) -> None:
    op = stirred(chain(nn.Conv2d(6, 6, 3, padding=1), GroupNorm(2, 6, 1e-5, "active"), nn.ReLU()))
    x, mask = maps(2, 6, (24, 20)), blobs(2, (24, 20), density)
    needed = nn.functional.max_pool2d(mask.float(), 3, 1, 1) > 0
    spoilt = torch.where(needed, x, float("nan"))
    gain = torch.where(mask, torch.rand(mask.shape), float("inf"))
    with torch.no_grad():
        wanted = reference_where(op, x, mask, {}, gain)
        assert apart(reference_where(op, spoilt, mask, {}, gain), wanted) == 0
        assert apart(run_where(op, spoilt, mask, {}, gain, choose=choose), wanted) <= 1e-5  # type: ignore[arg-type]


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("choose", CHOOSERS.values(), ids=CHOOSERS)
def test_statistics_far_from_zero(choose: object, density: float) -> None:
    conv = stirred(nn.Conv2d(4, 4, 1))
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    torch.nn.init.constant_(conv.bias, 20.0)
    op = chain(conv, stirred(GroupNorm(2, 4, 1e-5, "active")))
    x, mask = maps(2, 4, (15, 18)), blobs(2, (15, 18), density)
    with torch.no_grad():
        wanted = reference_where(op.double(), x.double(), mask, {}).float()
        found = run_where(op.float(), x, mask, {}, choose=choose)  # type: ignore[arg-type]
    assert apart(found, wanted) <= 1e-4


def test_a_single_value_has_no_variance() -> None:
    norm = stirred(GroupNorm(3, 3, 1e-5, "active"))
    mask = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
    mask[0, 0, 2, 3] = True
    with torch.no_grad():
        x = 1e4 * maps(1, 3, (5, 5))
        for found in (run_where(norm, x, mask, {}), reference_where(norm, x, mask, {})):
            assert torch.equal(found[0, :, 2, 3], norm.bias)


@pytest.mark.parametrize("density", [0.35, 0.95])
@pytest.mark.parametrize("choose", CHOOSERS.values(), ids=CHOOSERS)
def test_more_positions_than_are_worked_on_at_a_time(choose: object, density: float) -> None:
    parts = [nn.Conv2d(4, 6, 3, padding=1), GroupNorm(2, 6, 1e-5, "active"), nn.Conv2d(6, 4, 1, bias=False)]
    op = stirred(chain(*parts))
    x, mask = maps(2, 4, (64, 63)), blobs(2, (64, 63), density)
    assert int(mask.sum()) > WHOLE[0]
    with torch.no_grad():
        wanted = reference_where(op, x, mask, {})
        assert apart(run_where(op, x, mask, {}, choose=choose), wanted) <= 1e-5  # type: ignore[arg-type]


@pytest.mark.parametrize("density", [0.2, 0.8])
def test_bfloat16(density: float) -> None:
    op = stirred(bottleneck(16)).bfloat16()
    x, mask = maps(2, 16, (20, 20)).bfloat16(), blobs(2, (20, 20), density)
    with torch.no_grad():
        wanted = reference_where(op.double(), x.double(), mask, {}).bfloat16()
        op.bfloat16()
        for choose in CHOOSERS.values():
            assert apart(run_where(op, x, mask, {}, choose=choose), wanted) <= 0.04


@pytest.mark.parametrize("stats", ["all", "active"])
def test_a_map_of_one_position(stats: str) -> None:
    op = stirred(bottleneck(4, stats, groups=4))
    x, mask = maps(1, 4, (1, 1)), torch.ones(1, 1, 1, 1, dtype=torch.bool)
    with torch.no_grad():
        for found in (run_where(op, x, mask, {}), reference_where(op, x, mask, {})):
            assert torch.allclose(found.flatten(), op.parts()[-1].bias, atol=1e-4)  # type: ignore[arg-type]


def test_autocast_runs_in_the_type_of_the_weights() -> None:
    op = stirred(bottleneck(8))
    x, mask = maps(1, 8, (9, 9)), blobs(1, (9, 9), 0.3)
    with torch.no_grad():
        wanted = run_where(op, x, mask, {})
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(run_where(op, x, mask, {}), wanted)
            assert apart(run_where(op, x.bfloat16(), mask, {}), wanted) <= 0.04


@settings(STILL, max_examples=30)
@given(st.data())
def test_images_do_not_depend_on_one_another(data: st.DataObject) -> None:
    op = data.draw(trees())
    size, count = (8, 7), 3
    x, mask = maps(count, 4, size), data.draw(masks(count, size_after(op, size, SIZES)))
    with torch.no_grad():
        together = run_where(op, x, mask, SIZES, choose=exact)
        for image in range(count):
            alone = run_where(op, x[image : image + 1], mask[image : image + 1], SIZES, choose=exact)
            assert apart(together[image : image + 1], alone) <= 1e-5


def test_changed_weights_are_seen() -> None:
    conv = stirred(nn.Conv2d(4, 4, 3, padding=1))
    x, mask = maps(1, 4, (9, 9)), blobs(1, (9, 9), 0.3)
    with torch.no_grad():
        for change in (
            lambda: None,
            lambda: conv.weight.mul_(2),
            lambda: setattr(conv, "weight", nn.Parameter(-conv.weight)),
            lambda: setattr(conv.weight, "data", conv.weight + 1),
        ):
            change()
            assert apart(run_where(conv, x, mask, {}, choose=exact), reference_where(conv, x, mask, {})) <= 1e-5


def test_an_empty_mask_runs_nothing() -> None:
    op = stirred(bottleneck(8))
    work = Work(2)
    called = []
    for part in op.modules():
        part.register_forward_hook(lambda *args: called.append(args))
    with torch.no_grad():
        found = run_where(op, maps(2, 8, (9, 9)), torch.zeros(2, 1, 9, 9, dtype=torch.bool), {}, work=work)
    assert found.shape == (2, 8, 9, 9) and not found.any() and not called and not work.positions


def test_what_does_not_fit_is_told() -> None:
    op = stirred(bottleneck(8))
    x, mask = maps(1, 8, (9, 9)), blobs(1, (9, 9), 0.3)
    with torch.no_grad():
        with pytest.raises(InputError, match="has 4 channels"):
            run_where(op, x[:, :4], mask, {})
        with pytest.raises(InputError, match="the mask is"):
            run_where(op, x, mask[:, :, 1:], {})
        with pytest.raises(InputError, match="not bool"):
            run_where(op, x, mask.float(), {})
        with pytest.raises(InputError, match="the gain is"):
            run_where(op, x, mask, {}, mask[0].float())
        with pytest.raises(InputError, match="leaves no position"):
            run_where(nn.Conv2d(8, 8, 3), x[:, :, :2], mask[:, :, :0], {})
        with pytest.raises(TypeError, match="declares no demand"):
            run_where(nn.Dropout(), x, mask, {})
        with pytest.raises(RuntimeError, match="reference_where"):
            run_where(BatchNorm(8, 1e-5, 0.1, "all").train(), x, mask, {})
    with pytest.raises(RuntimeError, match="inference only"):
        run_where(op, x, mask, {})


def test_a_mean_reads_the_images_it_is_wanted_of() -> None:
    op = stirred(chain(nn.Conv2d(4, 4, 3, padding=1), Mean()))
    x, mask = maps(3, 4, (6, 5)), torch.tensor([True, False, True]).view(3, 1, 1, 1)
    work = Work(3)
    with torch.no_grad():
        found = run_where(op, x, mask, {}, work=work, choose=exact)
        assert apart(found, reference_where(op, x, mask, {})) <= 1e-5
    assert work.of(op.parts()[0]) == [30, 0, 30]
