"""Gated expressions on a GPU: the same numbers and positions as on the CPU."""

from __future__ import annotations

import copy

import pytest
import torch

from routespace.runtime.positions import Work, exact, measured, run_where
from routespace.runtime.positions.kernels import dense
from tests.runtime.positions.parts import blobs, bottleneck, maps, stirred

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("density", [0.0, 0.1, 0.8])
def test_as_on_the_cpu(density: float) -> None:
    op = stirred(bottleneck(16))
    x, mask = maps(2, 16, (40, 36)), blobs(2, (40, 36), density)
    here = Work(2)
    with torch.no_grad():
        wanted = run_where(op, x, mask, {}, choose=exact, work=here)
        there = copy.deepcopy(op).cuda()
        for choose in (exact, measured, dense_always):
            work = Work(2)
            found = run_where(there, x.cuda(), mask.cuda(), {}, choose=choose, work=work).cpu()
            assert (found - wanted).abs().max() <= 1e-3 * wanted.abs().max().clamp_min(1)
            if choose is exact:
                assert list(work.positions.values()) == list(here.positions.values())


def dense_always(job: object) -> object:
    return dense
