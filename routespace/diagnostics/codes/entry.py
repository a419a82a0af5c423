"""One row of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """What a code stands for: its title, why it is an error and what to do, and a text that provokes it."""

    code: str
    title: str
    explanation: str
    example: str
