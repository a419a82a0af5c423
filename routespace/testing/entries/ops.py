"""What ops declare, held against what their modules do: shapes, costs, windows, statistics, modes, dtypes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from routespace.testing.entries.leaves import Streams, Worked, worked
from routespace.testing.laws.subject import Subject, distance

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1}
STEP = 1e-6
FAR = 100.0
"""By how much a position is changed to see what sees it: more than anything else there is."""


def ops_have_their_shape(subject: Subject) -> None:
    """An op makes what its shape rule says of every size, of a batch of none too."""
    for one in worked(subject, sides=3):
        for batch in (2, 0):
            with torch.no_grad():
                found = tuple(one.call(one.module(), one.streams(batch)).shape)
            wanted = (batch, one.output.channels, one.output.height, one.output.width)
            if found != wanted:
                raise one.fail("ops have their shape", f"makes {found} where its rule says {wanted}")


def ops_keep_their_input(subject: Subject) -> None:
    """An op does not write into what it reads, and how that lies in memory does not matter."""
    for one in worked(subject):
        given = one.streams(2)
        kept = [x.clone() for x in given]
        with torch.no_grad():
            found = one.call(one.module(), given)
            if not all(torch.equal(x, y) for x, y in zip(given, kept, strict=True)):
                raise one.fail("ops keep their input", "writes into its input")
            for how, laid in (
                ("channels last", [x.contiguous(memory_format=torch.channels_last) for x in kept]),
                ("rows of a larger batch", [torch.cat([x[:1], x])[1:] for x in kept]),
                ("columns of a wider map", [torch.cat([x, x], 3)[..., : x.shape[3]] for x in kept]),
            ):
                if distance(one.call(one.module(), laid), found) > TOLERANCE[torch.float64]:
                    raise one.fail("ops keep their input", f"makes something else of an input that is {how}")


def ops_see_images_alone(subject: Subject) -> None:
    """In inference, and in training without batch statistics, an image's result is its own; bad numbers stay in it."""
    for one in worked(subject):
        modes = (False,) if one.entry.statistics == "batch" or not one.entry.same_in_training else (False, True)
        for training in modes:
            given = one.streams(3)
            with torch.no_grad():
                whole = one.call(one.module(training=training), given)
                for image in range(3):
                    alone = one.call(one.module(training=training), [x[image : image + 1] for x in given])
                    if distance(alone, whole[image : image + 1]) > TOLERANCE[torch.float64]:
                        raise one.fail("ops see images alone", "depends on the other images of the batch")
                for bad in (math.nan, math.inf):
                    found = one.call(one.module(training=training), _spoiled(given, bad))
                    if distance(found[1:], whole[1:]) > TOLERANCE[torch.float64]:
                        raise one.fail("ops see images alone", f"lets {bad:g} of one image into another")


def _spoiled(given: Streams, bad: float) -> Streams:
    spoiled = [x.clone() for x in given]
    for x in spoiled:
        x[0] = bad
    return spoiled


def ops_repeat(subject: Subject) -> None:
    """In inference an op says the same again, keeps its state, and another one with that state says it too."""
    for one in worked(subject):
        module, given = one.module(), one.streams(2)
        before = {name: x.clone() for name, x in module.state_dict().items()}
        with torch.no_grad():
            first = one.call(module, [x.clone() for x in given])
            again = one.call(module, [x.clone() for x in given])
            if distance(again, first) > 0:
                raise one.fail("ops repeat", "says something else when asked again")
            changed = [name for name, x in module.state_dict().items() if not torch.equal(x, before[name])]
            if changed:
                raise one.fail("ops repeat", f"changes its `{changed[0]}` in inference")
            twin = one.module(seed=1)
            twin.load_state_dict(before)
            if distance(one.call(twin, [x.clone() for x in given]), first) > TOLERANCE[torch.float64]:
                raise one.fail("ops repeat", "says something else with the same state: not all it learns is in there")


def ops_train_as_they_infer(subject: Subject) -> None:
    """Without batch statistics, an op that does not say otherwise makes the same in training."""
    for one in worked(subject):
        if one.entry.statistics == "batch" or not one.entry.same_in_training:
            continue
        with torch.no_grad():
            wanted = one.call(one.module(), one.streams(2))
            found = one.call(one.module(training=True), one.streams(2))
        if distance(found, wanted) > TOLERANCE[torch.float64]:
            raise one.fail("ops train as they infer", "makes something else in training and does not declare it")


