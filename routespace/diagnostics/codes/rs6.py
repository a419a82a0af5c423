"""RS6: policies, and what is not supported yet."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry
from routespace.diagnostics.codes.texts import OUTPUT, space_of

ENTRIES = (
    Entry(
        "RS601",
        "unknown policy",
        "A space declares `live`, `init`, `budget` and `cost`, each at most once. A number is declared with `let`,\n"
        "an operation with `op`.",
        space_of(OUTPUT + "  liv by_node\n"),
    ),
    Entry(
        "RS602",
        "something that is not supported yet",
        "The grammar can say this, but no form can run it yet. It is refused rather than guessed.",
        space_of("  axis level = 0..1\n" + OUTPUT + "  share across(level) except relu\n"),
    ),
    Entry(
        "RS603",
        "value that a policy does not have",
        "`live` is by_route, by_node or always; `init` is kaiming or normal(std); `budget` is none or a function of\n"
        "`expected / maximum`; `cost` is a convention by its name.",
        space_of(OUTPUT + "  live sometimes\n"),
    ),
    Entry(
        "RS604",
        "budget outside its range",
        "Target, start and ramp are fractions from 0 to 1, and the weight is not negative.",
        space_of(OUTPUT + "  budget square(expected / maximum, 1.5)\n"),
    ),
)
