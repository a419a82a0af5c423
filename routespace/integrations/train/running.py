"""One run of a trainer, in this process or in others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.multiprocessing.spawn import ProcessRaisedException

from routespace.integrations.fault import RunError
from routespace.integrations.train.checkpoint import SaveLast, read_checkpoint
from routespace.integrations.train.data import StepData
from routespace.integrations.train.progress import Journal, Row
from routespace.integrations.train.task import Segmentation


def check_processes(trainer: Trainer, batch_size: int) -> None:
    """Raises `ValueError` for a batch that the processes of `trainer` cannot share evenly, and for processes that would
    be sent the module."""
    processes = trainer.world_size
    if batch_size % processes:
        needed = f"a multiple of {processes} is needed, so that each has as many images"
        raise ValueError(f"`batch_size` is {batch_size} on {processes} devices: {needed}")
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _MultiProcessingLauncher) and not launcher.is_interactive_compatible:
        raise ValueError("`strategy` sends the module to new processes by pickle, which is refused: use `ddp`")


def run_to_the_end(
    trainer: Trainer, task: Segmentation, data: StepData, journal: Journal, saving: SaveLast, resume: Path | None
) -> tuple[tuple[Row, ...], Path]:
    """Train, and validate what no validation has seen; gives what validations found, and the last checkpoint."""
    with _ended_by_others(saving):
        trainer.fit(task, datamodule=data, ckpt_path=resume)
        step, kept = trainer.global_step, saving.path if resume is None or saving.saved >= 0 else resume
        if _is_forked(trainer):  # weights and metrics come back from the forked processes, and callbacks do not
            step, kept = _recall(journal, saving, resume)
        if not journal.rows or journal.rows[-1]["step"] < step:
            trainer.validate(task, datamodule=data, verbose=False)
            if _is_forked(trainer):
                journal.note(step, trainer)
    return tuple(journal.rows), kept


def _is_forked(trainer: Trainer) -> bool:
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def _recall(journal: Journal, saving: SaveLast, resume: Path | None) -> tuple[int, Path]:
    """Let `journal` know what other processes have written down; gives the step and the checkpoint they came to."""
    found, kept = read_checkpoint(saving.path) if saving.path.exists() else {}, saving.path
    if resume is not None and found.get("token") != saving.token:
        found, kept = read_checkpoint(resume), resume
    journal.load_state_dict(found["callbacks"][journal.state_key])
    return found["global_step"], kept


@contextmanager
def _ended_by_others(saving: SaveLast) -> Iterator[None]:
    """What ends a run from outside becomes an error that says so: signals, and errors in other processes."""
    try:
        yield
    except SIGTERMException:
        raise RunError(f"the run was ended by SIGTERM; {saving.kept}", "`resume` it") from None
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):  # Lightning turns one into the other
            raise KeyboardInterrupt from None
        raise
    except ProcessRaisedException as error:
        _, is_told, told = str(error).rpartition(f"{RunError.__module__}.{RunError.__name__}: ")
        message, _, help = told.strip().partition("\n  help: ")
        if not is_told:
            raise
        raise RunError(message, help) from None
