"""Checkpoints that are whole or not there, and that hold plain data only."""

from __future__ import annotations

import math
import pickle
import secrets
import zipfile
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.trainer.states import TrainerFn

from routespace.files import atomic_path
from routespace.integrations.artifact import not_finite
from routespace.integrations.divergence import SLOWER
from routespace.integrations.fault import RunError, fault
from routespace.integrations.train.fitting import check_fits


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the file and renames; reads tensors and plain values, and refuses anything else."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        broken = not_finite(checkpoint.get("state_dict", {}))
        if broken is not None:
            raise RunError(f"`{path}` is not written: `{broken.removeprefix('module.')}` is not finite", SLOWER)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # of an archive that cannot be closed, since the disk is full
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return _read(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class SaveLast(Callback):
    """Keeps the state of the newest multiple of `every` steps, and of the end, in `path`; `run` describes the run.

    A step that is validated is saved with what the validation found, after it. Raises `RunError` instead of keeping
    weights that are not finite, or that cost no finite amount.
    """

    def __init__(self, path: Path, every: int, run: dict[str, Any]) -> None:
        self.path, self.every, self.run = path, every, run
        self.saved = -1
        self.token = secrets.token_hex(8)

    @property
    def kept(self) -> str:
        """What there is to go on from, in words."""
        return f"`{self.path}` is of step {self.saved}" if self.saved >= 0 else "no checkpoint was written before that"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.ckpt_path is not None and Path(trainer.ckpt_path).resolve() == self.path.resolve():
            self.saved = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        if not _validates_now(trainer):
            self._save(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        cost = float(trainer.callback_metrics.get("val/expected_mean", 0.0))
        if not math.isfinite(cost):
            raise self._diverged(f"after step {trainer.global_step} the expected cost is {cost}")
        self._save(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["run"], checkpoint["token"] = self.run, self.token

    def _save(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = trainer.global_step
        if step != self.saved and (step % self.every == 0 or step == trainer.max_steps):
            broken = not_finite(pl_module.state_dict())
            message = f"after step {step} `{(broken or '').removeprefix('module.')}` is not finite"
            raise_agreed(trainer, self._diverged(message) if broken else None)
            trainer.save_checkpoint(self.path)
            self.saved = step

    def _diverged(self, what: str) -> RunError:
        return RunError(f"{what}; {self.kept}", SLOWER)


def raise_agreed(trainer: Trainer, error: RunError | None) -> None:
    """Raise `error`, or that of another process of the run: all of them end, and none waits for one that has.

    Each process of the run calls it.
    """
    told: list[RunError | None] = [error]
    if trainer.world_size > 1:
        told *= trainer.world_size
        torch.distributed.all_gather_object(told, error)
    found = next((one for one in told if one is not None), None)
    if found is not None:
        raise found


def _validates_now(trainer: Trainer) -> bool:
    """Whether this batch is followed by a validation; False where validation is not counted in batches."""
    every = trainer.val_check_batch
    if trainer.check_val_every_n_epoch is not None or not trainer.enable_validation or not every:
        return False
    return (trainer.fit_loop.total_batch_idx + 1) % every == 0


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint on the CPU. Raises `RouteError` RS952 for a file that is missing or not one."""
    checkpoint = _read(path)
    if not isinstance(checkpoint.get("run"), dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise fault("RS952", f"`{path}` is not a checkpoint of a training run")
    return checkpoint


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as cause:
        raise fault("RS952", f"there is no checkpoint at `{path}`") from cause
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as cause:
        raise fault(
            "RS952",
            f"`{path}` is not a readable checkpoint",
            notes=(_why(path, cause),),
            help="resume from another checkpoint",
        ) from cause
    return content if isinstance(content, dict) else {}


def _why(path: Path, cause: Exception) -> str:
    """Why a file could not be read as a checkpoint, without advice to read it in less careful ways."""
    try:
        whole = zipfile.is_zipfile(path)
    except OSError:
        whole = True
    if not whole:
        return "it is of another kind, or was cut short while it was written or copied"
    if isinstance(cause, pickle.UnpicklingError):
        return "it holds other things than tensors and plain values, which are not loaded: they could run code"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def check_same_run(path: Path, run: dict[str, Any], task: LightningModule) -> None:
    """Hold the checkpoint at `path` against the run that is to go on from it.

    Raises `RouteError` RS954 where it is of a run other than `run`, RS952 where its weights are not those of `task`.
    """
    checkpoint = read_checkpoint(path)
    before = checkpoint["run"]
    changed = sorted(name for name in run.keys() | before.keys() if run.get(name) != before.get(name))
    if changed:
        notes = (_changed(name, before.get(name), run.get(name)) for name in changed)
        raise fault(
            "RS954",
            f"`{path}` is of a run with other settings",
            notes=notes,
            help="resume with the settings the run was started with",
        )
    check_fits(path, checkpoint, task)


def _changed(name: str, before: object, now: object) -> str:
    """What differs, of texts of several lines the first line that does."""
    one, other = str(before).splitlines() or [""], str(now).splitlines() or [""]
    if len(one) == len(other) == 1:
        return f"`{name}` was {_short(one[0], other[0])} and is {_short(other[0], one[0])}"
    at, (old, new) = next(
        (at, pair) for at, pair in enumerate(zip_longest(one, other, fillvalue=""), 1) if pair[0] != pair[1]
    )
    return f"line {at} of `{name}` was `{_short(old.strip(), new.strip())}` and is `{_short(new.strip(), old.strip())}`"


def _short(text: str, other: str) -> str:
    """At most 40 letters of a line, from a little before the first in which it differs from the other."""
    if len(text) <= 40:
        return text
    same = next((at for at, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    start = max(0, min(same - 10, len(text) - 40))
    return ("..." if start else "") + text[start : start + 40] + ("..." if start + 40 < len(text) else "")
