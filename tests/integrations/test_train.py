"""Training: resumed runs equal uninterrupted ones, files are whole, output is quiet."""

import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

import routespace as rs
from routespace.diagnostics import RouteError
from routespace.integrations.artifact import load_artifact, space_text
from routespace.integrations.fault import RunError
from routespace.integrations.scenes import Scenes
from routespace.space.model import Space

pytest.importorskip("lightning", reason="needs routespace[train]", exc_type=ModuleNotFoundError)

from lightning.pytorch import Callback, Trainer

from routespace.integrations.train import Recipe, StepData, TrainResult, train
from routespace.integrations.train.data import StepOrder
from routespace.integrations.train.progress import Bar, progress_callbacks

STEPS = 7


class Jittered(Dataset[tuple[Tensor, Tensor]]):
    """Scenes with noise from all three global generators."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, label = Scenes(5, 64)[index]
        return image + 0.1 * random.random() + 0.1 * float(np.random.rand()) + 0.1 * torch.rand(1), label


class PowerCut(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise ConnectionResetError


def run(space: Space, out: Path, **changes: Any) -> TrainResult:
    settings: dict[str, Any] = {
        "steps": STEPS, "batch_size": 2, "size": 64, "lr": 0.1, "seed": 1, "warmup": 2, "validations": 3,
        "checkpoint_every": 3, "train_set": Jittered(), "val_set": Scenes(3, 64, 8), "progress": False,
    }  # fmt: skip
    return train(space, out, **(settings | changes))


@pytest.fixture(scope="module")
def whole(space: Space, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return run(space, tmp_path_factory.mktemp("whole"))


def assert_same(one: TrainResult, other: TrainResult) -> None:
    tensors = other.module.state_dict()
    for name, tensor in one.module.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name
    assert one.history == other.history


def test_a_run_can_be_repeated(space: Space, whole: TrainResult, tmp_path: Path) -> None:
    assert_same(whole, run(space, tmp_path))
    moved = run(space, tmp_path, seed=2, overwrite=True)
    assert any(not torch.equal(a, b) for a, b in zip(moved.module.parameters(), whole.module.parameters(), strict=True))


@pytest.mark.parametrize("cut", [4, 6], ids=["after one checkpoint", "at a checkpoint"])
def test_a_resumed_run_equals_an_uninterrupted_one(space: Space, whole: TrainResult, tmp_path: Path, cut: int) -> None:
    with pytest.raises(ConnectionResetError):
        run(space, tmp_path, trainer_args={"callbacks": [PowerCut(cut)]})
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == cut // 3 * 3
    torch.manual_seed(99)
    np.random.seed(99)
    random.seed(99)
    assert_same(whole, run(space, tmp_path, resume=tmp_path))


def test_noise_inside_the_network_is_resumed_too(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = rs.compile

    def noisy(*args: Any, **kwargs: Any) -> torch.nn.Module:
        """A module that draws random numbers in each training step."""
        module = compiled(*args, **kwargs)
        module.register_forward_pre_hook(
            lambda module, given: (given[0] + 0.1 * torch.randn_like(given[0]) if module.training else given[0],)
        )
        return module

    monkeypatch.setattr(rs, "compile", noisy)
    plain = run(space, tmp_path / "plain")
    with pytest.raises(ConnectionResetError):
        run(space, tmp_path / "cut", trainer_args={"callbacks": [PowerCut(5)]})
    assert_same(plain, run(space, tmp_path / "cut", resume=tmp_path / "cut" / "last.ckpt"))


def test_resuming_a_finished_run_changes_nothing(space: Space, whole: TrainResult, tmp_path: Path) -> None:
    again = run(space, tmp_path, resume=whole.checkpoint)
    assert_same(whole, again)
    assert again.checkpoint == whole.checkpoint and [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_other_settings_are_not_resumed(space: Space, whole: TrainResult, tmp_path: Path) -> None:
    with pytest.raises(RouteError) as error:
        run(space, tmp_path, lr=0.2, resume=whole.checkpoint)
    assert error.value.diagnostics[0].code == "RS954" and "`lr` was 0.1 and is 0.2" in str(error.value)


def test_the_first_difference_of_long_settings_is_shown(space: Space, whole: TrainResult, tmp_path: Path) -> None:
    text = space_text(space)
    place = text[: text.index("bias(1.5)")].count("\n") + 1
    with pytest.raises(RouteError) as error:
        run(rs.loads(text.replace("bias(1.5)", "bias(1.25)")), tmp_path, resume=whole.checkpoint)
    shown = rf"line {place} of `text of the space` was `.*bias\(1.5\)` and is `.*bias\(1.25\)`"
    assert re.search(shown, str(error.value))
    with pytest.raises(RouteError, match="`trainer_args accumulate_grad_batches` was None and is 2"):
        run(space, tmp_path, resume=whole.checkpoint, trainer_args={"accumulate_grad_batches": 2})
    assert not list(tmp_path.iterdir())


def test_another_run_is_not_replaced(space: Space, whole: TrainResult, tmp_path: Path) -> None:
    folder = whole.artifact.parent
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (tmp_path / "last.ckpt").write_bytes(whole.checkpoint.read_bytes())
    for resume in (None, tmp_path):
        with pytest.raises(RunError, match="holds an earlier run"):
            run(space, folder, resume=resume)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("validations", [3, 20])
@pytest.mark.parametrize("lr", [1e30, 1e25, 1e12])
def test_a_run_that_diverges_ends_and_keeps_what_was_good(
    space: Space, tmp_path: Path, lr: float, validations: int
) -> None:
    with pytest.raises(RunError, match="step") as error:
        run(space, tmp_path, lr=lr, warmup=0, checkpoint_every=1, steps=20, validations=validations)
    kept = tmp_path / "last.ckpt"
    assert [path.name for path in tmp_path.iterdir()] in ([], ["last.ckpt"])
    assert f"`{kept}` is of step" in str(error.value) or not kept.exists()
    if kept.exists():
        weights = torch.load(kept, weights_only=True)["state_dict"]
        assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    assert not kept.exists() or lr < 1e25 or validations < 20


class Empty(Scenes):
    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 0}, "`steps` is 0"),
        ({"steps": 2.5}, "`steps` is 2.5"),
        ({"lr": float("nan")}, "`lr` is nan"),
        ({"lr": float("inf")}, "`lr` is inf"),
        ({"validations": 0}, "`validations` is 0"),
        ({"checkpoint_every": 0}, "`checkpoint_every` is 0"),
        ({"train_set": Empty(1, 64)}, "`train_set` is empty"),
        ({"val_set": Empty(1, 64)}, "`val_set` is empty"),
        ({"classes": 3}, "`classes` is 3, the output of space `tiny` has 5"),
    ],
)
def test_what_no_run_can_have_is_refused(space: Space, tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        run(space, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_classes_of_labels_are_those_of_the_output(tmp_path: Path) -> None:
    few = rs.load(Path(__file__).with_name("tiny.route"), classes=2)
    with pytest.raises(ValueError, match=r"`train_set` has a class \d: there are 0 to 1, and 255 is ignored"):
        run(few, tmp_path / "out", classes=2, train_set=Scenes(2, 64))


@pytest.mark.parametrize("content", [None, b"", b"nonsense", "half"], ids=["missing", "empty", "nonsense", "half"])
def test_a_damaged_checkpoint_is_told(
    space: Space, whole: TrainResult, tmp_path: Path, content: bytes | str | None
) -> None:
    path = tmp_path / "last.ckpt"
    if content == "half":
        content = whole.checkpoint.read_bytes()[: whole.checkpoint.stat().st_size // 2]
    if isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(RouteError) as error:
        run(space, tmp_path / "out", resume=path)
    assert error.value.diagnostics[0].code == "RS952" and str(path) in str(error.value)
    assert content is None or "it is of another kind, or was cut short" in str(error.value)
    assert "weights_only" not in str(error.value) and "Errno" not in str(error.value)


def test_a_checkpoint_does_not_run_code(space: Space, tmp_path: Path) -> None:
    torch.save({"run": Recipe(steps=1)}, tmp_path / "last.ckpt")
    with pytest.raises(RouteError, match="other things than tensors and plain values") as error:
        run(space, tmp_path / "out", resume=tmp_path)
    assert error.value.diagnostics[0].code == "RS952"


def test_history_and_artifact(whole: TrainResult, images: Tensor) -> None:
    assert [row["step"] for row in whole.history] == [2, 4, 6, 7]
    last = whole.history[-1]
    assert 0 <= whole.miou == last["val/miou"] <= 1
    for cost in ("expected", "hard", "executed"):
        assert 0 < last[f"val/{cost}_min"] <= last[f"val/{cost}_mean"] <= last[f"val/{cost}_max"]
    sparse = load_artifact(whole.artifact).module
    with torch.no_grad():
        torch.testing.assert_close(sparse(images).output, whole.module(images).output)


def test_a_net_can_be_trained(space: Space, tmp_path: Path) -> None:
    result = run(space, tmp_path, steps=2, net="straight")
    assert load_artifact(result.artifact).net == "straight"
    assert result.history[-1]["val/expected_min"] == result.history[-1]["val/expected_max"]


def test_it_is_quiet_and_writes_nowhere_else(
    space: Space, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    run(space, tmp_path / "out", steps=2)
    assert capfd.readouterr() == ("", "")
    assert not list(here.iterdir())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["artifact", "last.ckpt"]


def test_progress_is_plain_lines_where_there_is_no_terminal(
    space: Space, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(space, tmp_path, steps=2, validations=1, progress=True)
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert [line[:8] for line in lines] == ["step 1/2", "step 2/2", "step 2/2"] and "mIoU" in lines[2]
    assert "\x1b" not in out and err == ""


def test_progress_is_a_bar_on_a_terminal(
    space: Space, whole: TrainResult, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    (bar,) = progress_callbacks(True)
    assert isinstance(bar, Bar) and not progress_callbacks(False)
    monkeypatch.undo()
    run(space, tmp_path, steps=2, trainer_args={"callbacks": [bar]})
    out, err = capfd.readouterr()
    assert out.count("mIoU") == 2 and "2/2" in out and err == ""
    run(space, tmp_path / "other", resume=whole.checkpoint, trainer_args={"callbacks": [Bar()]})
    assert "step 7/7" in capfd.readouterr().out


def test_each_item_is_used_once_a_round_and_shards_share_a_batch() -> None:
    order = StepOrder(length=5, batch_size=4, batches=5, seed=3)
    batches = list(order)
    indices = [index for batch in batches for _, index in batch]
    assert [place for batch in batches for place, _ in batch] == list(range(20))
    for first in range(0, 20, 5):
        assert sorted(indices[first : first + 5]) == [0, 1, 2, 3, 4]
    assert indices[:5] != indices[5:10]
    shards = [list(StepOrder(5, 4, 5, 3, rank, 2)) for rank in range(2)]
    for batch, *shares in zip(batches, *shards, strict=True):
        assert sorted(batch) == sorted(key for share in shares for key in share)


def test_the_loader_goes_on_where_it_stopped_whatever_the_workers() -> None:
    recipe = Recipe(steps=6, batch_size=2, seed=4)
    batches = list(StepData(Jittered(), Jittered(), recipe).train_dataloader())
    first = StepData(Jittered(), Jittered(), recipe, workers=1).train_dataloader()
    taken = [batch for batch, _ in zip(first, range(2), strict=False)]
    resumed = StepData(Jittered(), Jittered(), recipe, workers=2).train_dataloader()
    resumed.load_state_dict({"taken": 2})
    for (image, label), (other_image, other_label) in zip(batches, [*taken, *resumed], strict=True):
        assert torch.equal(image, other_image) and torch.equal(label, other_label)


def test_learning_rate() -> None:
    recipe = Recipe(steps=100, warmup=10, power=0.9)
    factors = [recipe.lr_factor(step) for step in range(101)]
    assert factors[:10] == sorted(factors[:10]) and factors[9:] == sorted(factors[9:], reverse=True)
    assert factors[50] == pytest.approx(0.5**0.9) and factors[100] == 0
    assert Recipe(steps=10).lr_factor(0) == 1


@pytest.mark.parametrize("name", ["lightning", "torchmetrics"])
def test_a_missing_extra_is_named(name: str) -> None:
    program = f"import sys; sys.modules[{name!r}] = None\nimport routespace.integrations.train"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "RS951" in told.stderr and "pip install 'routespace[train]'" in told.stderr
