"""Whether what a checkpoint holds is what a run would write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from routespace.integrations.fault import fault

_PARTS = {"callbacks": dict, "global_step": int, "loops": dict, "lr_schedulers": list, "optimizer_states": list}
"""What a checkpoint has beside weights, and of which kind."""
_SHOWN = 3


def check_fits(path: Path, checkpoint: Mapping[str, Any], task: LightningModule) -> None:
    """Raises `RouteError` RS952 unless a checkpoint has all parts, with weights and momenta of the shapes of `task`."""
    for name, kind in _PARTS.items():
        if not isinstance(checkpoint.get(name), kind):
            raise _other(path, [f"it has no `{name}`"])
    own = task.state_dict()
    notes = [*_differing(checkpoint["state_dict"], own), *_momenta(checkpoint["optimizer_states"], task)]
    if notes:
        more = [f"and {len(notes) - _SHOWN} more"] if len(notes) > _SHOWN else []
        raise _other(path, [*notes[:_SHOWN], *more])


def _differing(found: Mapping[str, Any], own: Mapping[str, Tensor]) -> Iterator[str]:
    for name in [*own, *(found.keys() - own.keys())]:
        short = str(name).removeprefix("module.")
        if name not in own:
            yield f"`{short}` is no weight of the space"
        elif not isinstance(found.get(name), Tensor):
            yield f"it has no weight `{short}`"
        elif found[name].shape != own[name].shape:
            yield f"`{short}` is {_shape(found[name])}, and {_shape(own[name])} in the space"


def _momenta(states: list[Any], task: LightningModule) -> Iterator[str]:
    """What differs of the state of the one optimizer, whose parameters are told by their places."""
    parameters = [one for one in task.parameters() if one.requires_grad]
    state = states[0].get("state") if len(states) == 1 and isinstance(states[0], dict) else None
    if not isinstance(state, dict):
        yield "it has not the state of one optimizer"
        return
    for place, each in state.items():
        if not isinstance(each, dict) or not isinstance(place, int) or not 0 <= place < len(parameters):
            yield f"its optimizer has a parameter {place}, the space has {len(parameters)}"
            return
        for name, tensor in each.items():
            if isinstance(tensor, Tensor) and tensor.dim() and tensor.shape != parameters[place].shape:
                yield f"`{name}` {place} of its optimizer is {_shape(tensor)}, and not {_shape(parameters[place])}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _other(path: Path, notes: list[str]) -> Exception:
    return fault(
        "RS952", f"`{path}` is not a checkpoint of this space", notes=notes, help="resume from another checkpoint"
    )
