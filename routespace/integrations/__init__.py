"""What routespace works with: published checkpoints, training engines, data. The outer ring; parts need extras."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

_PARTS = ("official", "scenes", "train", "evaluate", "torchvision")


def __getattr__(name: str) -> ModuleType:
    if name in _PARTS:
        return import_module(f"routespace.integrations.{name}")
    raise AttributeError(f"module `routespace.integrations` has no attribute `{name}`")
