"""Errors of running modules: they name the place and what was wrong with it."""

from __future__ import annotations


class InputError(ValueError):
    """What was given to a compiled module does not fit it: shape, size, dtype or device."""


class GateError(ValueError):
    """A forced or replayed gate does not exist or has no such route; or a gate gave NaN in debug mode."""


class WeightsError(ValueError):
    """A state_dict does not fit; `missing`, `extra` and `misshapen` list the entries. Nothing was loaded."""

    def __init__(self, message: str, missing: list[str], extra: list[str], misshapen: list[str]) -> None:
        self.missing, self.extra, self.misshapen = missing, extra, misshapen
        super().__init__(message)
