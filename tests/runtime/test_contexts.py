"""Forcing, replaying and recording hold in the context that entered them, and nowhere else."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import routespace as rs

CLOSED = {"layer1.s4": "closed"}


def small(form: Any = "sparse") -> nn.Module:
    text = rs.example("small").read_text().replace("bias(1.5)", "bias(0)")
    return rs.compile(rs.loads(text, depth=2, width=4), form=form, seed=1).eval()


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 64, 72, generator=torch.Generator().manual_seed(0))


def costs(module: nn.Module) -> list[float]:
    with torch.no_grad():
        found: list[float] = module(images()).routing.cost.hard.tolist()
    return found


def held(module: nn.Module) -> list[float]:
    with rs.forcing(module, CLOSED):
        return costs(module)


def elsewhere(call: Callable[[], Any]) -> Any:
    """What a call gives in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
def test_a_block_holds_in_its_own_thread_only(form: str) -> None:
    module = small(form)
    free, closed = costs(module), held(module)
    assert free != closed
    with rs.forcing(module, CLOSED):
        assert elsewhere(lambda: costs(module)) == free
        assert costs(module) == closed
        assert elsewhere(lambda: contextvars.copy_context().run(costs, module)) == free
        here = contextvars.copy_context()
        assert elsewhere(lambda: here.run(costs, module)) == closed
    assert costs(module) == free


def test_blocks_may_be_left_in_any_order() -> None:
    module = small()
    free, closed = costs(module), held(module)
    first, second = rs.forcing(module, CLOSED), rs.forcing(module, {"layer1.s4": "open"})
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert costs(module) != closed
    second.__exit__(None, None, None)
    assert costs(module) == free
    first, second = rs.forcing(module, {"layer1.s4": "open"}), rs.forcing(module, CLOSED)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert costs(module) == closed
    second.__exit__(None, None, None)
    assert costs(module) == free


def test_the_innermost_block_that_names_a_gate_decides() -> None:
    module = small()
    free, closed = costs(module), held(module)
    with torch.no_grad():
        routing = module(images()).routing
    with rs.forcing(module, CLOSED):
        with rs.forcing(module, {"layer0.s4": "open"}):
            assert costs(module) != free
        with rs.replaying(module, routing):
            assert costs(module) != closed
        assert costs(module) == closed


def test_a_block_of_a_generator_ends_with_it_wherever_that_is() -> None:
    module = small()
    free, closed = costs(module), held(module)

    def steps() -> Iterator[list[float]]:
        with rs.forcing(module, CLOSED):
            while True:
                yield costs(module)

    generator = steps()
    assert next(generator) == closed
    elsewhere(generator.close)
    assert costs(module) == free
    dropped = steps()
    assert next(dropped) == closed
    del dropped
    gc.collect()
    assert costs(module) == free


def test_tasks_do_not_see_each_others_blocks() -> None:
    module = small()
    free, closed = costs(module), held(module)

    async def forced() -> list[list[float]]:
        found = []
        with rs.forcing(module, CLOSED):
            for _ in range(3):
                await asyncio.sleep(0)
                found.append(costs(module))
            found.append(await asyncio.to_thread(costs, module))
        return found

    async def plain() -> list[list[float]]:
        found = []
        for _ in range(4):
            await asyncio.sleep(0)
            found.append(costs(module))
        return found

    async def both() -> list[list[list[float]]]:
        return list(await asyncio.gather(forced(), plain()))

    one, other = asyncio.run(both())
    assert all(found == closed for found in one)
    assert all(found == free for found in other)


def test_an_error_within_a_block_leaves_it() -> None:
    module = small()
    free = costs(module)
    with pytest.raises(KeyError), rs.forcing(module, CLOSED):
        raise KeyError
    with pytest.raises(rs.GateError), rs.forcing(module, {**CLOSED, "layer9": "open"}):
        pass
    assert costs(module) == free


