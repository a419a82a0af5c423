"""Options of `train` on their way to the trainer; and one short run where the extra is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from routespace.diagnostics import RouteError
from tests.cli.conftest import Run

try:
    from routespace.integrations import train as real
    from routespace.integrations.train.checkpoint import read_checkpoint
except RouteError:
    real = None  # type: ignore[assignment]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def train(space: Any, out: Path, **options: Any) -> Any:
        found.append({"space": space, "out": out, **options})
        last = {"step": 3.0, "val/miou": 0.5, "val/expected_mean": 1e6, "val/hard_mean": 2e6, "val/executed_mean": 3e6}
        return SimpleNamespace(
            history=(last,), miou=0.5, seconds=1.2, artifact=out / "artifact", checkpoint=out / "last.ckpt", remark=""
        )

    stand_in = ModuleType("routespace.integrations.train")
    stand_in.train = train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "routespace.integrations.train", stand_in)
    return found


def test_options_are_handed_on(run: Run, calls: list[dict[str, Any]]) -> None:
    ended = run(
        "train", "tiny.route", "--out", "out", "--steps", "3", "--batch", "2", "--size", "64", "--lr", "0.1",
        "--seed", "9", "--warmup", "1", "--scenes", "5", "--net", "straight", "--resume", "old", "--set", "width=8",
    )  # fmt: skip
    assert ended.code == 0 and "mIoU 0.500" in ended.out and "expected 1.00  hard 2.00  executed 3.00" in ended.out
    (call,) = calls
    assert call["space"].parameter("width") == 8 and len(call["train_set"]) == 5
    wanted = {"out": Path("out"), "steps": 3, "batch_size": 2, "size": 64, "lr": 0.1, "seed": 9, "warmup": 1,
              "net": "straight", "resume": Path("old"), "workers": 0}  # fmt: skip
    assert {name: call[name] for name in wanted} == wanted


def test_without_a_number_no_scene_is_seen_twice(run: Run, calls: list[dict[str, Any]]) -> None:
    assert run("train", "tiny.route", "-o", "out").code == 0
    assert calls[0]["train_set"] is None and calls[0]["resume"] is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("classes = 5", "classes = 7"), "`--set classes=5`"),
        (("input image: 3", "input image: 1"), "3 channels"),
        (("output logits", "output more = keep[depth, s4]\n  output logits"), "a map of classes"),
    ],
)
def test_a_space_that_scenes_do_not_fit_is_refused(
    change: tuple[str, str], says: str, run: Run, files: Path, calls: list[dict[str, Any]]
) -> None:
    (files / "tiny.route").write_text((files / "tiny.route").read_text().replace(*change))
    ended = run("train", "tiny.route", "-o", "out")
    assert ended.code == 1 and says in ended.err and not calls


def test_an_output_that_is_not_of_the_size_of_the_scenes_is_refused(run: Run, calls: list[dict[str, Any]]) -> None:
    two_grains = Path(__file__).parents[2] / "examples" / "two_grains.route"
    ended = run("train", str(two_grains), "-o", "out", "--size", "65")
    assert ended.code == 1 and "scenes of 65x65" in ended.err and "68x68" in ended.err and not calls


@pytest.mark.parametrize(
    "option", [*(f"--lr={lr}" for lr in ("-1", "x", "nan", "inf")), "--steps=0", "--batch=0", "--size=2"]
)
def test_numbers_out_of_range_are_refused(option: str, run: Run, calls: list[dict[str, Any]]) -> None:
    assert run("train", "tiny.route", "-o", "out", option).code == 2 and not calls and not Path("out").exists()


def test_an_interrupted_training_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch, calls: Any) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["routespace.integrations.train"], "train", stopped)
    assert run("train", "tiny.route", "-o", "out").code == 130


@pytest.mark.skipif(real is None, reason="the extra `train` cannot be imported")
def test_a_short_run_leaves_an_artifact(run: Run, files: Path) -> None:
    ended = run("train", "tiny.route", "-o", "out", "--steps", "2", "--batch", "2", "--size", "64", "--set", "depth=2")
    assert ended.code == 0, ended.err
    assert (files / "out" / "artifact" / "space.json").exists() and "artifact: out/artifact" in ended.out
    options = ("--steps", "1", "--batch", "1", "--size", "64", "--set", "depth=2")
    again = run("train", "tiny.route", "-o", "out", *options)
    assert again.code == 1 and "holds an earlier run" in again.err and "`--overwrite`" in again.err
    assert run("train", "tiny.route", "-o", "out", *options, "--overwrite").code == 0
    ended = run("train", "tiny.route", "-o", "wild", *options[2:], "--steps", "9", "--lr", "1e30")
    assert ended.code == 1 and "step" in ended.err and "help: start again" in ended.err
    assert not (files / "wild" / "artifact").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
@pytest.mark.skipif(real is None, reason="the extra `train` cannot be imported")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_training_that_is_terminated_says_so_and_can_be_resumed(workers: str, files: Path) -> None:
    program = [sys.executable, "-c", "from routespace.cli import main; main()", "train", "tiny.route", "-o", "out"]
    options = ["--steps", "1000", "--batch", "1", "--size", "64", "--set", "depth=1", "--workers", workers]
    with subprocess.Popen([*program, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=files) as process:
        assert process.stdout is not None and process.stderr is not None
        while b"step 150/" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.stderr.read() == b"error: interrupted\n" and process.wait() == 143
    assert [path.name for path in (files / "out").iterdir()] == ["last.ckpt"]
    assert read_checkpoint(files / "out" / "last.ckpt")["global_step"] % 100 == 0
