"""Loading weights whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from routespace.runtime.errors import WeightsError
from routespace.runtime.prefixes import hint


def load_strictly(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    names: Mapping[str, str] | None = None,
    others: Collection[str] = (),
) -> None:
    """Load `weights` into `module`, every entry or none.

    `names` says what entries of the module are called in `weights`; the others go by their own names. What `others`
    names is not looked at. Raises `WeightsError` listing missing, extra and mis-shaped entries, and `TypeError` for
    what is no state_dict; nothing has been written then.
    """
    fit = held_against(module, weights, names, others)
    if fit.missing or fit.extra or fit.misshapen:
        raise unfitting(fit)
    copy_in(fit)


class Fit(NamedTuple):
    """How weights fit a module: entries with what goes there, and the names of those that do not; `hint` says where
    the names of the module stand among the weights."""

    pairs: dict[str, tuple[Tensor, Tensor]]
    missing: list[str]
    extra: list[str]
    misshapen: dict[str, str]
    hint: str | None


def held_against(
    module: nn.Module, weights: Mapping[str, Tensor], names: Mapping[str, str] | None, others: Collection[str]
) -> Fit:
    """Hold weights against the entries of a module. Raises `TypeError` for what is no state_dict."""
    check_mapping(weights)
    called = names or {}
    own = {called.get(name, name): tensor for name, tensor in module.state_dict().items()}
    missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    extra = [name for name in weights if name not in own and name not in others]
    wrong = {name: unfit(weights[name], tensor) for name, tensor in own.items() if name in weights}
    misshapen = {name: why for name, why in wrong.items() if why}
    pairs = {name: (own[name], weights[name]) for name, why in wrong.items() if not why}
    return Fit(pairs, missing, extra, misshapen, hint(weights, own))


def unfitting(fit: Fit) -> WeightsError:
    """The error that lists what does not fit."""
    misshapen = [f"{name}: {why}" for name, why in fit.misshapen.items()]
    message = "\n".join(_lines(fit.missing, fit.extra, misshapen, fit.hint))
    return WeightsError(message, fit.missing, fit.extra, misshapen)


def copy_in(fit: Fit) -> None:
    """Write what fits. What can fail of that fails before anything is written."""
    staged = [(own, _staged(given, own)) for own, given in fit.pairs.values()]
    with torch.no_grad():
        for own, tensor in staged:
            own.copy_(tensor)


def check_mapping(weights: object) -> None:
    """Raises `TypeError` for what is no mapping from names."""
    if not isinstance(weights, Mapping):
        raise TypeError(f"weights are a state_dict, a mapping from names to tensors, not {_kind_of(weights)}")
    for name in weights:
        if not isinstance(name, str):
            raise TypeError(f"the names of a state_dict are strings; {name!r} is {_kind_of(name)}")


def _kind_of(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def unfit(given: object, own: Tensor) -> str | None:
    """Why an entry cannot be copied to its place, None where it can."""
    needed = f"{_described(own)} is needed"
    if not isinstance(given, Tensor):
        return f"{_kind_of(given)}, {needed}"
    if own.is_meta:
        return "the module's own entry is on `meta`, where nothing can be loaded: give it a device first"
    if given.is_meta:
        return f"{_described(given)} on `meta`, which has no numbers; {needed}"
    if given.layout != torch.strided or given.is_quantized:
        layout = "quantized" if given.is_quantized else str(given.layout).removeprefix("torch.")
        return f"{_described(given)}, {layout}; a plain tensor is needed"
    if given.shape != own.shape or _kind(given.dtype) != _kind(own.dtype):
        return f"{_described(given)}, {needed}"
    return None


def _described(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _kind(dtype: torch.dtype) -> str:
    """Dtypes that numbers pass between: within a kind they are converted."""
    if dtype.is_floating_point or dtype.is_complex:
        return "floating" if dtype.is_floating_point else "complex"
    return "yes or no" if dtype == torch.bool else "whole"


def _staged(given: Tensor, own: Tensor) -> Tensor:
    """An entry as it will be copied: what can fail of that fails here, before anything is written."""
    return given.detach().to(device=own.device, dtype=own.dtype)


def _lines(missing: list[str], extra: list[str], misshapen: list[str], told: str | None) -> Iterator[str]:
    yield "the weights do not fit the module; nothing was loaded"
    for title, names in (("missing", missing), ("extra", extra), ("mis-shaped", misshapen)):
        if names:
            yield f"  {title} ({len(names)}):"
            yield from (f"    {name}" for name in names[:20])
        if len(names) > 20:
            yield f"    … and {len(names) - 20} more"
    if told:
        yield f"  help: {told}"
