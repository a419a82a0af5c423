"""`python -m tests.mutants`: every mutant, and the law that kills it. Ends with status 1 where one survives.

Each runs in a process of its own that cannot open the goldens.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import torch
from rich.console import Console
from rich.progress import track

from tests.mutants import CONTROL, MUTANTS
from tests.mutants.kill import End, attack_safely
from tests.mutants.mutant import Mutant

assert torch


def ends(mutants: Sequence[Mutant], jobs: int) -> Iterator[End]:
    """How each mutant ends, as they do. Processes are forked from this one, which has torch and not the package."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork"), max_tasks_per_child=None) as pool:
        for done in as_completed([pool.submit(_forked, mutant) for mutant in mutants]):
            yield done.result()


def _forked(mutant: Mutant) -> End:
    """The end of a mutant, met in a child of this worker, so that the worker stays clean."""
    context = get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=lambda: writer.send(attack_safely(mutant)))
    child.start()
    writer.close()
    try:
        found: End = reader.recv()
    except EOFError:
        found = End(mutant.name, "", "the process died", 0, 0.0)
    child.join()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack the mutants; 0 where all are dead."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", action="append", help="only mutants whose name has TEXT in it")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--control", action="store_true", help="attack the package as it is, which has to survive")
    parser.add_argument("--list", action="store_true", help="only name them")
    given = parser.parse_args(arguments)
    chosen = [one for one in MUTANTS if not given.only or any(text in one.name for text in given.only)]
    if not chosen:
        parser.error(f"no mutant has {' or '.join(given.only)} in its name")
    console = Console()
    if given.control:
        chosen = [CONTROL]
    if given.list:
        for one in chosen:
            console.print(f"{one.name}  ({one.file})", markup=False, highlight=False)
        return 0
    start = time.perf_counter()
    found: dict[str, End] = {}
    told = track(ends(chosen, given.jobs), "mutants", len(chosen), console=console, disable=not console.is_terminal)
    for end in told:
        found[end.name] = end
        if not console.is_terminal:
            print(f"{end.name}: {end.killer or 'SURVIVES'}", file=sys.stderr, flush=True)
    _print(chosen, found, console)
    dead = sum(end.dead for end in found.values())
    console.print(f"{dead} of {len(chosen)} dead in {time.perf_counter() - start:.0f} s", highlight=False)
    return 0 if dead == (0 if given.control else len(chosen)) else 1


def _print(chosen: Sequence[Mutant], found: dict[str, End], console: Console) -> None:
    wide = max(len(one.name) for one in chosen)
    long = max(len(end.killer) for end in found.values())
    for one in chosen:
        end = found[one.name]
        line = f"{one.name:<{wide}}  {end.killer or 'SURVIVES':<{long}}  {end.cases:>4}  {end.seconds:>5.1f} s"
        console.print(line, style=None if end.dead else "red", markup=False, highlight=False, soft_wrap=True)
        if not end.dead and end.message:
            console.print(end.message, markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
