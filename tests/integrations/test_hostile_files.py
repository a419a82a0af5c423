"""Artifacts and weights that are not what they seem: told at once, by name, in little memory."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import routespace as rs
from routespace.diagnostics import RouteError
from routespace.integrations.artifact import load_artifact, save_artifact
from routespace.integrations.weights_file import NotWeightsError, most_bytes, weights_at, weights_in
from routespace.runtime.weights import load_strictly
from routespace.space.model import Space

NAMES = ("space.json", "space.route", "weights.safetensors")


@pytest.fixture
def saved(space: Space, tmp_path: Path) -> Path:
    return save_artifact(tmp_path / "artifact", space, rs.compile(space, form="dense", seed=5))


@contextmanager
def refused(folder: Path, name: str = "", says: str = "RS952") -> Iterator[None]:
    """The block raises RS952 that names the file, within two seconds and 100 MB."""
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(RouteError, match=says) as error:
            yield
        assert error.value.diagnostics[0].code == "RS952" and str(folder / name) in str(error.value)
        assert len(error.value.diagnostics[0].message) < 500 and "\n" not in error.value.diagnostics[0].message
        assert time.monotonic() - started < 2 and tracemalloc.get_traced_memory()[1] < 10**8
    finally:
        tracemalloc.stop()


def seal(folder: Path, **described: object) -> None:
    """Have the description say these things and the digests of what is there: nothing but its meaning is wrong then."""
    path = folder / "space.json"
    told: dict[str, Any] = json.loads(path.read_text()) | described
    told["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in NAMES[1:]}
    path.write_text(json.dumps(told))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "circle"])
def test_what_is_no_file_is_named(saved: Path, name: str, kind: str) -> None:
    path = saved / name
    path.unlink()
    {
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
        "circle": lambda: path.symlink_to(name),
    }[kind]()
    with refused(saved, name):
        load_artifact(saved)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_size_is_named(saved: Path, name: str) -> None:
    os.truncate(saved / name, 2**40)
    with refused(saved, name, "more than the"):
        load_artifact(saved)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"format": 1, "format": 1}', "twice"),
        ('{"format": ' + "1" * 5000 + "}", "not JSON"),
        ("\ud800".encode("utf-8", "surrogatepass"), "not JSON"),
        ("[" + "[]," * 2_000_000 + "1]", "description"),
    ],
    ids=["lists", "objects", "twice", "digits", "surrogate", "wide"],
)
def test_json_that_is_hostile(saved: Path, text: str | bytes, says: str) -> None:
    (saved / "space.json").write_bytes(text.encode() if isinstance(text, str) else text)
    if says == "description":
        with pytest.raises(RouteError, match=says):
            load_artifact(saved)
        return
    with refused(saved, "space.json", says):
        load_artifact(saved)


@pytest.mark.parametrize(
    "described",
    [
        {"parameters": {"width": 10**4000}},
        {"parameters": {"width": float("inf")}},
        {"parameters": {"width": "image"}},
        {"parameters": {"stranger": 1}},
        {"policies": {"live": 7}},
        {"policies": {"stranger": "yes"}},
        {"net": "stranger"},
        {"space": "stranger"},
        {"space": "\x1b[2J\n"},
    ],
    ids=lambda described: str(described)[:40],
)
def test_descriptions_that_contradict_the_text(saved: Path, described: dict[str, object]) -> None:
    seal(saved, **described)
    with pytest.raises(RouteError) as error:
        load_artifact(saved)
    assert len(str(error.value)) < 10_000 and "\x1b" not in str(error.value)


def test_a_space_that_the_weights_are_too_few_of_is_not_compiled(saved: Path) -> None:
    path = saved / "space.route"
    seal(saved, parameters={"width": 100_000})
    with refused(saved, "weights.safetensors", "numbers"):
        load_artifact(saved)
    path.write_text(path.read_text() + "\n# more\n")
    seal(saved, parameters={})
    assert load_artifact(saved)


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def content(head: object, data: int = 8, length: int | None = None) -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(data)


TWICE = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no head": lambda: content(b"", 0),
    "a head of 2^63": lambda: content(b"{}", 0, 2**63),
    "a head of 64 MB": lambda: content(b"{}", 0, 2**26),
    "deep": lambda: content(b"[" * 100_000),
    "twice": lambda: content(TWICE),
    "overlap": lambda: content({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, 12),
    "hole": lambda: content({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)}, 12),
    "overflow": lambda: content({"a": entry("F32", [2**40, 2**40], 0, 8)}),
    "strides": lambda: content({"a": entry("F32", [0, 2**62, 4], 0, 0)}, 0),
    "negative": lambda: content({"a": entry("F32", [-2], 0, 8)}),
    "backwards": lambda: content({"a": entry("F32", [2], 8, 0)}),
    "digits": lambda: content(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}'),
    "dtype": lambda: content({"a": entry("F4", [16], 0, 8)}),
    "words": lambda: content({"a": entry("STRING", [1], 0, 8)}),
    "too many": lambda: content({str(at): entry("F32", [0], 0, 0) for at in range(100_000)}, 0),
    "more behind": lambda: content({"a": entry("F32", [1], 0, 4)}, 4000),
    "a pickle": lambda: b"\x80\x02}q\x00." * 100,
    "a zip": lambda: b"PK\x03\x04" + bytes(1000),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_weights_that_are_hostile(saved: Path, space: Space, kind: str) -> None:
    path = saved / "weights.safetensors"
    numbers = path.stat().st_size
    lies = HOSTILE[kind]()
    path.write_bytes(lies)
    module = rs.compile(space)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for read in (lambda: weights_at(path, module), lambda: weights_in(lies, module)):
        started = time.monotonic()
        try:
            with pytest.raises(rs.WeightsError):
                load_strictly(module, read())
        except NotWeightsError as error:
            assert "\n" not in str(error)
        assert time.monotonic() - started < 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    path.write_bytes(lies + bytes(max(0, numbers - len(lies))))
    seal(saved)
    with refused(saved, path.name):
        load_artifact(saved)


def test_most_bytes_hold_every_dtype(space: Space, tmp_path: Path) -> None:
    module = rs.compile(space).double()
    content = safetensors.torch.save(module.state_dict())
    assert len(content) <= most_bytes(rs.compile(space))
    assert weights_in(content, module).keys() == module.state_dict().keys()


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_of_torch_save_are_told_as_that(space: Space, tmp_path: Path, zipped: bool) -> None:
    module = rs.compile(space)
    torch.save(module.state_dict(), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(NotWeightsError, match=r"checkpoint of `torch.save`.*weights_only=True"):
        weights_at(tmp_path / "w.pth", module)
