"""The kit that breaks gates: random spaces, an oracle, the laws, a search that shrinks, a pytest plugin.

Importing this package loads neither torch nor hypothesis; what is asked for does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routespace.testing.cases import Case, random_case
    from routespace.testing.entries import ENTRY_LAWS
    from routespace.testing.fuzzing import Found, Verdict, fuzz, keep, read_kept, replay, shrink, standalone
    from routespace.testing.laws import LAWS, LawViolation, Subject, check_laws
    from routespace.testing.laws.alone import ALONE_LAWS, Alone
    from routespace.testing.marks import routespace_laws
    from routespace.testing.oracle import Oracle, OracleResult

_HOMES = {
    "ALONE_LAWS": "laws.alone",
    "Alone": "laws.alone",
    "Case": "cases",
    "ENTRY_LAWS": "entries",
    "Found": "fuzzing",
    "LAWS": "laws",
    "LawViolation": "laws",
    "Oracle": "oracle",
    "OracleResult": "oracle",
    "Subject": "laws",
    "Verdict": "fuzzing",
    "check_laws": "laws",
    "fuzz": "fuzzing",
    "keep": "fuzzing",
    "random_case": "cases",
    "read_kept": "fuzzing",
    "replay": "fuzzing",
    "routespace_laws": "marks",
    "shrink": "fuzzing",
    "standalone": "fuzzing",
}

__all__ = [
    "ALONE_LAWS",
    "ENTRY_LAWS",
    "LAWS",
    "Alone",
    "Case",
    "Found",
    "LawViolation",
    "Oracle",
    "OracleResult",
    "Subject",
    "Verdict",
    "check_laws",
    "fuzz",
    "keep",
    "random_case",
    "read_kept",
    "replay",
    "routespace_laws",
    "shrink",
    "standalone",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `routespace.testing` has no attribute `{name}`")
    found = getattr(import_module(f"routespace.testing.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
