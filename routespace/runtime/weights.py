"""Loading weights whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from routespace.runtime.errors import WeightsError


def load_strictly(module: nn.Module, weights: Mapping[str, Tensor], names: Mapping[str, str] | None = None) -> None:
    """Load `weights` into `module`, every entry or none.

    `names` says what an entry of the module is called in `weights`, for messages. Raises `WeightsError` listing
    missing, extra and mis-shaped entries; nothing has been written then.
    """
    own = module.state_dict()
    shown = names or {}
    missing = [
        shown.get(name, name) for name in own if name not in weights and not name.endswith("num_batches_tracked")
    ]
    extra = [shown.get(name, name) for name in weights if name not in own]
    misshapen = [
        f"{shown.get(name, name)}: {_describe(weights[name])}, {tuple(own[name].shape)} is needed"
        for name in own
        if name in weights and not _fits(weights[name], own[name])
    ]
    if missing or extra or misshapen:
        raise WeightsError(_message(missing, extra, misshapen), missing, extra, misshapen)
    with torch.no_grad():
        for name, tensor in own.items():
            if name in weights:
                tensor.copy_(weights[name])


def _fits(given: object, own: Tensor) -> bool:
    return (
        isinstance(given, Tensor) and given.shape == own.shape and given.is_floating_point() == own.is_floating_point()
    )


def _describe(given: object) -> str:
    if not isinstance(given, Tensor):
        return type(given).__name__
    return f"{tuple(given.shape)} {str(given.dtype).removeprefix('torch.')}"


def _message(missing: list[str], extra: list[str], misshapen: list[str]) -> str:
    lines = ["the weights do not fit the module; nothing was loaded"]
    for title, names in (("missing", missing), ("extra", extra), ("mis-shaped", misshapen)):
        if names:
            lines.append(f"  {title} ({len(names)}):")
            lines.extend(f"    {name}" for name in names[:20])
            if len(names) > 20:
                lines.append(f"    … and {len(names) - 20} more")
    return "\n".join(lines)
