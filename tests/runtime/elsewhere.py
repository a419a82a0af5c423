"""A device that is not there: tensors that say they are on `cuda`, and refuse to meet those of the CPU.

Their numbers live on the CPU. What is checked is where tensors are made, moved and joined, which decides whether code
runs on a GPU at all; kernels of GPUs are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

CUDA = torch.device("cuda:0")
_INDEXING = ("Tensor.__getitem__", "Tensor.__setitem__", "Tensor.index_put", "Tensor.index_put_", "index_put")
_CROSSING = ("Tensor.copy_", "Tensor.to", "Tensor.cpu", "Tensor.cuda", "Tensor.type_as")


class Far(Tensor):
    """A tensor that says it is on `cuda:0`."""


class Elsewhere(TorchFunctionMode):
    """Within the block `device="cuda"` makes `Far` tensors; calls that join them with others raise, as on a GPU."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = (resolve_name(func) or "").removeprefix("torch.")
        far = any(isinstance(one, Far) for one in _tensors((args, kwargs)))
        if name == "Tensor.device.__get__":
            return CUDA if far else torch.device("cpu")
        if name == "Tensor.is_cuda.__get__":
            return far
        if far and name not in _CROSSING:
            _refuse_others(name, args, kwargs)
        asked, args, kwargs = _placed(args, kwargs)
        if name in ("Tensor.cpu", "Tensor.numpy"):
            asked = "cpu"
        elif name in ("Tensor.to", "Tensor.type_as") and asked is None:
            like = next((one for one in args[1:] if isinstance(one, Tensor)), args[0])
            asked = "cuda" if isinstance(like, Far) else "cpu"
        elif name == "Tensor.copy_":
            asked = "cuda" if isinstance(args[0], Far) else "cpu"
        with torch._C.DisableTorchFunctionSubclass():
            made = func(*args, **kwargs)
        return _marked(made, far if asked is None else asked == "cuda")


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)


def _refuse_others(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Numbers may come from the CPU, and so may the places that a tensor on the GPU is read at."""
    joined = args[:1] if name in _INDEXING else (args, kwargs)
    found = list(_tensors(joined))
    if not all(isinstance(one, Far) or one.dim() == 0 for one in found) or not any(isinstance(o, Far) for o in found):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, cuda:0 and cpu are given")


def _placed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str | None, tuple[Any, ...], dict[str, Any]]:
    """The device asked for, and the arguments with the CPU in its place."""
    asked: str | None = None
    given: list[Any] = []
    for one in args:
        if isinstance(one, torch.device):
            asked, one = one.type, torch.device("cpu")
        given.append(one)
    if kwargs.get("device") is not None:
        asked = torch.device(kwargs["device"]).type
        kwargs["device"] = torch.device("cpu")
    return asked, tuple(given), kwargs


def _marked(made: Any, far: bool) -> Any:
    if isinstance(made, Tensor):
        if isinstance(made, Far) == far:
            return made
        return made.as_subclass(Far if far else Tensor)  # type: ignore[arg-type]
    if isinstance(made, tuple) and hasattr(made, "_fields"):
        return type(made)(*(_marked(one, far) for one in made))
    if type(made) in (list, tuple):
        return type(made)(_marked(one, far) for one in made)
    return made


def sent(value: Any) -> Any:
    """Images, or a module with all of its parameters and buffers, on the device that is not there."""
    if isinstance(value, Tensor):
        return value.detach().as_subclass(Far).requires_grad_(value.requires_grad)
    if isinstance(value, Mapping):
        return {name: sent(one) for name, one in value.items()}
    assert isinstance(value, nn.Module)
    for part in value.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = sent(tensor)
    return value
