"""How long a text takes and how much memory, and what it ends in: what campaigns of texts have in common."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from routespace.diagnostics import Findings, RouteError
from routespace.graph.build import build
from routespace.graph.nets import hold
from routespace.graph.text import dump
from routespace.graph.verify import verify
from routespace.language.load import loads

SECONDS = 2.0
MEGABYTES = 500
BARE = 80
"""Megabytes of a process that has read nothing yet."""
LONGEST = 20
"""Seconds after which a text is given up."""
CHUNK = 50

Task: TypeAlias = tuple[int, int, int]


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
        dump(graph, graph.probe)
        for net in space.nets:
            hold(graph, net)
    except RouteError as error:
        return first(error)
    return "space"


def first(error: RouteError) -> str:
    """The code of the first error. What is reported is whole, and no endless report."""
    if not error.diagnostics or len(str(error)) > 200_000:
        raise AssertionError("an error without findings, or with endless ones") from None
    return next((one.code for one in error.diagnostics if one.severity == "error"), "none")


def measured(index: int, text: str, read: Callable[[str], str]) -> Ran:
    """Give `read` a text. Time is that of the processor, memory the most that a process would have had meanwhile which
    holds nothing else."""
    _forget_most()
    before = _kilobytes("VmRSS")
    start = time.process_time()
    problem, end = "", "problem"
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        end = read(text)
    except BaseException:  # whatever it is, it is the finding
        problem = traceback.format_exc(limit=-8)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds, most = time.process_time() - start, BARE + (_kilobytes("VmHWM") - before) / 1024
    if not problem and seconds > SECONDS:
        problem = f"took {seconds:.1f} s"
    elif not problem and most > MEGABYTES:
        problem = f"took {most:.0f} MB"
    return Ran(index, end, seconds, most, problem)


def held() -> float:
    """Megabytes that this process holds once all that nobody needs is given back."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return _kilobytes("VmRSS") / 1024


def _kilobytes(what: str) -> int:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = next((line for line in lines if line.startswith(what)), None)
    return int(found.split()[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _forget_most() -> None:
    """Begin to count the most memory anew."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def guard() -> None:
    """Let what does not end, or fills the machine, fail in this process."""
    signal.signal(signal.SIGALRM, _stop)
    resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))


def _stop(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"still running after {LONGEST} s")


def tasks(seed: int, start: int, count: int) -> Iterator[Task]:
    """Chunks of texts: the seed, the first and the last but one."""
    for one in range(start, start + count, CHUNK):
        yield seed, one, min(one + CHUNK, start + count)


class Tally:
    """What a campaign has seen so far."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.ends: Counter[str] = Counter()
        self.problems: list[Ran] = []
        self.slowest = self.most = Ran(-1, "", 0, 0)
        self.done, self.started = 0, time.perf_counter()

    def add(self, runs: list[Ran]) -> None:
        for one in runs:
            self.done += 1
            self.ends[one.end] += 1
            self.slowest = max(self.slowest, one, key=lambda each: each.seconds)
            self.most = max(self.most, one, key=lambda each: each.megabytes)
            if one.problem:
                self.problems.append(one)
                print(f"\n--show {one.index}: {one.problem}", flush=True)
        rate = self.done / (time.perf_counter() - self.started)
        print(
            f"\r{self.done}/{self.count}  {rate:.0f}/s  {len(self.problems)} problems",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def tell(self) -> None:
        """Print what was seen."""
        slowest, most = self.slowest, self.most
        print(f"\n{self.done} texts, {len(self.problems)} problems; ", end="")
        print(f"slowest {slowest.seconds:.2f} s (text {slowest.index}); ", end="")
        print(f"most memory {most.megabytes:.0f} MB (by text {most.index})")
        print(", ".join(f"{end} {times}" for end, times in self.ends.most_common()))


def pool(processes: int, chunks: int | None = None) -> multiprocessing.pool.Pool:
    """Processes that know nothing of this one; each ends after `chunks` tasks, if that is given."""
    return multiprocessing.get_context("spawn").Pool(processes, initializer=guard, maxtasksperchild=chunks)
