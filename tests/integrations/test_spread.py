"""The mean of many costs is right to the last digit shown, on devices without float64 too."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("lightning")

from routespace.integrations.train.task import Spread
from tests.runtime.test_doubles import NoDoubles


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_means_of_many_numbers(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    values = (1e9 + 1e3 * torch.rand(20_000, 4, generator=generator, dtype=torch.float64)).to(dtype)
    spread = Spread()
    for batch in values:
        spread.update(batch)
    found = spread.compute()
    torch.testing.assert_close(found["mean"].double(), values.double().mean(), rtol=1e-7, atol=0)
    assert found["min"] == values.min().float() and found["max"] == values.max().float()


def test_without_float64() -> None:
    with NoDoubles():
        spread = Spread()
        spread.update(torch.tensor([1.0, 2.0, 6.0]))
        spread.update(torch.zeros(0))
        assert {part: float(value) for part, value in spread.compute().items()} == {"mean": 3.0, "min": 1.0, "max": 6.0}
        spread.reset()
        spread.update(torch.tensor([4.0]))
        assert float(spread.compute()["mean"]) == 4.0
