"""One call that trains a space, or a net of it, and exports it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sized
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.utils.data import Dataset

import routespace as rs
from routespace.files import remove_leftovers
from routespace.integrations.artifact import FILES, pack, save_artifact, space_text
from routespace.integrations.pairs import Pair, ignored_of
from routespace.integrations.scenes import CLASSES, Scenes
from routespace.integrations.train.checkpoint import AtomicCheckpointIO, SaveLast, check_same_run
from routespace.integrations.train.checks import (
    check_classes,
    check_counts,
    check_free,
    check_set,
    check_size,
    pairs_of,
)
from routespace.integrations.train.data import StepData
from routespace.integrations.train.folder import held_alone
from routespace.integrations.train.progress import Journal, Row, progress_callbacks, quiet_lightning
from routespace.integrations.train.recipe import Recipe
from routespace.integrations.train.running import check_processes, run_to_the_end
from routespace.integrations.train.task import Segmentation
from routespace.integrations.train.watch import Watch
from routespace.space.model import Space, from_expr

UNSEEN = 2**31
"""Added to the seed of the scenes to train on for those to validate on."""

SHAPING = {
    "accumulate_grad_batches",
    "gradient_clip_algorithm",
    "gradient_clip_val",
    "limit_train_batches",
    "max_epochs",
    "max_steps",
    "overfit_batches",
    "precision",
}
"""Arguments of a trainer that change what is learnt."""


@dataclass(frozen=True)
class TrainResult:
    """What a run left: the trained module, its exported `artifact`, the last `checkpoint` and each validation.

    `remark` names the gates that decided alike for every image of the last one, empty where there were none.
    """

    module: nn.Module
    artifact: Path
    checkpoint: Path
    history: tuple[Row, ...]
    seconds: float
    remark: str = ""

    @property
    def miou(self) -> float:
        """mIoU of the last validation."""
        return self.history[-1]["val/miou"]


def train(
    space: Space,
    out_dir: Path | str,
    *,
    steps: int,
    batch_size: int = 16,
    size: int | tuple[int, int] = 96,
    lr: float = 0.05,
    seed: int = 0,
    warmup: int = 0,
    net: str | None = None,
    classes: int = len(CLASSES),
    train_set: Dataset[Pair] | None = None,
    val_set: Dataset[Pair] | None = None,
    workers: int = 0,
    validations: int = 4,
    checkpoint_every: int | None = None,
    resume: Path | str | None = None,
    overwrite: bool = False,
    progress: bool = True,
    trainer_args: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train `space` in its dense form, or its net `net` in its fixed form, and export it to `out_dir / "artifact"`.

    The space has one output of `classes` logits. Without `train_set` and `val_set`, both of `(image, label)`, generated
    scenes of `size` are used. A checkpoint is written every `checkpoint_every` steps (a tenth of the run) and at the
    end; `resume` names one, or the folder of an earlier run, to go on from: the weights come out as if the run had
    never stopped. `trainer_args` go to Lightning's `Trainer` and win over what is set here. All files are written
    below `out_dir`; files of another run there are replaced only if `overwrite` says so.

    Items are pairs of a float32 image (C, H, W) and a label (H, W) of whole numbers, of any dtype, below `classes` or
    255 for no class (-1 where 255 is one); the images of a batch have one size. A `ValueError` names the set and the
    item that is anything else. Warns where the labels of a set, those of
    the first 100 images of `train_set`, hold one class and 255 only.

    Raises, before anything is written, `ValueError` for numbers and sets that no run can have, first items included,
    `RunError` where `out_dir` holds another run or one is at work in it, and `RouteError`: RS954 where the resumed run
    had other settings, RS952 where its checkpoint is of another space, RS957 where the artifact could not be loaded
    again. Raises `RunError` where the loss or a weight is no finite number any more, or where SIGTERM ends the run; the
    last checkpoint before that is kept, and no artifact is written.
    """
    recipe = Recipe(steps, batch_size, lr, seed, warmup=warmup, ignore_index=ignored_of(classes))
    graph = rs.build(space)
    check_counts(validations, checkpoint_every)
    check_classes(graph, classes)
    if train_set is None or val_set is None:
        check_size(graph, size)
    out_dir = Path(out_dir)
    checkpoint, artifact = out_dir / "last.ckpt", out_dir / "artifact"
    train_set = train_set if train_set is not None else Scenes(steps * batch_size, size, seed)
    val_set = val_set if val_set is not None else Scenes(64, size, seed + UNSEEN)
    wanted = pairs_of(graph, classes, recipe)
    check_set("train_set", train_set, wanted, recipe)
    check_set("val_set", val_set, wanted, recipe)
    run = _describe(recipe, space, net, train_set) | _describe_trainer(trainer_args or {})
    if resume is not None:
        resume = Path(resume) / checkpoint.name if Path(resume).is_dir() else Path(resume)
    module = rs.compile(space, form="fixed", net=net, seed=seed) if net else rs.compile(space, form="dense", seed=seed)
    data = StepData(train_set, val_set, recipe, workers, wanted)
    task, journal = Segmentation(module, recipe, classes), Journal()
    pack(artifact, space, module, net)
    if resume is not None:
        check_same_run(resume, run, task)
    saving = SaveLast(checkpoint, checkpoint_every or max(1, steps // 10), run)
    started = time.perf_counter()
    with quiet_lightning():
        callbacks = [journal, *progress_callbacks(progress), Watch(saving), saving]
        trainer = _make_trainer(recipe, out_dir, max(1, steps // validations), callbacks, dict(trainer_args or {}))
        check_processes(trainer, batch_size)
        with held_alone(out_dir) if trainer.is_global_zero else nullcontext():
            if trainer.is_global_zero:
                _clear(checkpoint, artifact, resume, overwrite)
            rows, kept = run_to_the_end(trainer, task, data, journal, saving, resume)
            module.eval()
            if trainer.is_global_zero:
                save_artifact(artifact, space, module, net=net)
            trainer.strategy.barrier()
    return TrainResult(module, artifact, kept, rows, time.perf_counter() - started, journal.remark)


def _clear(checkpoint: Path, artifact: Path, resume: Path | None, overwrite: bool) -> None:
    """Refuse to replace another run, and remove what killed ones left half written."""
    if not overwrite:
        check_free(checkpoint, artifact, resume)
    for path in (checkpoint, *(artifact / name for name in FILES)):
        remove_leftovers(path)


def _make_trainer(
    recipe: Recipe, out_dir: Path, validate_every: int, callbacks: list[Callback], wanted: dict[str, Any]
) -> Trainer:
    settings: dict[str, Any] = {
        "default_root_dir": out_dir,
        "max_steps": recipe.steps,
        "accelerator": "gpu" if torch.cuda.is_available() else "cpu",
        "devices": 1,
        "gradient_clip_val": recipe.clip,
        "val_check_interval": validate_every,
        "check_val_every_n_epoch": None,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "logger": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
    }
    settings |= wanted
    settings["callbacks"] = [*callbacks, *wanted.get("callbacks", ())]
    settings["plugins"] = [AtomicCheckpointIO(), *wanted.get("plugins", ())]
    return Trainer(**settings)


def _describe(recipe: Recipe, space: Space, net: str | None, train_set: Dataset[Pair]) -> dict[str, Any]:
    """What a run's weights depend on, as far as it can be told."""
    bound = {f"parameter {name}": str(value) for name, value in space.values.items()}
    policies = {f"policy {clause.name}": str(from_expr(clause.value)) for clause in space.overrides}
    data = {"training set": type(train_set).__name__, "images": len(cast(Sized, train_set))}
    if isinstance(train_set, Scenes):
        data |= {"size": str(train_set.size), "seed of the scenes": train_set.seed, "kinds": str(train_set.kinds)}
    return asdict(recipe) | bound | policies | data | {"text of the space": space_text(space), "net": net}


def _describe_trainer(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments of a trainer that weights depend on."""
    return {f"trainer_args {name}": str(value) for name, value in wanted.items() if name in SHAPING}
