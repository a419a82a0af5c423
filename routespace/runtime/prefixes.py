"""What wrappers and training programs put around the names of a state_dict, and how it is taken off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

_WRITERS = {"module": "DataParallel, DistributedDataParallel or AveragedModel", "_orig_mod": "torch.compile"}
_FOLDERS = ("state_dict", "model", "model_state_dict", "module")
"""Entries that training programs keep a state_dict below, the likeliest first."""


def hint(weights: Mapping[str, object], own: Collection[str]) -> str | None:
    """Where in `weights` the names of a module stand, as far as they stand there; None where they do not."""
    below = [name for name, value in weights.items() if isinstance(value, Mapping)]
    if below:
        found = next((name for name in _FOLDERS if name in below), below[0])
        told = f"the weights seem to stand below `{found}`: give that entry, `checkpoint[{found!r}]`"
        inner = weights[found]
        further = hint(inner, own) if isinstance(inner, Mapping) else None
        return f"{told}; there, {further}" if further else told
    prefix = prefix_of(weights, own)
    if not prefix:
        return None
    whole = all(name.startswith(prefix) for name in weights)
    written = [f"`{part}.` is of {_WRITERS[part]}" for part in dict.fromkeys(prefix.split(".")) if part in _WRITERS]
    told = f"every name begins with `{prefix}`" if whole else f"the names of this module stand behind `{prefix}`"
    told += f" ({', '.join(written)})" if written else ", the name that the module had in another one"
    beside = "" if whole else ", and leave the others out"
    return f"{told}: take it off{beside}, `{{name.removeprefix({prefix!r}): … }}`"


def prefix_of(weights: Mapping[str, object], own: Collection[str]) -> str:
    """What most of the names in `weights` that end in one of `own` begin with; that of wrappers where none does."""
    known = frozenset(own)
    if not known.isdisjoint(weights):
        return ""
    counted = Counter(prefix for name in weights for prefix in _prefixes(name, known))
    if counted:
        return counted.most_common(1)[0][0]
    written = {_written(name) for name in weights}
    return written.pop() if len(written) == 1 else ""


def _prefixes(name: str, own: frozenset[str]) -> Iterator[str]:
    """What stands before the longest end of a name that is one of `own`."""
    place = name.find(".") + 1
    while place:
        if name[place:] in own:
            yield name[:place]
            return
        place = name.find(".", place) + 1


def _written(name: str) -> str:
    """The parts at the beginning of a name that wrappers write."""
    prefix = ""
    for part in name.split("."):
        if part not in _WRITERS:
            return prefix
        prefix += f"{part}."
    return prefix
