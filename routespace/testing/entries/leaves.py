"""Ops of a space with the streams they are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from routespace.graph.ir import Leaf, Op
from routespace.space.registry import OPS, BadArgument, OpEntry
from routespace.space.shape import Shape, Stride
from routespace.testing.laws.subject import LawViolation, Subject
from routespace.testing.oracle.evaluate import leaf_module
from routespace.testing.oracle.sizes import leaf_paths, op_of

STRIDE = 4
SIDES = ((9, 8), (16, 12), (7, 5), (32, 33), (1, 1), (64, 64))
"""Heights and widths that ops are tried on where they fit."""

Streams: TypeAlias = list[Tensor]


@dataclass(frozen=True)
class Worked:
    """One op with its arguments, on inputs of one size. `sizes` are those of the strides it may aim at."""

    subject: Subject
    leaf: Leaf
    inputs: tuple[Shape, ...]
    output: Shape
    sizes: dict[Stride, tuple[int, int]]

    @property
    def entry(self) -> OpEntry:
        return OPS[self.leaf.entry]

    @property
    def args(self) -> dict[str, Any]:
        return dict(self.leaf.args)

    def module(self, dtype: torch.dtype = torch.float64, training: bool = False, seed: int = 0) -> nn.Module:
        """A fresh module with weights of a seed, none of them at a special value."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.subject.case.weight_seed + seed)
            made = leaf_module(self.leaf)
            for part in made.modules():
                reset = getattr(part, "reset_parameters", None)
                if callable(reset):
                    reset()
            with torch.no_grad():
                for name, tensor in made.state_dict(keep_vars=True).items():
                    if tensor.is_floating_point():
                        noise = 0.2 * torch.randn(tensor.shape)
                        tensor.add_(noise.abs() if name.endswith("running_var") else noise)
        return made.to(dtype).train(training)

    def streams(self, batch: int, dtype: torch.dtype = torch.float64) -> Streams:
        generator = torch.Generator().manual_seed(self.subject.case.image_seed)
        return [
            torch.randn(batch, x.channels, x.height, x.width, generator=generator, dtype=torch.float64).to(dtype)
            for x in self.inputs
        ]

    def call(self, module: nn.Module, streams: Streams) -> Tensor:
        given: Any = streams if self.entry.variadic else streams[0]
        found: Tensor = module(given, self.sizes) if self.entry.targets else module(given)
        return found

    def fail(self, law: str, problem: str) -> LawViolation:
        args = ", ".join(f"{name} = {value}" for name, value in self.leaf.args if value is not None)
        sizes = ", ".join(f"{x.channels}x{x.height}x{x.width}" for x in self.inputs)
        return self.subject.fail(law, f"op `{self.leaf.entry}({args})` of {sizes} {problem}")


def leaves_of(op: Op) -> list[Leaf]:
    """Every leaf of an op."""
    return [leaf for _, leaf in leaf_paths("", op)]


def worked(subject: Subject, sides: int = 1) -> Iterator[Worked]:
    """Every op that a space uses, with all its arguments and channels, on the first `sides` sizes that fit it."""
    seen: dict[tuple[Any, ...], Leaf] = {}
    for value in subject.graph.values:
        found = op_of(value)
        for leaf in leaves_of(found[1]) if found is not None else ():
            seen.setdefault((leaf.entry, leaf.args, leaf.channels), leaf)
    for leaf in seen.values():
        fitting = 0
        for side in SIDES:
            one = _fitted(subject, leaf, side)
            if one is not None and fitting < sides:
                fitting += 1
                yield one


def _fitted(subject: Subject, leaf: Leaf, side: tuple[int, int]) -> Worked | None:
    """`leaf` on inputs of `side`, those behind the first alike or each half of the one before; None if neither fits."""
    image = side[0] * STRIDE, side[1] * STRIDE
    sizes: dict[Stride, tuple[int, int]] = {2**k: (-(-image[0] // 2**k), -(-image[1] // 2**k)) for k in range(12)}
    entry, args = OPS[leaf.entry], dict(leaf.args)
    if entry.targets:
        args["size"] = sizes.get(args.get("to") or 1)
        if args["size"] is None:
            return None
    for shrinking in (1, 2):
        inputs: list[Shape] = []
        for place, channels in enumerate(leaf.channels):
            factor = shrinking**place
            inputs.append(
                Shape(channels, STRIDE * factor, max(1, -(-side[0] // factor)), max(1, -(-side[1] // factor)))
            )
        try:
            output = entry.shape(args, tuple(inputs))
        except (BadArgument, ValueError):
            continue
        return Worked(subject, leaf, tuple(inputs), output, sizes)
    return None
