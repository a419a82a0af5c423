"""Attacks at length: `python -m tests.language.hostile --count 25000 --seed 0 --processes 2`.

Each text of `tests.language.attacks` is read, built, written out and its nets held. That ends in a space or in a
`RouteError`, within two seconds and 500 MB; and a process that has read all of its texts holds no more than it held
after the first of them. `--show N` prints a text: with the same files and seed always the same one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict

from tests.language.attacks import hostile
from tests.language.measure import Ran, Tally, Task, held, measured, pool, run_text, tasks

MORE = 40
"""Megabytes by which what a process holds may differ between its first texts and its last."""
SETTLED = 4
"""Chunks after which a process holds what it needs for itself."""


def run(seed: int, index: int) -> Ran:
    return measured(index, hostile(seed, index), run_text)


def chunk(task: Task) -> tuple[int, float, list[Ran]]:
    """The process, what it holds afterwards, and how its texts went."""
    seed, start, end = task
    runs = [run(seed, index) for index in range(start, end)]
    return os.getpid(), held(), runs


def growth(holding: dict[int, list[float]]) -> float:
    """The most megabytes by which a process that has settled holds more at its end."""
    settled = [held[SETTLED:] for held in holding.values() if len(held) > SETTLED + 1]
    return max((min(held[len(held) // 2 :]) - held[0] for held in settled), default=0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--show", type=int, help="print the text with this number and stop")
    options = parser.parse_args()
    if options.show is not None:
        sys.stdout.buffer.write(hostile(options.seed, options.show).encode("utf-8", "surrogatepass"))
        return 0
    tally, holding = Tally(options.count), defaultdict[int, list[float]](list)
    with pool(options.processes) as workers:
        for process, megabytes, runs in workers.imap_unordered(
            chunk, tasks(options.seed, options.start, options.count)
        ):
            holding[process].append(megabytes)
            tally.add(runs)
    tally.tell()
    more = growth(holding)
    print(f"processes hold {more:+.0f} MB at their end, compared with what they held once settled")
    return 1 if tally.problems or more > MORE else 0


if __name__ == "__main__":
    sys.exit(main())