def test_a_copy_is_forced_by_itself() -> None:
    module = small()
    free, closed = costs(module), held(module)
    with rs.forcing(module, CLOSED):
        copied = copy.deepcopy(module)
        assert costs(copied) == free
        with rs.forcing(copied, CLOSED):
            assert costs(copied) == closed
    assert costs(copied) == costs(module) == free


def replica(module: nn.Module) -> nn.Module:
    """A module as `DataParallel` lends it to a thread."""
    made: nn.Module = module._replicate_for_data_parallel()  # type: ignore[no-untyped-call]
    made._parameters = dict(module._parameters)
    for name, child in module._modules.items():
        made._modules[name] = None if child is None else replica(child)
    return made


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_replicas_hold_the_blocks_that_they_were_made_in(form: str) -> None:
    module = small(form)
    free, closed = costs(module), held(module)
    with rs.forcing(module, CLOSED):
        lent = replica(module)
        assert elsewhere(lambda: costs(lent)) == closed
    assert elsewhere(lambda: costs(lent)) == closed
    assert costs(replica(module)) == costs(module) == free


def test_exact_kernels_hold_in_their_own_thread_only() -> None:
    module = rs.compile(rs.load(rs.example("two_grains")), form="sparse", seed=3)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def executed() -> float:
        with torch.no_grad():
            return float(module(x).routing.cost.executed)

    free = executed()
    with rs.exactly(module):
        exact = executed()
        assert elsewhere(executed) == free
    assert executed() == free > exact


@pytest.mark.filterwarnings("ignore::routespace.recording.AlikeWarning")
def test_modes_are_given_back_by_the_last_that_records() -> None:
    module, entered, leave = small().train(), threading.Event(), threading.Event()

    def slowly() -> Iterator[torch.Tensor]:
        entered.set()
        yield images()
        leave.wait(30)

    recording = threading.Thread(target=lambda: rs.record(module, slowly()))
    recording.start()
    entered.wait(30)

    def both() -> Iterator[torch.Tensor]:
        yield images()
        leave.set()
        recording.join(30)
        yield images()

    rs.record(module, both())
    assert all(part.training for part in module.modules())


def test_a_checkpoint_calls_again_as_it_called_before() -> None:
    """Blocks within the function, calls outside of them, and checkpoints in checkpoints."""
    module = small("dense").train()

    def twice(x: torch.Tensor) -> torch.Tensor:
        with rs.forcing(module, CLOSED):
            first = checkpoint(lambda given: module(given).output, x, use_reentrant=False)
        return first + 2 * module(x).output

    def gradients(wrapped: bool) -> list[torch.Tensor]:
        module.zero_grad()
        x = images().requires_grad_()
        with rs.forcing(module, {"layer0.s4": {"keep": 0.5}}):
            output = checkpoint(twice, x, use_reentrant=False) if wrapped else twice(x)
        output.square().sum().backward(retain_graph=True)
        output.sum().backward()
        return [torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in module.parameters()]

    for plain, again in zip(gradients(False), gradients(True), strict=True):
        assert torch.allclose(plain, again)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_what_is_computed_again_in_a_backward_pass_sees_the_blocks_of_the_forward(form: str, reentrant: bool) -> None:
    module = small(form).train()

    def gradients(wrapped: bool) -> list[torch.Tensor]:
        module.zero_grad()
        x = images().requires_grad_()

        def run(given: torch.Tensor) -> Any:
            return module(given).output

        with rs.forcing(module, CLOSED):
            if not wrapped:
                output = run(x)
            elif reentrant:
                output = checkpoint(contextvars.copy_context().run, run, x, use_reentrant=True)
            else:
                output = checkpoint(run, x, use_reentrant=False)
        output.square().sum().backward()
        return [torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in module.parameters()]

    plain, again = gradients(False), gradients(True)
    assert any(one.any() for one in plain)
    assert all(torch.allclose(one, other, rtol=1e-3, atol=0.1) for one, other in zip(plain, again, strict=True))