def ops_keep_their_dtype(subject: Subject) -> None:
    """In float32 and bfloat16 an op keeps the dtype and is near what it makes in float64, of large numbers too."""
    for one in worked(subject):
        for scale in (1.0, 100.0):
            given = [x.to(torch.bfloat16).to(torch.float64) * scale for x in one.streams(2)]
            state = {name: x.to(torch.bfloat16) for name, x in one.module().state_dict().items()}
            with torch.no_grad():
                right = _with(one, state, torch.float64, given)
                for dtype in (torch.float32, torch.bfloat16):
                    found = _with(one, state, dtype, [x.to(dtype) for x in given])
                    if found.dtype != dtype:
                        raise one.fail("ops keep their dtype", f"makes {found.dtype} of {dtype}")
                    if bool(torch.isfinite(right).all()) and distance(found, right) > TOLERANCE[dtype]:
                        raise one.fail("ops keep their dtype", f"is {distance(found, right):.2g} off in {dtype}")


def _with(one: Worked, state: dict[str, Tensor], dtype: torch.dtype, given: Streams) -> Tensor:
    module = one.module(dtype)
    module.load_state_dict(state)
    return one.call(module, given)


def ops_learn(subject: Subject) -> None:
    """The gradient of an op's inputs and parameters is finite, and the slope of its output."""
    for one in worked(subject):
        module = one.module()
        given = [x.requires_grad_(True) for x in one.streams(2)]
        parameters = dict(module.named_parameters())
        made = one.call(module, given)
        spread = torch.linspace(-1, 1, made.numel(), dtype=made.dtype).view_as(made)
        wanted: list[Tensor] = [*given, *parameters.values()]
        names = [*(f"input {place}" for place in range(len(given))), *parameters]
        grads: Sequence[Tensor | None] = [None] * len(wanted)
        if made.requires_grad:
            grads = torch.autograd.grad((made * spread).sum(), wanted, allow_unused=True)
        generator = torch.Generator().manual_seed(one.subject.case.image_seed + 1)
        for name, tensor, grad in zip(names, wanted, grads, strict=True):
            if grad is not None and not bool(torch.isfinite(grad).all()):
                raise one.fail("ops learn", f"has no finite gradient of {name}")
            way = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            slope = _slope(one, module, given, tensor, way, spread)
            has = 0.0 if grad is None else float((grad * way).sum())
            if abs(has - slope) > 1e-3 * max(1.0, abs(slope), float(spread.abs().sum()) * 1e-2):
                raise one.fail("ops learn", f"has a gradient of {has:.3g} by {name} where the slope is {slope:.3g}")


def _slope(one: Worked, module: nn.Module, given: Streams, tensor: Tensor, way: Tensor, spread: Tensor) -> float:
    """How the spread output rises where `tensor` moves along `way`."""
    ends = []
    with torch.no_grad():
        for sign in (1, -2):
            tensor.add_(way, alpha=sign * STEP)
            ends.append(float((one.call(module, given) * spread).sum()))
        tensor.add_(way, alpha=STEP)
    return (ends[0] - ends[1]) / (2 * STEP)


def ops_cost_as_declared(subject: Subject) -> None:
    """Declared multiply-adds are those torch counts, and declared parameters those the module has."""
    for one in worked(subject, sides=2):
        module = one.module()
        if one.entry.params is not None:
            has = sum(parameter.numel() for parameter in module.parameters())
            says = one.entry.params(one.args, tuple(x.channels for x in one.inputs))
            if has != says:
                raise one.fail("ops cost as declared", f"has {has} parameters and declares {says}")
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            one.call(module, one.streams(1))
        counted = counter.get_total_flops() / 2
        declared = one.entry.cost(one.args, one.inputs, one.output).macs
        if counted != declared:
            raise one.fail("ops cost as declared", f"counts {counted:.0f} multiply-adds and declares {declared}")


def ops_see_their_window(subject: Subject) -> None:
    """What an op makes at a position depends on nothing outside the window it declares."""
    for one in worked(subject):
        if one.entry.window is None or one.entry.statistics == "batch" or len(one.inputs) > 1:
            continue
        kernel, stride, dilation, padding = one.entry.window(one.args)
        module, (x,) = one.module(), one.streams(1)
        with torch.no_grad():
            made = one.call(module, [x])
        for high, wide in _spots(*x.shape[2:]):
            other = x.clone()
            other[:, :, high, wide] += FAR
            with torch.no_grad():
                changed = ((made - one.call(module, [other])).abs() > 1e-12)[0].any(0)
            for row, column in changed.nonzero().tolist():
                near = [
                    any(row_ * stride - padding + step * dilation == place for step in range(kernel))
                    for row_, place in ((row, high), (column, wide))
                ]
                if not all(near):
                    raise one.fail(
                        "ops see their window", f"at {row}, {column} sees {high}, {wide}, which its window leaves out"
                    )


def _spots(high: int, wide: int) -> list[tuple[int, int]]:
    """The middle of a map, its corners and the middles of its sides."""
    return sorted({(row, column) for row in (0, high // 2, high - 1) for column in (0, wide // 2, wide - 1)})
