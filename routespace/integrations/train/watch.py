"""Ending a run whose numbers are none, with the reason."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from routespace.integrations.divergence import broken_image, broken_item, diverged
from routespace.integrations.fault import RunError
from routespace.integrations.pairs import Pair
from routespace.integrations.train.checkpoint import SaveLast, raise_agreed
from routespace.integrations.train.data import StepLoader
from routespace.integrations.train.task import Segmentation


class Watch(Callback):
    """Raises `RunError` in the step whose loss is not finite, before it changes a weight, and for images to validate
    on that are not. Where several processes share a batch, all of them raise what one of them found."""

    def __init__(self, saving: SaveLast) -> None:
        self.saving = saving
        self.batch: Pair | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Pair, batch_idx: int) -> None:
        self.batch = batch

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        broken = (~loss.detach().isfinite()).to(torch.float32)
        if bool(trainer.strategy.reduce(broken, reduce_op="sum")):
            assert isinstance(pl_module, Segmentation)
            raise_agreed(trainer, self._found(trainer, pl_module) if bool(broken) else None)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Pair, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if not bool(batch[0].isfinite().all()):
            assert isinstance(pl_module, Segmentation)
            first = batch_idx * pl_module.recipe.batch_size
            raise broken_item(f"item {first + (broken_image(batch[0]) or 0)} of `val_set`")

    def _found(self, trainer: Trainer, task: Segmentation) -> RunError:
        assert self.batch is not None
        loader: Any = trainer.train_dataloader
        taken = trainer.fit_loop.total_batch_idx

        def item(place: int) -> str:
            known = isinstance(loader, StepLoader)
            return f"item {loader.order.keys(taken)[place][1]} of `train_set`" if known else "an item of `train_set`"

        error = diverged(
            trainer.global_step + 1, {name: float(one) for name, one in task.losses.items()}, self.batch[0],
            task.module, item=item, moved=trainer.global_step > 0 and task.recipe.lr > 0,
        )  # fmt: skip
        return RunError(f"{error.message}; {self.saving.kept}", error.help)
