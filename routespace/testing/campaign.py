"""`python -m routespace.testing.campaign`: the laws over many random spaces, with the share of what was hit.

Prints a bar while it runs, then every violation by law and the share of cases in each situation. Ends with status 1
where a law is violated or a share is below 5 %.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from rich.console import Console
from rich.progress import track

from routespace.memory import is_out_of_memory
from routespace.testing.cases import random_case
from routespace.testing.laws import LAWS, Subject, hits
from routespace.testing.laws.hits import SITUATIONS

LEAST_SHARE = 0.05
_DETAILS = re.compile(r"`[^`]*`|[{\[(].*|\b(dense|sparse|export)\b|[0-9][0-9.e+-]*|\b(inf|nan)\b")
"""What may differ between messages of one kind: names, lists, forms, numbers."""


@dataclass(frozen=True)
class Finding:
    """What came of one seed: the situations it hit, the laws it was asked and those it violates, seconds taken."""

    seed: int
    hits: frozenset[str]
    asked: tuple[str, ...]
    violations: tuple[tuple[str, str], ...]
    seconds: float


def examine(seed: int, names: Sequence[str] = tuple(LAWS)) -> Finding:
    """Ask the laws called `names` of the case of `seed`. Anything a law raises counts as a violation of it.

    Raises `MemoryError` where memory runs out, which says nothing about the law.
    """
    start = time.perf_counter()
    violations: list[tuple[str, str]] = []
    found: frozenset[str] = frozenset()
    try:
        subject = Subject(random_case(seed))
        found = frozenset(hits(subject))
    except Exception as error:
        _check_memory(error, seed)
        return Finding(seed, found, (), (("case", _message(error)),), time.perf_counter() - start)
    for name in names:
        try:
            LAWS[name](subject)
        except Exception as error:
            _check_memory(error, seed)
            violations.append((name, _message(error)))
    return Finding(seed, found, tuple(names), tuple(violations), time.perf_counter() - start)


def _check_memory(error: Exception, seed: int) -> None:
    if is_out_of_memory(error):
        raise MemoryError(f"out of memory in the case of seed {seed}; fewer `--jobs` need less") from None


def _message(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"


def shares(findings: Sequence[Finding]) -> dict[str, float]:
    """The share of cases in each situation."""
    counts = Counter(hit for finding in findings for hit in finding.hits)
    return {name: counts[name] / max(1, len(findings)) for name in SITUATIONS}


def _one_thread() -> None:
    torch.set_num_threads(1)


def _findings(seeds: range, jobs: int) -> Iterator[Finding]:
    if jobs == 1:
        _one_thread()
        yield from map(examine, seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        yield from pool.map(examine, seeds, chunksize=4)


def report(findings: Sequence[Finding], console: Console) -> bool:
    """Print what was found; whether all is well."""
    broken: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for finding in findings:
        for law, message in finding.violations:
            broken[law].append((finding.seed, message))
    for law, cases in broken.items():
        console.print(f"{law}: violated by {len(cases)} cases", style="red", highlight=False)
        kinds: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for case in cases:
            kinds[_DETAILS.sub("#", case[1])].append(case)
        for alike in sorted(kinds.values(), key=len, reverse=True):
            seed, message = alike[0]
            count = f" (and {len(alike) - 1} alike)" if len(alike) > 1 else ""
            console.print(f"  seed {seed}{count}: {message}", markup=False, highlight=False, soft_wrap=True)
    measured = shares(findings)
    for name, share in measured.items():
        console.print(f"{name:>18} {share:6.1%}", style="red" if share < LEAST_SHARE else None, highlight=False)
    seconds = sum(finding.seconds for finding in findings) / max(1, len(findings))
    console.print(f"{len(findings)} cases, {len(LAWS)} laws, {seconds * 1000:.0f} ms a case", highlight=False)
    return not broken and min(measured.values()) >= LEAST_SHARE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 0 where every law holds and every share is large enough."""
    parser = argparse.ArgumentParser(prog="python -m routespace.testing.campaign", description=__doc__)
    parser.add_argument("--spaces", type=int, default=2000, help="how many random spaces to try")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first; the others count up from it")
    parser.add_argument("--jobs", type=int, default=1, help="processes to share the work among")
    given = parser.parse_args(arguments)
    console = Console()
    seeds = range(given.seed, given.seed + given.spaces)
    found = track(_findings(seeds, given.jobs), description="laws", total=len(seeds), console=console)
    try:
        return 0 if report(list(found), console) else 1
    except (MemoryError, BrokenExecutor, OSError) as error:
        print(f"error: {error or 'out of memory'}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
