"""A mutant: one place of the package's source said differently, as a plausible slip would say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "routespace"


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `file` and becomes `new`. `table` is a case table of the tests, where no law can know."""

    name: str
    file: str
    old: str
    new: str
    table: str = ""

    @property
    def module(self) -> str:
        return f"routespace.{self.file.removesuffix('.py').replace('/', '.')}"

    def mutate(self, source: str) -> str:
        """The source with the slip in it; `ValueError` where the place is not there just once."""
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"mutant `{self.name}`: its place stands {found} times in {self.file}")
        return source.replace(self.old, self.new)
