"""What state_dicts have around the names of a module: prefixes of wrappers, and folders of training programs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

_WRITERS = {
    "module.": "`DataParallel`, `DistributedDataParallel` and `AveragedModel`",
    "_orig_mod.": "`torch.compile`",
}
_FOLDERS = ("state_dict", "model")
_BESIDE = frozenset({"n_averaged"})
"""What wrappers save of their own."""


def prefix_of(weights: Mapping[str, object], own: Collection[str]) -> str:
    """What stands before the names of a module in all entries that are its own, as wrappers write it; else ""."""
    names = [name for name in weights if name not in _BESIDE]
    shared = _common(names)
    wanted = _common(list(own))
    places = [place + 1 for place, sign in enumerate(shared) if sign == "."]
    fits = [place for place in places if {name[place:] for name in names} & set(own)]
    known = [place for place in places if _is_written(shared[:place])]
    found = max(fits or known, default=0)
    return "" if wanted.startswith(shared[:found]) else shared[:found]
