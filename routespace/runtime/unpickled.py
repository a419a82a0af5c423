"""What tells those who pickle a compiled module what to do instead."""

from __future__ import annotations

from typing import NoReturn


class Unpickled:
    """Part of every compiled module, before anything in it that pickle fails on. Copies of a module share it."""

    def __deepcopy__(self, memo: dict[int, object]) -> Unpickled:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a compiled module is not pickled, as that would be code: save `module.state_dict()` and compile the space "
            "again, or write both with `routespace.integrations.artifact.save_artifact`"
        )
