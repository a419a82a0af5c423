"""Totality at length: `python -m tests.language.fuzz --count 100000 --seed 0`.

Every text is read, built, written out and its nets held. That ends in a space or in a `RouteError`, soon and in little
memory; so does every JSON with `--json`. `--show N` prints a text: with the same files and seed always the same one.
"""

from __future__ import annotations

import argparse
import sys

from routespace.diagnostics import RouteError
from routespace.graph.build import build
from routespace.graph.nets import hold
from routespace.graph.text import dump
from routespace.graph.verify import verify
from routespace.space.model import Space
from tests.language.measure import Ran, Tally, Task, first, measured, pool, run_text, tasks
from tests.language.mutate import mutant
from tests.language.mutate_json import json_mutant

CHUNKS = 100
"""Chunks of texts that one process reads, so that its memory tells of its texts and not of its age."""


def run_json(text: str) -> str:
    """Read JSON, build and hold; `space`, or the code of the first error. A space that is read is written again."""
    try:
        space = Space.from_json(text)
        if Space.from_json(space.to_json()) != space:
            raise AssertionError("not the space that was written")
        graph = verify(build(space))
        dump(graph, graph.probe)
        for net in space.nets:
            hold(graph, net)
    except RouteError as error:
        return first(error)
    return "space"


def run(seed: int, index: int, is_json: bool = False) -> Ran:
    return measured(index, (json_mutant if is_json else mutant)(seed, index), run_json if is_json else run_text)


def chunk(task: Task) -> list[Ran]:
    seed, start, end = task
    return [run(seed, index) for index in range(start, end)]


def json_chunk(task: Task) -> list[Ran]:
    seed, start, end = task
    return [run(seed, index, is_json=True) for index in range(start, end)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="mutate the JSON of spaces instead of their text")
    parser.add_argument("--show", type=int, help="print the text with this number and stop")
    options = parser.parse_args()
    if options.show is not None:
        print((json_mutant if options.json else mutant)(options.seed, options.show))
        return 0
    tally = Tally(options.count)
    with pool(options.processes, CHUNKS) as workers:
        todo = tasks(options.seed, options.start, options.count)
        for runs in workers.imap_unordered(json_chunk if options.json else chunk, todo):
            tally.add(runs)
    tally.tell()
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
