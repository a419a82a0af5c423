"""A trained space or net as a folder: `space.route`, its parameters in `space.json`, and `weights.safetensors`.

Loading compiles the text again and fills in the weights strictly; nothing is unpickled. `space.json` carries the
digests of the other two files and is written last, so that a folder whose writing was cut short, or of which a file was
damaged or changed, is refused instead of giving other numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
from torch import Tensor, nn

import routespace as rs
from routespace.diagnostics import RouteError
from routespace.files import write_together
from routespace.integrations.artifact_files import (
    DESCRIPTION,
    FILES,
    FORMAT,
    TEXT,
    WEIGHTS,
    Artifact,
    Files,
    assemble,
    written,
)
from routespace.integrations.fault import fault
from routespace.language.format import format_file
from routespace.language.parser import parse
from routespace.language.prelude import prelude_ops
from routespace.runtime.wrapped import inside
from routespace.space.expr import File, ImportDecl
from routespace.space.model import Space, from_expr

if TYPE_CHECKING:
    from routespace.compiler import Form


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
    state = inside(module).state_dict()
    broken = not_finite(state)
    if broken is not None:
        raise fault("RS957", f"`{directory}` is not written: `{broken}` is not finite")
    tensors = {name: _own(tensor) for name, tensor in state.items()}
    files = {TEXT: space_text(space).encode(), WEIGHTS: safetensors.torch.save(tensors)}
    description = {
        "format": FORMAT,
        "routespace": rs.__version__,
        "space": space.name,
        "parameters": {name: written(value) for name, value in space.given.items()},
        "policies": {clause.name: written(from_expr(clause.value)) for clause in space.overrides},
        "net": net,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    files[DESCRIPTION] = json.dumps(description, indent=2).encode()
    try:
        assemble(Files(directory, files), None)
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
    return assemble(Files(Path(directory)), form)


def space_text(space: Space) -> str:
    """A text that declares `space` on its own: its author's where that does, else a formatted one."""
    place = space.declaration.span.path if space.declaration.span else None
    source = next((one for one in space.sources if one.path == place), None)
    if source is not None and _declares(source.text, space):
        return source.text
    return format_file(File(TEXT, (*space.library, space.declaration, *space.nets)))


def _declares(text: str, space: Space) -> bool:
    """Whether `text` declares all of `space`, imports nothing and can be written as UTF-8."""
    try:
        text.encode()
        items = parse(text).items
    except (RouteError, UnicodeEncodeError):
        return False
    if any(isinstance(one, ImportDecl) for one in items):
        return False
    known = {(one.kind, one.name): one for one in (*prelude_ops().values(), *items) if not isinstance(one, ImportDecl)}
    return all(known.get((one.kind, one.name)) == one for one in (space.declaration, *space.library, *space.nets))


def _own(tensor: Tensor) -> Tensor:
    """A copy that shares memory with nothing: parameters used at several places are stored at each."""
    return tensor.detach().cpu().contiguous().clone()


__all__ = [
    "DESCRIPTION",
    "FILES",
    "TEXT",
    "WEIGHTS",
    "Artifact",
    "load_artifact",
    "not_finite",
    "pack",
    "save_artifact",
]
