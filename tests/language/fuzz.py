"""Totality at length: `python -m tests.language.fuzz --count 100000 --seed 0`.

Every text is read, built, written out and its nets held. That ends in a space or in a `RouteError`, soon and in little
memory; so does every JSON with `--json`. `--show N` prints a text: with the same files and seed always the same one.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from routespace.diagnostics import Findings, RouteError
from routespace.graph.build import build
from routespace.graph.nets import hold
from routespace.graph.probes import PROBES
from routespace.graph.text import dump
from routespace.graph.verify import verify
from routespace.language.load import loads
from routespace.space.model import Space
from tests.language.mutate import mutant
from tests.language.mutate_json import json_mutant

SECONDS = 2.0
MEGABYTES = 500
ROOM = 80
"""Megabytes by which memory may grow before garbage is collected, so that it is not counted for the next text."""
CHUNKS = 100
"""Chunks of 50 texts that one process reads, so that its memory tells of its texts and not of its age."""

_settled = [0.0]


@dataclass(frozen=True)
class Ran:
    """How one text went; `problem` where it went wrong."""

    index: int
    end: str
    seconds: float
    megabytes: float
    problem: str = ""


def run_text(text: str) -> str:
    """Read, build, hold and report; `space`, or the code of the first error."""
    findings = Findings()
    try:
        space = loads(text, path="fuzz.route", findings=findings)
        graph = verify(build(space, findings))
        dump(graph, PROBES[0])
        for net in space.nets:
            hold(graph, net)
    except RouteError as error:
        if not error.diagnostics:
            raise AssertionError("an error without findings") from None
        report = str(error)
        if len(report) > 200_000:
            raise AssertionError(f"a report of {len(report)} characters") from None
        return _first(error)
    return "space"


def run_json(text: str) -> str:
    """Read JSON, build and hold; `space`, or the code of the first error. A space that is read is written again."""
    try:
        space = Space.from_json(text)
        if Space.from_json(space.to_json()) != space:
            raise AssertionError("not the space that was written")
        graph = verify(build(space))
        dump(graph, PROBES[0])
        for net in space.nets:
            hold(graph, net)
    except RouteError as error:
        if not error.diagnostics or len(str(error)) > 200_000:
            raise AssertionError("an error without findings, or with endless ones") from None
        return _first(error)
    return "space"


def _first(error: RouteError) -> str:
    """The code of the first error."""
    return next((one.code for one in error.diagnostics if one.severity == "error"), "none")


def run(seed: int, index: int, is_json: bool = False) -> Ran:
    text = (json_mutant if is_json else mutant)(seed, index)
    start = time.process_time()
    problem, end = "", "problem"
    signal.setitimer(signal.ITIMER_REAL, 20)
    try:
        end = (run_json if is_json else run_text)(text)
    except BaseException:  # whatever it is, it is the finding
        problem = traceback.format_exc(limit=-8)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.process_time() - start
    if _resident() > _settled[0] + ROOM:
        gc.collect()
        _settled[0] = _resident()
    if not problem and seconds > SECONDS:
        problem = f"took {seconds:.1f} s"
    return Ran(index, end, seconds, megabytes(), problem)


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * resource.getpagesize() / 2**20


def megabytes() -> float:
    """The most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _stop(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("still running after 20 s")


def _chunk(task: tuple[int, int, int, bool]) -> list[Ran]:
    seed, start, end, is_json = task
    signal.signal(signal.SIGALRM, _stop)
    resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
    return [run(seed, index, is_json) for index in range(start, end)]


def _tasks(seed: int, start: int, count: int, is_json: bool) -> Iterator[tuple[int, int, int, bool]]:
    for first in range(start, start + count, 50):
        yield seed, first, min(first + 50, start + count), is_json


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
    ends: Counter[str] = Counter()
    problems: list[Ran] = []
    slowest = most = Ran(-1, "", 0, 0)
    done = 0
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=CHUNKS) as pool:
        for runs in pool.imap_unordered(_chunk, _tasks(options.seed, options.start, options.count, options.json)):
            for one in runs:
                done += 1
                ends[one.end] += 1
                slowest = max(slowest, one, key=lambda each: each.seconds)
                if one.megabytes > most.megabytes:
                    most = one
                if one.problem:
                    problems.append(one)
                    print(f"\n--show {one.index}: {one.problem}", flush=True)
            rate = done / (time.perf_counter() - start)
            print(
                f"\r{done}/{options.count}  {rate:.0f}/s  {len(problems)} problems", end="", file=sys.stderr, flush=True
            )
    print(f"\n{done} texts, {len(problems)} problems; slowest {slowest.seconds:.2f} s (text {slowest.index}); ", end="")
    print(f"most memory {most.megabytes:.0f} MB (by text {most.index})")
    print(", ".join(f"{end} {times}" for end, times in ends.most_common()))
    return 1 if problems or most.megabytes > MEGABYTES else 0


if __name__ == "__main__":
    sys.exit(main())
