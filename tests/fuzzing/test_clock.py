"""Time means time, in whatever is under way when it is over; and memory that runs out breaks no law."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import routespace as rs
from routespace.testing.campaign import examine
from routespace.testing.cases import Case
from routespace.testing.fuzzing import fuzz, keep
from routespace.testing.fuzzing.ask import Broken, OutOfMemoryError
from routespace.testing.fuzzing.clock import Clock, TimeIsUp, within
from routespace.testing.fuzzing.shrink import shrink
from tests.fuzzing.test_program import TEXT, Run, run  # noqa: F401

LONG = """space long(n = 248) {
  input image: 3
  axis layer = 0..n - 1
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer {
    x = image | conv(3, 4, stride = 4) if layer == 0 else y[layer - 1]
    y = x + soft(x) * (x | conv(3))
  }
  output y = y[n - 1]
}
"""
SLACK = 5.0
"""Seconds that one call into a library may take on a busy machine."""


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.01)
        except Exception:
            pytest.fail("errors are not handled here")


def test_work_is_cut_short() -> None:
    before = signal.getsignal(signal.SIGALRM)
    started, reached = time.monotonic(), []
    assert not within(Clock(0.2), lambda: (reached.append(1), spin(60), reached.append(2)))
    assert reached == [1] and 0.2 <= time.monotonic() - started < SLACK
    assert signal.getsignal(signal.SIGALRM) == before and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert not within(Clock(0.0), lambda: reached.append(3))
    assert within(Clock(float("inf")), lambda: reached.append(4)) and within(Clock(1e300), lambda: reached.append(5))
    assert reached == [1, 4, 5]


def test_a_destructor_is_left_alone() -> None:
    class Slow:
        def __del__(self) -> None:
            spin(0.5)

    started = time.monotonic()
    assert not within(Clock(0.1), lambda: (Slow() and None, spin(60)))
    assert time.monotonic() - started < SLACK


def test_the_timer_of_others_goes_on() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.4)
        assert not within(Clock(0.1), lambda: spin(60))
        assert not heard
        spin(1.0)
        assert heard == [signal.SIGALRM]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_elsewhere_the_clock_is_looked_at() -> None:
    ended: list[object] = []

    def work() -> None:
        clock = Clock(0.1)
        within(clock, lambda: [(time.sleep(0.01), clock.check()) for _ in range(6000)])
        verdict = fuzz(rs.loads(TEXT.replace("OP", "relu")), seconds=1)
        ended.append(verdict.examples + len(verdict.begun))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert ended and ended != [0]
    with pytest.raises(TimeIsUp):
        Clock(0.0).check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the clock may ring in a callback of gc
@pytest.mark.parametrize("n", [248, 5000])
def test_a_search_ends_in_time_whatever_the_space(n: int) -> None:
    space = rs.loads(LONG, n=n)
    started = time.monotonic()
    verdict = fuzz(space, seconds=2)
    assert time.monotonic() - started < 2 + SLACK
    assert verdict.found is None and (n == 5000 or verdict.examples + len(verdict.begun))


def test_shrinking_ends_in_time_with_what_it_has() -> None:
    whole = Case(TEXT.replace("OP", "conv(1) | relu"), batch=3)
    asked: list[Case] = []

    def breaks(case: Case) -> bool:
        asked.append(case)
        if len(asked) > 1:
            spin(60)
        return True

    started = time.monotonic()
    case, tries = shrink(whole, breaks, 1.0)
    assert time.monotonic() - started < 1 + SLACK
    assert tries == 2 and case == asked[0] != whole


def test_what_is_found_late_is_kept_in_time(tmp_path: Path) -> None:
    @rs.op("slow_spread")
    class Slow(nn.Module):
        def __init__(self, inputs: tuple[int, ...]) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            time.sleep(0.2)
            return x - x.mean(0, keepdim=True) if len(x) else x

    started = time.monotonic()
    verdict = fuzz(rs.loads(TEXT.replace("OP", "slow_spread")), seconds=8, laws=["images stand alone"])
    assert time.monotonic() - started < 8 + SLACK
    assert verdict.found is not None
    kept = keep(verdict.found.broken, verdict.found.case, tmp_path, 0.0)
    assert kept.gates is None and (tmp_path / "gates.json").read_text() == "null\n"


def test_no_time_is_told(run: Run) -> None:  # noqa: F811
    Path("s.route").write_text(TEXT.replace("OP", "relu"))
    code, output = run("s.route", "--time", "0")
    assert code == 1 and "no law could be asked of s in 0 s" in output and "all hold" not in output


SAYINGS = [
    MemoryError(),
    MemoryError("Unable to allocate 8. GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: 8 bytes"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    OSError(12, "Cannot allocate memory"),
]


@pytest.mark.parametrize("error", SAYINGS, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_breaks_no_law(run: Run, error: Exception) -> None:  # noqa: F811
    @rs.op("hungry")
    class Hungry(nn.Module):
        def __init__(self, inputs: tuple[int, ...]) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            try:
                raise error
            except type(error) as cause:
                raise RuntimeError("this op failed") from cause

    Path("s.route").write_text(TEXT.replace("OP", "hungry"))
    code, output = run("s.route", "--law", "forms agree")
    assert code == 1 and "out of memory in" in output and "broken" not in output
    assert not Path("fuzz").exists()
    verdict = fuzz(rs.load("s.route"))
    assert verdict.found is None and verdict.ended is not None and "out of memory" in verdict.ended


def test_a_campaign_is_no_verdict_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(subject: object) -> None:
        raise MemoryError

    monkeypatch.setattr("routespace.testing.campaign.LAWS", {"forms agree": hungry})
    with pytest.raises(MemoryError, match="seed 3"):
        examine(3, ["forms agree"])


def test_what_is_found_before_memory_runs_out_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def ask(name: str, law: object, subject: object) -> Broken | None:
        if name == "forms agree":
            return Broken(name, "LawViolation", "forms agree: found first")
        raise OutOfMemoryError("out of memory in the law")

    monkeypatch.setattr("routespace.testing.fuzzing.search.ask", ask)
    Path("s.route").write_text(TEXT.replace("OP", "relu"))
    code, output = run("s.route", "--law", "forms agree", "--law", "forced agree")
    assert code == 1 and "found first" in output and "kept in fuzz/s-forms-agree" in output
