"""Results for zero inputs, computed once per size and weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

MOST_BYTES = 512 * 2**20


class Runs(Protocol):
    """A way to run an op, another one whenever the op changes; one that is not `folded` runs it as it stands."""

    @property
    def folded(self) -> bool: ...


class BlankStore:
    """Results of ops for inputs that depend on weights and size alone; the least recently used go first.

    Kept in inference without gradients only. An entry holds its input too, so that the input's identity, which is
    part of the key, stays that of the computation remembered. What is made of a tensor that is not kept, which another
    call makes anew, is not kept either: nobody would ask for it again. Threads share a store: what two of them make at
    once is kept once. `epoch` counts how often all that is derived of weights was given up; `learns` tells that a call
    recorded gradients since.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.learns = False
        self.entries: OrderedDict[Hashable, tuple[Tensor, Tensor | None]] = OrderedDict()
        self.bytes = 0
        self.kept: set[int] = set()
        self.lock = Lock()

    def get(self, way: Runs, x: Tensor, size: Hashable, make: Callable[[], Tensor]) -> tuple[Tensor, bool]:
        """What `way` makes of `x` in calls for inputs of `size`, and whether it had to be made."""
        if not way.folded or id(x) not in self.kept:
            return make(), True
        kind = x.device.type
        reduced = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        key = (way, id(x), size, reduced)
        found = self.lookup(key)
        return (found, False) if found is not None else (self.keep(key, _apart(make), x), True)

    def constant(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """A tensor that depends on `key` alone."""
        found = self.lookup(key)
        return found if found is not None else self.keep(key, _apart(make), None)

    def lookup(self, key: Hashable) -> Tensor | None:
        with self.lock:
            found = self.entries.get(key)
            if found is None:
                return None
            self.entries.move_to_end(key)
            return found[0]

    def keep(self, key: Hashable, value: Tensor, source: Tensor | None) -> Tensor:
        """What is kept under `key` from now on: `value`, or what another thread kept meanwhile."""
        with self.lock:
            kept, _ = self.entries.setdefault(key, (value, source))
            self.entries.move_to_end(key)
            if kept is value:
                self.bytes += value.nbytes
                self.kept.add(id(value))
            while self.bytes > MOST_BYTES and len(self.entries) > 1:
                _, (old, _) = self.entries.popitem(last=False)
                self.bytes -= old.nbytes
                self.kept.discard(id(old))
            return kept

    def refresh(self) -> None:
        """Give up all that is derived of weights, as they may have been written to without a trace."""
        with self.lock:
            self.epoch += 1
            self.learns = False
            self.entries.clear()
            self.kept.clear()
            self.bytes = 0

    def __deepcopy__(self, memo: dict[int, object]) -> BlankStore:
        return BlankStore()


def _apart(make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, as a tensor that later calls can use whether they record gradients or not."""
    with torch.inference_mode(False), torch.no_grad():
        return make()
