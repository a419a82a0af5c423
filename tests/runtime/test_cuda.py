"""The forms on a GPU: the same numbers and routing as on the CPU."""

from __future__ import annotations

import pytest
import torch

from tests.runtime.test_forms import close, images, modules

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("count", [0, 1, 3])
def test_forms_agree_with_the_cpu(count: int) -> None:
    x = images(count)
    for form, module in modules().items():
        with torch.no_grad():
            wanted = module(x)
            found = module.cuda()(x.cuda())
        assert close(found.output.cpu(), wanted.output, 1e-3), form
        assert torch.equal(found.routing.cost.hard.cpu(), wanted.routing.cost.hard), form
        assert torch.equal(found.routing.cost.executed.cpu(), wanted.routing.cost.executed), form
