"""How a run tells how far it is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Row = dict[str, float]


class Journal(Callback):
    """Keeps what each validation found, with its step, and the remark of the last, across interruptions."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.remark = ""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.note(trainer.global_step, trainer)
        self.remark = str(pl_module.remark)

    def note(self, step: int, trainer: Trainer) -> None:
        """Keep the metrics of a trainer as those of a step."""
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.rows.append({"step": float(step), **found})

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "remark": self.remark}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.remark = list(state_dict["rows"]), str(state_dict.get("remark", ""))


class Lines(Callback):
    """A line of text every twentieth of the run and after each validation."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step % max(1, trainer.max_steps // 20) == 0:
            loss = trainer.callback_metrics["loss"]
            print(f"step {trainer.global_step}/{trainer.max_steps}  loss {loss:.3f}", flush=True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        print(_validated(trainer), flush=True)


class Bar(Callback):
    """A bar with the loss of the last step; validations are written above it."""

    def __init__(self) -> None:
        told = TextColumn("loss {task.fields[loss]}")
        self.progress = Progress(
            TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), told
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.task = self.progress.add_task("", total=trainer.max_steps, completed=trainer.global_step, loss="")
        self.progress.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        loss = f"{trainer.callback_metrics['loss']:.3f}"
        self.progress.update(self.task, completed=trainer.global_step, loss=loss)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress.console.print(_validated(trainer), highlight=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.progress.stop()


def _validated(trainer: Trainer) -> str:
    found = trainer.callback_metrics
    costs = "  ".join(f"{name} {found[f'val/{name}_mean'] / 1e6:.2f}" for name in ("expected", "hard", "executed"))
    return f"step {trainer.global_step}/{trainer.max_steps}  mIoU {found['val/miou']:.3f}  M multiply-adds: {costs}"


def progress_callbacks(wanted: bool) -> list[Callback]:
    """A bar where standard output is a terminal, lines where it is not, nothing where not `wanted`."""
    if not wanted:
        return []
    return [Bar()] if sys.stdout.isatty() else [Lines()]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's remarks on the machine, workers and its own products, and torch's on processes that ended."""
    names = ("lightning.pytorch", "lightning.fabric", "torch.multiprocessing.spawn")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for remark in REMARKS:
                warnings.filterwarnings("ignore", message=remark)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


REMARKS = (
    r".*does not have many workers which may be a bottleneck.*",
    r".*isinstance\(treespec, LeafSpec\).* is deprecated.*",
    r"It is recommended to use `self.log\('val/.*', \.\.\., sync_dist=True\)`.*",  # metrics are summed over processes
)
"""Warnings of Lightning that say nothing about the run."""
