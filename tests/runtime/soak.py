"""`python -m tests.runtime.soak`: threads that share modules, for as long as asked; ends with status 1 on a problem.

Threads call the same dense, sparse and fixed modules with images of changing sizes and numbers, some of them within
blocks that force, replay or ask for exact kernels, while weights are loaded again and again. Everything has to be bit
for bit what one thread alone was told, and memory has to stay where it was after the first part.
"""

from __future__ import annotations

import argparse
import copy
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import routespace as rs
from routespace.runtime.blanks import BlankStore
from routespace.runtime.result import Outcome

MAY_GROW = 48 * 2**20
"""Bytes: what allocators of several threads keep for themselves."""
HASTE = 1e-5
"""Seconds after which a thread has to make way for another."""
SMALL = rs.example("small").read_text().replace("bias(1.5)", "bias(0)")


@dataclass(frozen=True)
class Call:
    """One call: of which module, with what, and within which block."""

    module: int
    images: Tensor
    block: str

    def made(self, module: nn.Module, free: Outcome | None) -> Outcome:
        with torch.inference_mode(), _block(self.block, module, free):
            outcome: Outcome = module(self.images)
        return outcome


@contextmanager
def _block(kind: str, module: nn.Module, free: Outcome | None) -> Iterator[None]:
    if kind == "replayed":
        assert free is not None
        with rs.replaying(module, free.routing):
            yield
    elif kind == "exact":
        with rs.exactly(module):
            yield
    elif kind:
        node = next(iter(rs.graph_of(module).gates)).node
        with rs.forcing(module, {node: kind}):
            yield
    else:
        yield


@dataclass
class Soak:
    """Modules, the calls that are made of them, and what each of these gives where one thread is alone."""

    seed: int
    modules: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    free: list[Outcome] = field(default_factory=list)
    wanted: list[list[Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        small, grains = rs.loads(SMALL, depth=2, width=4), rs.load(rs.example("two_grains"))
        net = {"layer0.s4": {"keep": 1.0}, "layer1.s4": {"keep": 1.0}, "layer2.s4": {"keep": 1.0}}
        for form in ("dense", "sparse"):
            self.modules += [rs.compile(space, form, seed=1).eval() for space in (small, grains)]  # type: ignore[arg-type]
        self.modules.append(rs.compile(small, "fixed", net=net, seed=1).eval())
        dice, generator = random.Random(self.seed), torch.Generator().manual_seed(self.seed)
        for module, _ in enumerate(self.modules):
            blocks = ("", "", "open", "closed", "replayed", "exact") if module < len(self.modules) - 1 else ("", "")
            for block in blocks:
                for _ in range(2):
                    size = (dice.randrange(1, 4), 3, 64 + 8 * dice.randrange(4), 64 + 8 * dice.randrange(4))
                    self.calls.append(Call(module, torch.rand(size, generator=generator), block))
        alone = copy.deepcopy(self.modules)
        for call in self.calls:
            self.free.append(Call(call.module, call.images, "").made(alone[call.module], None))
            self.wanted.append(told(call.made(alone[call.module], self.free[-1])))

    def work(self, number: int, seed: int, problems: Counter[str]) -> None:
        """Make calls in any order and note what is not as it should be."""
        dice = random.Random(seed)
        for _ in range(number):
            at = dice.randrange(len(self.calls))
            call = self.calls[at]
            try:
                found = told(call.made(self.modules[call.module], self.free[at]))
            except Exception as error:
                problems[f"{type(error).__name__}: {error}"] += 1
                continue
            if not all(torch.equal(one, other) for one, other in zip(found, self.wanted[at], strict=True)):
                problems[f"module {call.module} {call.block or 'free'}: another result"] += 1

    def run(self, number: int, threads: int, problems: Counter[str]) -> None:
        """Share so many calls among threads while weights are loaded."""
        done = threading.Event()
        loading = threading.Thread(target=self.reload, args=(done,))
        loading.start()
        try:
            with ThreadPoolExecutor(threads) as pool:
                seeds = [self.seed + 1000 * number + thread for thread in range(threads)]
                shares = [(number + thread) // threads for thread in range(threads)]
                list(pool.map(self.work, shares, seeds, [problems] * threads))
        finally:
            done.set()
            loading.join()

    def reload(self, done: threading.Event) -> None:
        """Load the weights that modules have once more, now and then."""
        states = [{name: one.clone() for name, one in module.state_dict().items()} for module in self.modules]
        while not done.wait(0.05):
            for module, state in zip(self.modules, states, strict=True):
                module.load_state_dict(state)

    def stores(self) -> list[BlankStore]:
        parts = [part for module in self.modules for part in module.modules()]
        return [part.blanks for part in parts if isinstance(getattr(part, "blanks", None), BlankStore)]


def told(outcome: Outcome) -> list[Tensor]:
    """All that an outcome tells and that does not depend on what was known before: not what was executed."""
    routing = outcome.routing
    outputs = outcome.output.values() if isinstance(outcome.output, dict) else [outcome.output]
    weights = [torch.nan_to_num(one, -1.0) for of in routing.weights.values() for one in of.values()]
    return [*outputs, *weights, routing.cost.hard, routing.cost.expected]


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; 0 where nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.runtime.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    soak, problems = Soak(given.seed), Counter[str]()
    before, started = sys.getswitchinterval(), time.perf_counter()
    sys.setswitchinterval(HASTE)
    try:
        first = given.calls // 4
        soak.run(first, given.threads, problems)
        warm = resident()
        soak.run(given.calls - first, given.threads, problems)
    finally:
        sys.setswitchinterval(before)
    seconds, grown = time.perf_counter() - started, resident() - warm
    for store in soak.stores():
        if store.bytes != sum(value.nbytes for value, _ in store.entries.values()):
            problems["a store counts what it does not hold"] += 1
    if grown > MAY_GROW:
        problems[f"memory grew by {grown / 2**20:.0f} MiB"] += 1
    print(f"{given.calls} calls by {given.threads} threads in {seconds:.0f} s; {len(soak.calls)} different ones")
    print(f"memory: {warm / 2**20:.0f} MiB after {first} calls, {grown / 2**20:+.1f} MiB at the end")
    print(f"problems: {sum(problems.values())}")
    for problem, count in problems.most_common(20):
        print(f"  {count} x {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
