"""A trained space or net as a folder: `space.route`, its parameters in `space.json`, and `weights.safetensors`.

Loading compiles the text again and fills in the weights strictly; nothing is unpickled. `space.json` carries the
digests of the other two files and is written last, so that a folder whose writing was cut short, or of which a file was
damaged or changed, is refused instead of giving other numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
from torch import Tensor, nn

import routespace as rs
from routespace.diagnostics import RouteError
from routespace.files import write_together
from routespace.integrations.fault import fault
from routespace.language.format import format_file
from routespace.language.load import RESERVED
from routespace.space.expr import File
from routespace.space.model import Space, from_expr

if TYPE_CHECKING:
    from routespace.compiler import Form

FILES = TEXT, WEIGHTS, DESCRIPTION = "space.route", "weights.safetensors", "space.json"
FORMAT = 1


@dataclass(frozen=True)
class Artifact:
    """What a folder holds, compiled: `net` names the net whose weights these are, None for the whole space."""

    space: Space
    module: nn.Module
    net: str | None


def save_artifact(directory: Path | str, space: Space, module: nn.Module, *, net: str | None = None) -> Path:
    """Write `module`'s weights and what is needed to compile it again; returns the folder.

    `module` is `space` compiled in any form, or its net `net` compiled as `fixed`. Files of an earlier artifact in the
    folder are replaced once all new ones are written. Raises, before anything is written, `RouteError` RS957 where a
    weight is no finite number, or where what would be written could not be loaded again.
    """
    directory = Path(directory)
    files = pack(directory, space, module, net)
    directory.mkdir(parents=True, exist_ok=True)
    write_together({directory / name: content for name, content in files.items()})
    return directory


def pack(directory: Path, space: Space, module: nn.Module, net: str | None) -> dict[str, bytes]:
    """The files of an artifact by name, the description last, after one look whether they can be loaded."""
    state = module.state_dict()
    broken = not_finite(state)
    if broken is not None:
        raise fault("RS957", f"`{directory}` is not written: `{broken}` is not finite")
    tensors = {name: _own(tensor) for name, tensor in state.items()}
    files = {TEXT: space_text(space).encode(), WEIGHTS: safetensors.torch.save(tensors)}
    description = {
        "format": FORMAT,
        "routespace": rs.__version__,
        "space": space.name,
        "parameters": {binding.name: space.parameter(binding.name) for binding in space.parameters},
        "policies": {clause.name: from_expr(clause.value) for clause in space.overrides},
        "net": net,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    files[DESCRIPTION] = json.dumps(description, indent=2).encode()
    try:
        _assemble(directory, files, None)
    except RouteError as error:
        raise fault(
            "RS957",
            f"`{directory}` is not written: what would be written could not be loaded again",
            notes=[f"{one.code}: {one.message}" for one in error.diagnostics],
        ) from error
    return files


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity."""
    return next((name for name, tensor in state.items() if not bool(tensor.isfinite().all())), None)


def load_artifact(directory: Path | str, form: Form | None = None) -> Artifact:
    """Compile what `save_artifact` wrote, in evaluation mode; the form is `sparse`, for a net `fixed`, unless given.

    Raises `RouteError` RS952 where a file is missing, damaged or changed, and RS953 for a form the weights are not of.
    """
    directory = Path(directory)
    return _assemble(directory, {name: _read(directory / name) for name in reversed(FILES)}, form)


def _assemble(directory: Path, files: Mapping[str, bytes], form: Form | None) -> Artifact:
    """What the files of an artifact hold, compiled."""
    description = _read_description(directory / DESCRIPTION, files[DESCRIPTION])
    for name, digest in description["sha256"].items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise _damaged(directory / name, f"its content is not what {DESCRIPTION} was written with")
    net = description["net"]
    form = form or ("fixed" if net else "sparse")
    if (form == "fixed") != (net is not None):
        held = f"the weights of net `{net}` only" if net else "the weights of a whole space, and of no single net"
        raise fault("RS953", f"`{directory}` cannot be loaded as {form}", notes=(f"it holds {held}",))
    space = _read_space(directory, description, files[TEXT])
    module = rs.compile(space, form=form, net=net)
    try:
        module.load_state_dict(safetensors.torch.load(files[WEIGHTS]))
    except (RuntimeError, ValueError, safetensors.SafetensorError) as cause:
        raise _damaged(directory / WEIGHTS, f"its weights do not fit the space: {cause}") from cause
    return Artifact(space, module.eval(), net)


def space_text(space: Space) -> str:
    """A text that declares `space` on its own: its author's where it came from one file, else a formatted one."""
    if len(space.sources) == 1:
        return space.sources[0].text
    return format_file(File(TEXT, (*space.library, space.declaration, *space.nets)))


def _own(tensor: Tensor) -> Tensor:
    """A copy that shares memory with nothing: parameters used at several places are stored at each."""
    return tensor.detach().cpu().contiguous().clone()


def _read_space(directory: Path, description: dict[str, Any], text: bytes) -> Space:
    bound = description["parameters"] | description["policies"]
    try:
        return rs.loads(text.decode(), path=str(directory / TEXT), space=description["space"], **bound)
    except (TypeError, ValueError, OverflowError) as cause:
        raise _damaged(directory / DESCRIPTION, f"its parameters do not fit the space: {cause}") from cause


def _read_description(path: Path, content: bytes) -> dict[str, Any]:
    try:
        description = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise _damaged(path, f"it is not JSON: {cause}") from cause
    wanted = {"format", "space", "parameters", "policies", "net", "sha256"}
    if not isinstance(description, dict) or not wanted <= description.keys():
        raise _damaged(path, "it is not the description of a saved space")
    if description["format"] != FORMAT:
        raise _damaged(path, f"it is of format {description['format']}, this version reads format {FORMAT}")
    if not isinstance(description["sha256"], dict) or description["sha256"].keys() != {TEXT, WEIGHTS}:
        raise _damaged(path, f"it does not describe {TEXT} and {WEIGHTS}")
    for name in ("parameters", "policies"):
        if not _is_bound(description[name]):
            raise _damaged(path, f"its {name} are not values by name")
    if not isinstance(description["space"], str) or not isinstance(description["net"], (str, type(None))):
        raise _damaged(path, "its space and net are not told by their names")
    return description


def _is_bound(values: object) -> bool:
    """Whether these are values of parameters or policies by name."""
    return isinstance(values, dict) and all(
        name not in RESERVED and all(isinstance(one, (bool, int, float, str)) for one in _each(value))
        for name, value in values.items()
    )


def _each(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        inner = path.parent / "artifact"
        found = (inner / DESCRIPTION).is_file()
        cure = f"give `{inner}`" if found else "give the folder `artifact` that training wrote"
        raise fault("RS952", f"`{path}` cannot be read: {cause.strerror}", help=cure) from cause


def _damaged(path: Path, why: str) -> Exception:
    return fault("RS952", f"`{path}` is damaged: {why}", help="train or export it again")
