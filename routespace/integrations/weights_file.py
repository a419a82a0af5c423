"""Weights in safetensors files, of which nothing is believed that they say of themselves."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from routespace.files import check_file
from routespace.plain_json import read_json

SPARE_HEAD = 2**20
"""Bytes of a head beside those for the entries that a module has."""
_ENTRY = 200
"""Bytes that an entry may take there beside its name."""
_LENGTH = struct.Struct("<Q")
_PICKLES = (b"PK\x03\x04", b"\x80\x02")
"""How the files begin that `torch.save` writes, today's and those of before 1.6."""
_MOST = 2**62


class NotWeightsError(ValueError):
    """Content that is not that of a safetensors file."""


def most_bytes(module: nn.Module) -> int:
    """How many bytes a file of the weights of `module` has at most, whatever dtype they were stored in."""
    state = module.state_dict()
    numbers: int = sum(max(8, tensor.element_size()) * tensor.numel() for tensor in state.values())
    return _LENGTH.size + _most_head(state) + numbers


def weights_in(content: bytes, module: nn.Module) -> dict[str, Tensor]:
    """The tensors in the content of a file by name; whether they fit `module` is not looked at.

    Raises `NotWeightsError`; of a head that is longer than that of the weights of `module` can be, before it is read.
    """
    _check_head(content[: _LENGTH.size + _most_head(module.state_dict())], module)
    try:
        return safetensors.torch.load(content)
    except (safetensors.SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise _unread(error) from None


def weights_at(path: Path, module: nn.Module) -> dict[str, Tensor]:
    """The tensors in the file at `path`, which are read where they are used. As `weights_in`; also raises `OSError`."""
    check_file(path, _MOST)
    with path.open("rb") as file:
        _check_head(file.read(_LENGTH.size + _most_head(module.state_dict())), module)
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise _unread(error) from None


def _most_head(names: Iterable[str]) -> int:
    return SPARE_HEAD + sum(len(name.encode()) + _ENTRY for name in names)


def _check_head(start: bytes, module: nn.Module) -> None:
    if len(start) < _LENGTH.size:
        raise NotWeightsError("it is too short")
    if start.startswith(_PICKLES):
        raise NotWeightsError(
            "it is a checkpoint of `torch.save`, which holds code that reading would run; if it is yours, write its "
            "tensors with `safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW_FILE)`"
        )
    (length,) = _LENGTH.unpack_from(start)
    most = _most_head(module.state_dict())
    if length > most:
        raise NotWeightsError(f"its head has {length} bytes, more than {most}: it is damaged, or of something else")
    try:
        read_json(start[_LENGTH.size : _LENGTH.size + length])
    except ValueError as error:
        raise NotWeightsError(f"its head cannot be read: {error}") from None


def _unread(error: Exception) -> NotWeightsError:
    if isinstance(error, KeyError):
        return NotWeightsError(f"it holds numbers of dtype {error.args[0]}, which are not read")
    return NotWeightsError((str(error).splitlines() or [type(error).__name__])[0])
