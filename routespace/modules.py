"""The torch modules of ops, made by the factories that the registries name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from routespace.graph.ir import Leaf, Op, Sequential
from routespace.runtime.outside import Outside, mark
from routespace.runtime.tree import BesideOp, ChainOp
from routespace.space.registry import MERGES, OPS


def op_module(op: Op) -> tuple[nn.Module, bool]:
    """The torch module of an op tree, and whether it is called with the sizes of the frame."""
    if isinstance(op, Leaf):
        entry = OPS[op.entry]
        module = factory(entry.factory)(op.channels, **dict(op.args))
        if entry.outside:
            window = None if entry.opaque or entry.window is None else entry.window(dict(op.args))
            mark(module, Outside(window, entry.keeps_size and not entry.opaque))
        return module, entry.targets
    parts = [op_module(part) for part in op.parts]
    modules, targets = [module for module, _ in parts], [flag for _, flag in parts]
    if isinstance(op, Sequential):
        return ChainOp(modules, targets), True
    return BesideOp(modules, targets, factory(MERGES[op.merge].factory)()), True


def coupling(op: Op) -> str | None:
    """Whether images meet in an op in training: "all" that reach it, or the "active" ones only."""
    if isinstance(op, Leaf):
        if OPS[op.entry].statistics != "batch":
            return None
        return str(dict(op.args).get("stats", "all"))
    found = [coupling(part) for part in op.parts]
    return "all" if "all" in found else "active" if "active" in found else None


def factory(name: str | Callable[..., Any]) -> Callable[..., Any]:
    """The callable that a registry names as `module:attribute`, or is."""
    if callable(name):
        return name
    module, attribute = name.split(":")
    return getattr(import_module(module), attribute)  # type: ignore[no-any-return]
