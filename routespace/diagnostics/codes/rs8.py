"""RS8: limits. The first one that is reached ends the building of a space."""

from __future__ import annotations

from routespace.diagnostics.codes.entry import Entry
from routespace.diagnostics.codes.texts import OUTPUT, space_of


def _ops(step: str, count: int) -> str:
    return "".join(f"  op c{n} = {step.format(f'c{n + 1}')}\n" for n in range(count)) + f"  op c{count} = relu\n"


ENTRIES = (
    Entry(
        "RS801",
        "space that is too large",
        "An axis has at most 20000 indices, a space 10000 nodes and 120000 expressions in all of them, an output\n"
        "1000 members, a pipe 5000 ops and a choice 5000 branches. For a node at most 100000 places are tried: a\n"
        "comparison of an axis with a number in its `where` spares those it excludes.",
        space_of("  axis layer = 0..50000\n" + OUTPUT),
    ),
    Entry(
        "RS802",
        "`let` that does not end",
        "A `let` reads itself at other indices, and after 20000 of them there is still no end. Give it one: `let\n"
        "w[n] = 8 if n == 0 else w[n - 1] + 8`.",
        space_of("  let w[n] = w[n + 1]\n  output y = image | conv(1, w[0])\n"),
    ),
    Entry(
        "RS803",
        "`for` over too many values",
        "A `for` runs over at most 4096 values. The lists that parameters are bound to have at most 20000 together\n"
        "where they are read from Python.",
        space_of("  let w = sum(1 for i in 1..5000)\n  output y = image | conv(1, w)\n"),
    ),
    Entry(
        "RS804",
        "number that is too large or too fine",
        "Numbers are exact, up to 2^53 on either side of 0, and fractions down to 2^-2048.",
        space_of("  let w = 2^60\n  output y = image | conv(1, w)\n"),
    ),
    Entry(
        "RS805",
        "ops that are nested too deeply",
        "Ops may contain each other 100 deep, brackets and pipes within them included.",
        space_of(_ops("{} | relu", 60) + "  output y = image | c0\n"),
    ),
    Entry(
        "RS806",
        "numbers that take too long to compute",
        "All conditions, indices and numbers of a space together take at most 1500000 steps. Mostly a `for` stands\n"
        "inside another one; a recursive `let` computes the same step by step, each value once.",
        space_of("  let w = sum(sum(1 for i in 1..4000) for j in 1..4000)\n  output y = image | conv(1, w)\n"),
    ),
    Entry(
        "RS807",
        "ops with too many parts",
        "All ops of a space together have at most 50000 parts once the ops they name are put in. Mostly ops that\n"
        "name each other twice double from one to the next.",
        space_of(_ops("{0} | {0}", 24) + "  output y = image | c0\n"),
    ),
    Entry(
        "RS808",
        "stream that is too large",
        "A stream has at most 4194304 channels and 16777216 positions a side at an image of 192x256, and a stride\n"
        "between 1/1048576 and 1048576.",
        space_of("  output y = image | resize(by = 64) | resize(by = 64) | resize(by = 64) | resize(by = 64)\n"),
    ),
)
