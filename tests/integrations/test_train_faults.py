"""What training does with data that says nothing, with numbers that are none, and with files in its way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import routespace as rs
from routespace.diagnostics import RouteError
from routespace.integrations.evaluate import evaluate
from routespace.integrations.fault import RunError

pytest.importorskip("lightning", reason="needs routespace[train]", exc_type=ModuleNotFoundError)

from lightning.pytorch import Callback, Trainer

from routespace.integrations import artifact
from routespace.integrations.artifact import load_artifact, save_artifact
from routespace.integrations.train import TrainResult
from routespace.integrations.train.task import pixel_loss
from tests.integrations.runs import GATED, Crops, run


class Losses(Callback):
    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self.found.append(float(trainer.callback_metrics["loss"]))


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_batch_of_ignored_pixels_has_no_loss_and_training_goes_on(tmp_path: Path, weight: float) -> None:
    losses = Losses()
    result = run(tmp_path, train_set=Crops(6, void=(3,)), weight=weight, trainer_args={"callbacks": [losses]})
    assert losses.found.count(0.0) == 1 and all(0 <= loss < 10 for loss in losses.found)
    assert all(bool(one.isfinite().all()) for one in result.module.parameters())


def test_a_run_on_ignored_pixels_alone_changes_no_weight(tmp_path: Path) -> None:
    class Gradients(Callback):
        def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
            assert all(not bool(one.grad.any()) for one in pl_module.module.parameters() if one.grad is not None)

    everything = Crops(4, void=(0, 1, 2, 3))
    scored, learned = (pytest.warns(UserWarning, match=f"nothing is {use}") for use in ("scored", "learned"))
    with scored, learned:
        result = run(tmp_path, train_set=everything, val_set=everything, trainer_args={"callbacks": [Gradients()]})
    assert {row["loss"] for row in result.history} == {0.0}
    assert not result.miou > 0 and result.history[-1]["val/expected_mean"] > 0


def test_ignored_images_count_nothing_in_metrics() -> None:
    module = rs.compile(rs.loads(GATED), seed=3)
    alone, beside = (evaluate(module, Crops(4, void), classes=3, batch_size=1) for void in ((), (3,)))
    three = evaluate(module, Crops(3), classes=3)
    assert beside.iou == pytest.approx(three.iou, nan_ok=True) != alone.iou
    assert beside.expected == pytest.approx(alone.expected)


def test_the_loss_of_pixels_is_their_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 7, generator=generator, requires_grad=True)
    labels = torch.randint(0, 3, (2, 5, 7), generator=generator)
    labels[0, :3] = 255
    wanted = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)
    assert torch.equal(pixel_loss(logits, labels, 255), wanted)
    (gradient,) = torch.autograd.grad(pixel_loss(logits, torch.full_like(labels, 255), 255), logits)
    assert not bool(gradient.any())


@pytest.mark.parametrize("batch_size", [1, 2])
def test_an_image_to_learn_from_that_is_no_number_is_named(tmp_path: Path, batch_size: int) -> None:
    with pytest.raises(RunError, match="item 4 of `train_set` holds NaN") as error:
        run(tmp_path, train_set=Crops(6, broken=(4,)), batch_size=batch_size, checkpoint_every=1)
    assert "lr" not in str(error.value) and not (tmp_path / "artifact").exists()


def test_it_is_named_after_resuming_too(tmp_path: Path) -> None:
    class Mended(Crops):
        broken_now = True

        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            image, label = super().__getitem__(index)
            return (image if Mended.broken_now else image.nan_to_num()), label

    class Cut(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 7:
                raise ConnectionResetError

    Mended.broken_now = False
    settings: dict[str, Any] = {"steps": 12, "train_set": Mended(6, broken=(4,)), "checkpoint_every": 1}
    with pytest.raises(ConnectionResetError):
        run(tmp_path, **settings, trainer_args={"callbacks": [Cut()]})
    Mended.broken_now = True
    with pytest.raises(RunError, match="item 4 of `train_set` holds NaN"):
        run(tmp_path, **settings, resume=tmp_path)


def test_an_image_to_validate_on_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="item 3 of `val_set` holds NaN") as error:
        run(tmp_path, val_set=Crops(5, broken=(3,)), batch_size=2)
    assert "lr" not in str(error.value)


def test_the_rate_is_blamed_only_where_it_can_be_the_cause(tmp_path: Path) -> None:
    class Large(Crops):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            image, label = super().__getitem__(index)
            return image * 3e38, label

    with pytest.raises(RunError, match=r"the loss of step 1 is not finite .*its images reach 3e\+38") as error:
        run(tmp_path, train_set=Large(4))
    assert "`lr` is not the cause" in error.value.help
    with pytest.raises(RunError, match=r"the loss of step \d is not finite") as error:
        run(tmp_path, lr=1e30)
    assert "lower `lr`" in error.value.help


def test_the_loss_that_is_no_number_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = rs.budget_loss

    def broken(module: Any, out: Any, done: float, **group: Any) -> Tensor:
        return loss(module, out, done, **group) + (float("nan") if done >= 0.5 else 0.0)

    monkeypatch.setattr(rs, "budget_loss", broken)
    with pytest.raises(RunError, match=r"the loss of step 4 is not finite \(data [\d.e-]+, budget nan\)"):
        run(tmp_path)


def test_weights_that_were_broken_before_a_step_are_named(tmp_path: Path) -> None:
    class Breaks(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
            if trainer.global_step == 2:
                pl_module.module.get_parameter("n.x.op.weight").data[0] = float("inf")

    with pytest.raises(RunError, match=r"step 3 is not finite .*: `n\.x\.op\.weight` was not before it"):
        run(tmp_path, trainer_args={"callbacks": [Breaks()]})


def test_the_best_of_a_run_is_no_checkpoint_of_broken_weights(tmp_path: Path) -> None:
    from lightning.pytorch.callbacks import ModelCheckpoint

    class Breaks(Callback):
        def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
            pl_module.module.get_parameter("outputs.o.value.op.bias").data[0] = float("inf")

    best = ModelCheckpoint(dirpath=tmp_path / "best", monitor="val/miou", mode="max")
    wanted = {"callbacks": [Breaks(), best], "enable_checkpointing": True}
    with pytest.raises(RunError, match="is not finite"):
        run(tmp_path, trainer_args=wanted)
    assert not list((tmp_path / "best").rglob("*"))


@pytest.mark.parametrize(
    ("batch_size", "wanted", "says"),
    [
        (1, {"devices": 2}, "`batch_size` is 1 on 2 devices: a multiple of 2 is needed"),
        (3, {"devices": 2, "strategy": "ddp_fork"}, "`batch_size` is 3 on 2 devices"),
        (2, {"devices": 2, "num_nodes": 2}, "`batch_size` is 2 on 4 devices"),
        (2, {"devices": 2, "strategy": "ddp_spawn"}, "use `ddp`"),
    ],
)
def test_a_batch_is_held_against_the_processes_before_any_starts(
    tmp_path: Path, batch_size: int, wanted: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        run(tmp_path / "out", batch_size=batch_size, trainer_args={"accelerator": "cpu", **wanted})
    assert not (tmp_path / "out").exists()


def test_a_set_smaller_than_a_batch_is_gone_through_again(tmp_path: Path) -> None:
    result = run(tmp_path, train_set=Crops(3), val_set=Crops(3), batch_size=8, steps=2)
    assert [row["step"] for row in result.history] == [2]


class Waits(Callback):
    """Holds a run at its first step."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def on_train_batch_start(self, *_: Any) -> None:
        self.reached.set()
        assert self.go_on.wait(60)


