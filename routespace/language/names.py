"""Names of a space, checked wherever they stand, whether or not the place is ever expanded."""

from __future__ import annotations

from collections.abc import Iterable

from routespace.diagnostics import Findings
from routespace.space.expr import NetDecl
from routespace.space.model import Space


def check_names(space: Space, nets: Iterable[NetDecl], findings: Findings) -> None:
    """Report unknown and doubly declared names of `space` and of the nets declared in it."""
