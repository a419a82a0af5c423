"""The files of an artifact, and what is compiled of them when they agree with each other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

import routespace as rs
from routespace.diagnostics import quoted
from routespace.files import check_file, read_file
from routespace.graph.nets import hold
from routespace.graph.params import count_parameters
from routespace.graph.passes.fix import fix
from routespace.integrations.fault import fault
from routespace.integrations.weights_file import NotWeightsError, most_bytes, weights_in
from routespace.language.load import RESERVED
from routespace.language.texts import LARGEST_FILE
from routespace.plain_json import MOST_BYTES, read_json
from routespace.space.model import ParameterValue, Space

if TYPE_CHECKING:
    from routespace.compiler import Form

FILES = TEXT, WEIGHTS, DESCRIPTION = "space.route", "weights.safetensors", "space.json"
FORMAT = 1
_ANY_SIZE = 2**62


@dataclass(frozen=True)
class Artifact:
    """What a folder holds, compiled: `net` names the net whose weights these are, None for the whole space."""

    space: Space
    module: nn.Module
    net: str | None


@dataclass(frozen=True)
class Files:
    """The files of an artifact: those that are `packed` to be written to the folder, or those that stand in it."""

    directory: Path
    packed: Mapping[str, bytes] | None = None

    def read(self, name: str, most: int) -> bytes:
        """The content of a file of at most `most` bytes. Raises `RouteError` RS952."""
        if self.packed is not None:
            return self.packed[name]
        try:
            return read_file(self.directory / name, most)
        except OSError as cause:
            raise self._unread(name, cause) from cause

    def size(self, name: str) -> int:
        """How many bytes a file has. Raises `RouteError` RS952."""
        if self.packed is not None:
            return len(self.packed[name])
        try:
            return check_file(self.directory / name, _ANY_SIZE)
        except OSError as cause:
            raise self._unread(name, cause) from cause

    def _unread(self, name: str, cause: OSError) -> Exception:
        inner = self.directory / "artifact"
        found = (inner / DESCRIPTION).is_file()
        cure = f"give {quoted(inner)}" if found else "give the folder `artifact` that training wrote"
        return fault("RS952", f"{quoted(self.directory / name)} cannot be read: {cause.strerror}", help=cure)


def assemble(files: Files, form: Form | None) -> Artifact:
    """What the files of an artifact hold, compiled.

    Each file is read when those before it have said what to expect of it: weights only as many as the space has.
    """
    directory = files.directory
    description = _read_description(directory / DESCRIPTION, files.read(DESCRIPTION, MOST_BYTES))
    text = files.read(TEXT, LARGEST_FILE)
    _check(directory / TEXT, text, description)
    net = description["net"]
    form = form or ("fixed" if net else "sparse")
    if (form == "fixed") != (net is not None):
        held = f"the weights of net `{net}` only" if net else "the weights of a whole space, and of no single net"
        raise fault("RS953", f"{quoted(directory)} cannot be loaded as {form}", notes=(f"it holds {held}",))
    space = _space(directory, description, text)
    needed, size = _numbers(space, net), files.size(WEIGHTS)
    if size < needed:
        raise _damaged(directory / WEIGHTS, f"it has {size} bytes, and the space {needed} numbers")
    module = rs.compile(space, form=form, net=net)
    content = files.read(WEIGHTS, most_bytes(module))
    _check(directory / WEIGHTS, content, description)
    _fill(module, content, directory / WEIGHTS)
    return Artifact(space, module.eval(), net)


def _numbers(space: Space, net: str | None) -> int:
    """How many trained numbers what is to be compiled has at least."""
    graph = rs.build(space)
    return count_parameters(graph if net is None else fix(graph, hold(graph, net))).total


def _check(path: Path, content: bytes, description: dict[str, Any]) -> None:
    if hashlib.sha256(content).hexdigest() != description["sha256"][path.name]:
        raise _damaged(path, f"its content is not what {DESCRIPTION} was written with")


def _fill(module: nn.Module, content: bytes, path: Path) -> None:
    try:
        module.load_state_dict(weights_in(content, module))
    except (NotWeightsError, RuntimeError, ValueError) as cause:
        raise _damaged(path, f"its weights do not fit the space: {_line(cause)}") from cause


def _line(cause: Exception) -> str:
    """What an error of others says, in one line."""
    return " ".join(str(cause).split())


def _space(directory: Path, description: dict[str, Any], text: bytes) -> Space:
    bound = {name: _unwritten(value) for name, value in (description["parameters"] | description["policies"]).items()}
    try:
        return rs.loads(text.decode(), path=str(directory / TEXT), space=description["space"], **bound)
    except (TypeError, ValueError, OverflowError) as cause:
        raise _damaged(directory / DESCRIPTION, f"its parameters do not fit the space: {_line(cause)}") from cause


def written(value: ParameterValue) -> Any:
    """A value as JSON holds it: a fraction is a text, `1/3`, and no other text is like it."""
    if isinstance(value, (list, tuple)):
        return [written(one) for one in value]
    return f"{value.numerator}/{value.denominator}" if isinstance(value, Fraction) else value


def _unwritten(value: Any) -> Any:
    if isinstance(value, list):
        return [_unwritten(one) for one in value]
    return Fraction(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]+/0*[1-9][0-9]*", value) else value


def _read_description(path: Path, content: bytes) -> dict[str, Any]:
    try:
        description = read_json(content)
    except ValueError as cause:
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
    if not all(isinstance(digest, str) for digest in description["sha256"].values()):
        raise _damaged(path, "its digests are no text")
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


def _damaged(path: Path, why: str) -> Exception:
    return fault("RS952", f"{quoted(path)} is damaged: {why}", help="train or export it again")
