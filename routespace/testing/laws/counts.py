"""Law 5: costs are what an outside counter counts."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from routespace.runtime.control import forcing
from routespace.runtime.sparse_maps import exactly
from routespace.testing.laws.skip import per_position, random_weights
from routespace.testing.laws.subject import Form, Subject, distance


def executed_is_counted(subject: Subject, forms: tuple[Form, ...] = ()) -> None:
    """Executed multiply-adds are those that torch's own counter saw; they exceed the hard cost in dense only, and in
    export where gates decide per position.

    In sparse it is asked where no position is computed that is not needed, and where whole maps may be made instead.
    """
    for form in forms or subject.turn(subject.case.image_seed):
        module = subject.form(form)
        with torch.no_grad(), exactly(module), FlopCounterMode(display=False) as counter:
            cost = module(subject.case.images).routing.cost.under("macs")
        counted = counter.get_total_flops() / 2
        executed = float(cost.executed.sum())
        if abs(executed - counted) > 1e-6 * max(counted, 1.0):
            raise subject.fail(
                "executed is counted", f"{form} says it executed {executed:.0f}, {counted:.0f} were counted"
            )
        if form == "sparse" or (form == "export" and not per_position(subject.graph)):
            _is_exact(subject, form, float(cost.hard.sum()), executed)
        elif executed < float(cost.hard.sum()) * (1 - 1e-9):
            raise subject.fail("executed is counted", f"{form} executed {executed:.0f}, less than the hard cost")
        if form == "sparse":
            _choosing_is_counted(subject, module, executed)


def _choosing_is_counted(subject: Subject, module: nn.Module, exact: float) -> None:
    """Where the sparse form may make whole maps, it tells so, and computes no less than what is needed and
    is not known already."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        executed = float(module(subject.case.images).routing.cost.under("macs").executed.sum())
    counted = counter.get_total_flops() / 2
    known = any(map(any, subject.oracle.blank.values()))
    if abs(executed - counted) > 1e-6 * max(counted, 1.0) or (executed < exact * (1 - 1e-9) and not known):
        problem = f"choosing, sparse says it executed {executed:.0f} ({exact:.0f} needed), {counted:.0f} were counted"
        raise subject.fail("executed is counted", problem)


def _is_exact(subject: Subject, form: str, hard: float, executed: float) -> None:
    """Skipping forms execute the hard cost; sparse less where what reads nothing but zeros is computed once."""
    spared = form == "sparse" and any(map(any, subject.oracle.blank.values()))
    if executed > hard * (1 + 1e-9) or (executed < hard * (1 - 1e-9) and not spared):
        raise subject.fail("executed is counted", f"{form} executed {executed:.0f} where the hard cost is {hard:.0f}")


def expected_is_hard_when_decided(subject: Subject, forms: tuple[Form, ...] = ()) -> None:
    """With every gate forced to 0 or 1, the expected cost is the hard cost."""
    forced = random_weights(subject.graph, subject.case.image_seed)
    for form in forms or subject.turn(subject.case.weight_seed):
        module = subject.form(form)
        with torch.no_grad(), forcing(module, forced):
            cost = module(subject.images).routing.cost.under("macs")
        if distance(cost.expected, cost.hard) > 1e-9:
            raise subject.fail(
                "expected is hard", f"{form} with gates of 0 and 1: {cost.expected.tolist()}, not {cost.hard.tolist()}"
            )
