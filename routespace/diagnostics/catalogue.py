"""All codes and what they mean."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from textwrap import indent

from routespace.diagnostics import codes
from routespace.diagnostics.codes.entry import Entry

__all__ = ["CATALOGUE", "Entry", "explain"]


def _collect() -> dict[str, Entry]:
    code_to_entry: dict[str, Entry] = {}
    for module in sorted(one.name for one in iter_modules(codes.__path__) if one.name.startswith("rs")):
        for entry in import_module(f"{codes.__name__}.{module}").ENTRIES:
            if entry.code in code_to_entry:
                raise ValueError(f"{entry.code} stands twice in the catalogue")
            code_to_entry[entry.code] = entry
    return dict(sorted(code_to_entry.items()))


CATALOGUE: dict[str, Entry] = _collect()


def explain(code: str) -> str:
    """The page on `code`, in any case. Raises KeyError, with the nearest code if there is one.

    >>> print(explain("RS108").splitlines()[0])
    RS108: number that is too long or too large
    """
    entry = CATALOGUE.get(code.upper())
    if entry is None:
        near = max(CATALOGUE, key=lambda known: sum(map(str.__eq__, known, code.upper())))
        hint = f": did you mean `{near}`?" if near[:3] == code.upper()[:3] else ""
        raise KeyError(f"there is no code `{code}`{hint}")
    lines = [f"{entry.code}: {entry.title}", "", entry.explanation]
    if entry.example:
        lines += ["", "For example:", "", indent(entry.example.rstrip("\n"), "    ")]
    return "\n".join(lines)
