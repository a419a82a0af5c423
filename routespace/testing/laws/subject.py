"""What a law looks at: one case, its compiled forms and what the oracle says about it, each made once.

`form` and `outcome` of a subject remember what they made; `run` runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from routespace.compiler import compile as compile_space
from routespace.graph.ir import Leaf, RouteGraph
from routespace.runtime.result import Outcome
from routespace.targets import shared_target, targets_of
from routespace.testing.cases import Case
from routespace.testing.inputs import Inputs, over
from routespace.testing.laws.forcings import Weights, forcings
from routespace.testing.oracle import Oracle, OracleResult
from routespace.testing.oracle.evaluate import Forced
from routespace.testing.oracle.sizes import op_of

Form = Literal["dense", "sparse", "export"]
FORMS: tuple[Form, ...] = ("dense", "sparse", "export")

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 0.15}
"""Largest error asked for, relative to the largest magnitude, by dtype."""

ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.5}
"""A decision whose margin is below this may fall differently in this dtype."""


class LawViolation(AssertionError):
    """A law does not hold of a case. The message names the law, what differs, and the case."""


class Subject:
    """A case with its forms compiled and loaded with its weights, in inference mode."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._forms: dict[tuple[Form, torch.dtype], nn.Module] = {}
        self._outcomes: dict[Form, Outcome] = {}

    @cached_property
    def names(self) -> dict[str, str]:
        """What modules call each entry of the oracle's state dict."""
        found: dict[str, str] = {}
        targets = targets_of(self.graph)
        for value in self.graph.values:
            place = op_of(value)
            if place is None:
                continue
            common = getattr(value, "weights", "")
            within = place[0].removeprefix(value.name)
            own, named = place[0], targets[value.name] + within
            if common:
                own = common + within
                named = shared_target(common) + within + (".0" if isinstance(place[1], Leaf) else "")
            for name in self.case.state:
                if name.startswith(f"{own}."):
                    found[name] = named + name.removeprefix(own)
        return found

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The weights of the case as modules name them."""
        return {self.names[name]: tensor for name, tensor in self.case.state.items()}

    def as_named(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Entries of a module under the oracle's names."""
        return {name: found[named] for name, named in self.names.items() if named in found}

    @cached_property
    def images(self) -> Any:
        """What modules are called with."""
        return self.case.images

    @property
    def graph(self) -> RouteGraph:
        return self.case.graph

    @cached_property
    def evaluator(self) -> Oracle:
        """The oracle in float64, in inference mode."""
        return Oracle(self.graph, self.case.state)

    @cached_property
    def oracle(self) -> OracleResult:
        """The oracle's result for the images of the case."""
        return self.ask()

    def ask(self, forced: Forced | None = None) -> OracleResult:
        """The oracle's result with gates forced."""
        with torch.no_grad():
            return self.evaluator.run(self.case.images, forced)

    @cached_property
    def forced(self) -> list[tuple[Weights, OracleResult]]:
        """Weights that gates are forced to, and what the oracle makes of them."""
        return [(weights, self.ask(weights)) for weights in forcings(self.case, self.oracle.planned)]

    def turn(self, seed: int) -> tuple[Form, ...]:
        """One form; which it is depends on the seed, so that many cases ask all of them."""
        return (FORMS[seed % len(FORMS)],)

    def form(self, form: Form, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The space compiled to `form`, with the weights of the case in `dtype`."""
        if (form, dtype) not in self._forms:
            self._forms[form, dtype] = self._compiled(form, dtype)
        return self._forms[form, dtype]

    def outcome(self, form: Form) -> Outcome:
        """What the form makes of the images of the case in float64."""
        if form not in self._outcomes:
            self._outcomes[form] = self.run(form)
        return self._outcomes[form]

    def _compiled(self, form: Form, dtype: torch.dtype) -> nn.Module:
        return self.made(form, self.weights, dtype)

    def made(self, form: Form, weights: Mapping[str, Tensor], dtype: torch.dtype = torch.float64) -> nn.Module:
        """A fresh module of the space with `weights`, in inference mode."""
        module = compile_space(self.graph, form=form).to(dtype)
        module.load_state_dict(weights, strict=True)
        return module.eval()

    def run(self, form: Form, images: Inputs | None = None, dtype: torch.dtype = torch.float64) -> Outcome:
        """An outcome without gradients."""
        given = self.case.images if images is None else images
        with torch.no_grad():
            outcome: Outcome = self.form(form, dtype)(over(given, lambda x: x.to(dtype)))
        return outcome

    def outputs(self, outcome: Outcome) -> dict[str, Tensor]:
        """Outputs by key, also where there is one only."""
        if isinstance(outcome.output, dict):
            return outcome.output
        (key,) = self.oracle.outputs
        return {key: outcome.output}

    def fail(self, law: str, problem: str) -> LawViolation:
        """The violation to raise."""
        return LawViolation(f"{law}: {problem}\n{self.case}")


def nudged_images(images: Inputs, share: float, seed: int) -> Inputs:
    """Images, or every level of a pyramid, nudged."""
    return over(images, lambda x: nudged(x, share, seed))


def nudged(tensor: Tensor, share: float, seed: int) -> Tensor:
    """Every number of `tensor` larger or smaller by `share` of it: what roundings of that size may make of it."""
    if not tensor.is_floating_point():
        return tensor
    signs = torch.randint(0, 2, tensor.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return tensor * (1 + share * signs.to(tensor.dtype))


def distance(found: Tensor, wanted: Tensor) -> float:
    """Largest difference relative to the largest magnitude wanted; infinite where shapes or NaNs differ."""
    if found.shape != wanted.shape:
        return float("inf")
    found, wanted = found.to(torch.float64), wanted.to(torch.float64)
    if not torch.equal(torch.isnan(found), torch.isnan(wanted)):
        return float("inf")
    if wanted.numel() == 0:
        return 0.0
    error = (found - wanted).nan_to_num().abs().max()
    return float(error / wanted.nan_to_num().abs().max().clamp(min=1e-3))