def test_the_second_run_into_a_folder_is_refused(tmp_path: Path) -> None:
    waits = Waits()
    first = threading.Thread(target=run, args=(tmp_path / "out",), kwargs={"trainer_args": {"callbacks": [waits]}})
    first.start()
    try:
        assert waits.reached.wait(60)
        for overwrite in (False, True):
            with pytest.raises(RunError, match="another run is at work in"):
                run(tmp_path / "out", overwrite=overwrite)
    finally:
        waits.go_on.set()
        first.join()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["artifact", "last.ckpt"]
    run(tmp_path / "out", overwrite=True)


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    program = f"""
import sys, time, torch; sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.integrations.runs import *
def never(checkpoint, file): file.write(b"half"); file.flush(); print("now", flush=True); time.sleep(60)
torch.save = never
run(Path({str(tmp_path)!r}) / "out")
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"now\n":
            assert process.poll() is None
        with pytest.raises(RunError, match="another run is at work"):
            run(tmp_path / "out")
        process.send_signal(signal.SIGKILL)
    out = tmp_path / "out"
    assert len(list(out.iterdir())) == 2
    (out / "artifact").mkdir()
    (out / "artifact" / ".weights.0123abcd.safetensors").write_bytes(b"half")
    (out / "notes.txt").write_text("mine")
    result = run(out)
    assert sorted(path.name for path in out.iterdir()) == ["artifact", "last.ckpt", "notes.txt"]
    assert len(list(result.artifact.iterdir())) == 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return run(tmp_path_factory.mktemp("whole"), val_set=Crops(3))


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda checkpoint: checkpoint.pop(name)


def wider(checkpoint: dict[str, Any]) -> None:
    weights = checkpoint["state_dict"]
    weights["module.n.x.op.weight"] = weights["module.n.x.op.weight"].repeat(2, 1, 1, 1)


def other_name(checkpoint: dict[str, Any]) -> None:
    checkpoint["state_dict"]["module.stem.weight"] = checkpoint["state_dict"].pop("module.outputs.o.value.op.bias")


def other_momentum(checkpoint: dict[str, Any]) -> None:
    checkpoint["optimizer_states"][0]["state"][0]["momentum_buffer"] = torch.zeros(7)


def no_run(checkpoint: dict[str, Any]) -> None:
    checkpoint["run"] = ["lr", 0.1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (wider, "`n.x.op.weight` is 8x3x3x3, and 4x3x3x3 in the space"),
        (other_name, "it has no weight `outputs.o.value.op.bias`"),
        (other_momentum, "`momentum_buffer` 0 of its optimizer is 7, and not"),
        (no_run, "is not a checkpoint of a training run"),
        *((without(name), name) for name in ("optimizer_states", "loops", "callbacks", "lr_schedulers", "global_step")),
        (without("state_dict"), "is not a checkpoint of a training run"),
    ],
)
def test_a_checkpoint_of_another_space_is_refused(
    whole: TrainResult, tmp_path: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    checkpoint = torch.load(whole.checkpoint, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, tmp_path / "last.ckpt")
    with pytest.raises(RouteError, match="RS952") as error:
        run(tmp_path / "out", resume=tmp_path)
    assert says in str(error.value) and not (tmp_path / "out").exists()


def test_a_full_disk_leaves_the_earlier_checkpoint(
    tmp_path: Path, room: Callable[[int], AbstractContextManager[None]]
) -> None:
    class Full(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 3:
                self.limit = room(2000)
                self.limit.__enter__()

        def on_exception(self, *_: Any) -> None:
            self.limit.__exit__(None, None, None)

    with pytest.raises(OSError) as error:
        run(tmp_path, checkpoint_every=1, trainer_args={"callbacks": [Full()]})
    assert error.value.filename == str(tmp_path / "last.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3
    assert run(tmp_path, checkpoint_every=1, resume=tmp_path).history[-1]["step"] == 6


def test_what_could_not_be_loaded_again_is_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "space_text", lambda space: "space other { input image: 3\n output y = image }")
    with pytest.raises(RouteError, match="RS957"):
        run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_artifact_is_loaded_from_what_was_trained(whole: TrainResult) -> None:
    weights = load_artifact(whole.artifact).module.state_dict()
    assert all(torch.equal(one, weights[name]) for name, one in whole.module.state_dict().items())
    save_artifact(whole.artifact, rs.loads(GATED), whole.module)


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_from_outside_says_so(tmp_path: Path, number: signal.Signals) -> None:
    class Ends(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 3:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises((KeyboardInterrupt, RunError)) as error:
        run(tmp_path, checkpoint_every=1, trainer_args={"callbacks": [Ends()]})
    assert error.type is KeyboardInterrupt if number == signal.SIGINT else "ended by SIGTERM; `" in str(error.value)
    assert signal.getsignal(number) == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_gates_that_decide_alike_are_told_at_the_end(whole: TrainResult, tmp_path: Path) -> None:
    assert whole.remark == "1 of 1 gates decide alike for every image: `n` is always open (3 images)"
    again = run(tmp_path, resume=whole.checkpoint, val_set=Crops(3))
    assert again.remark == whole.remark
    plain = run(tmp_path / "plain", text="space p { input image: 3\n output y = image | conv(1, 3, bias) }")
    assert plain.remark == ""
