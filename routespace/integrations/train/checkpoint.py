"""Checkpoints that are whole or not there, and that hold plain data only."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.trainer.states import TrainerFn

from routespace.files import atomic_path
from routespace.integrations.fault import fault


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the file and renames; reads tensors and plain values, and refuses anything else."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class SaveLast(Callback):
    """Keeps the state of the newest multiple of `every` steps, and of the end, in `path`; `run` describes the run.

    A step that is validated is saved with what the validation found, after it.
    """

    def __init__(self, path: Path, every: int, run: dict[str, Any]) -> None:
        self.path, self.every, self.run = path, every, run
        self.saved = -1

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if not _validates_now(trainer):
            self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._save(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["run"] = self.run

    def _save(self, trainer: Trainer) -> None:
        step = trainer.global_step
        if step != self.saved and (step % self.every == 0 or step == trainer.max_steps):
            self.saved = step
            trainer.save_checkpoint(self.path)


def _validates_now(trainer: Trainer) -> bool:
    """Whether this batch is followed by a validation; False where validation is not counted in batches."""
    every = trainer.val_check_batch
    if trainer.check_val_every_n_epoch is not None or not trainer.enable_validation or not every:
        return False
    return (trainer.fit_loop.total_batch_idx + 1) % every == 0


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint on the CPU. Raises `RouteError` RS952 for a file that is missing or not one."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as cause:
        raise fault("RS952", f"there is no checkpoint at `{path}`") from cause
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as cause:
        raise fault(
            "RS952",
            f"`{path}` is not a readable checkpoint",
            notes=(str(cause).splitlines()[0] if str(cause) else type(cause).__name__,),
            help="resume from another checkpoint",
        ) from cause
    if not isinstance(checkpoint, dict) or "run" not in checkpoint:
        raise fault("RS952", f"`{path}` is not a checkpoint of a training run")
    return checkpoint


def check_same_run(path: Path, run: dict[str, Any]) -> None:
    """Raise `RouteError` RS954 where the checkpoint at `path` is of a run other than `run`."""
    before = read_checkpoint(path)["run"]
    changed = sorted(name for name in run.keys() | before.keys() if run.get(name) != before.get(name))
    if changed:
        notes = (f"`{name}` was {_short(before.get(name))} and is {_short(run.get(name))}" for name in changed)
        raise fault(
            "RS954",
            f"`{path}` is of a run with other settings",
            notes=notes,
            help="resume with the settings the run was started with",
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
