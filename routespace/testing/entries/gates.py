"""Activations of a space with the logits they are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from routespace.space.registry import ACTIVATIONS, ActivationEntry, BadArgument
from routespace.testing.laws.subject import LawViolation, Subject
from routespace.testing.oracle.factories import made

EXTREMES = (0.0, -0.0, 1e-4, -1e-4, 0.05, -0.05, 30.0, -30.0, 1e4, -1e4)
MODERATE = 4.0


@dataclass(frozen=True)
class Tried:
    """One activation with its arguments, over `routes` routes."""

    subject: Subject
    entry: ActivationEntry
    args: tuple[tuple[str, Any], ...]
    routes: int

    def module(self, training: bool = False) -> nn.Module:
        made_: nn.Module = made(self.entry.factory)(**dict(self.args))
        return made_.train(training)

    def ask(self, logits: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Weights and openness of logits (N, K), their form checked."""
        weights, opened = self.module(training)(logits)
        if weights.shape != logits.shape or opened.shape != logits.shape:
            shapes = f"{tuple(weights.shape)} and {tuple(opened.shape)}"
            raise self.fail("gates decide alone", f"makes {shapes} of logits {tuple(logits.shape)}")
        if opened.dtype != torch.bool:
            raise self.fail("gates decide alone", f"tells openness in {opened.dtype}, not in bool")
        return weights, opened

    def fail(self, law: str, problem: str) -> LawViolation:
        args = ", ".join(f"{name} = {value:g}" for name, value in self.args)
        return self.subject.fail(law, f"activation `{self.entry.name}({args})` {problem}")

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.subject.case.weight_seed)

    def moderate(self, count: int = 64) -> Tensor:
        """Logits (count, K) in float64 as gates give them: ties and zeros in some rows, far from each other in most."""
        logits = (
            torch.randn(count, self.routes, generator=self.generator(), dtype=torch.float64).clamp(-1, 1) * MODERATE
        )
        for row, tie in zip(logits, (0.5, -0.5, 0.0), strict=False):
            row.fill_(tie)
        return logits

    def extreme(self) -> Tensor:
        """Finite logits (N, K) in float64 at their extremes, alone and beside each other, ties included."""
        values = torch.tensor(EXTREMES, dtype=torch.float64)
        rows = [values[:, None].expand(-1, self.routes)]
        if self.routes > 1:
            places = torch.randint(0, len(EXTREMES), (48, self.routes), generator=self.generator())
            rows.append(values[places])
        return torch.cat(rows)


def activations_of(subject: Subject) -> list[Tried]:
    """Every activation that the gates of a space use, with every number of routes."""
    found = {
        (gate.activation, gate.activation_args, len(gate.routes)): Tried(
            subject, ACTIVATIONS[gate.activation], gate.activation_args, len(gate.routes)
        )
        for gate in subject.graph.gates
    }
    return list(found.values())


def stretched(tried: Tried) -> Iterator[Tried]:
    """The activation itself, and with each of its numbers much smaller and much larger: extremes of temperature."""
    yield tried
    given = dict(tried.args)
    for parameter in tried.entry.parameters:
        value = given.get(parameter.name)
        if parameter.kind != "number" or not isinstance(value, (int, float)):
            continue
        for factor in (1e-3, 1e3):
            wanted = float(value) * factor
            if parameter.least is not None:
                wanted = max(wanted, parameter.least)
            other = Tried(tried.subject, tried.entry, tuple({**given, parameter.name: wanted}.items()), tried.routes)
            try:
                other.module()
            except BadArgument:
                continue
            yield other


def shown(logits: Tensor) -> str:
    """One row of logits as it is told."""
    return f"[{', '.join(f'{value:g}' for value in logits.tolist())}]"
