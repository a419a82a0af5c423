"""The widest floating-point numbers that a device has."""

from __future__ import annotations

import torch


def widest(device: torch.device) -> torch.dtype:
    """float64, or float32 for a device that has no better, such as Apple's GPUs."""
    try:
        return torch.empty(0, dtype=torch.float64, device=device).dtype
    except (TypeError, RuntimeError):
        return torch.float32
