"""Runs of `train` on two processes: `python -m tests.integrations.shared_run STRATEGY FOLDER`.

Each rank leaves in FOLDER what came out of a run that ends well, and of one whose fifth item is broken; every file that
is opened for writing below FOLDER/out is written down with the rank.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from routespace.integrations.fault import RunError
from tests.integrations.runs import Crops, run


class Partly(Crops):
    """Crops of which each has another number of ignored pixels."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, label = super().__getitem__(index)
        label = label.clone()
        label[: 9 * index] = 255
        return image, label


SETTINGS: dict[str, Any] = {
    "steps": 4, "batch_size": 4, "train_set": Partly(7, void=(3,)), "weight": 0.5, "validations": 2, "lr": 0.1,
    "checkpoint_every": 2, "val_set": Crops(3),
}  # fmt: skip


def rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def watch_writing(folder: Path) -> None:
    """Write down which rank opens files below `folder` to write to them."""
    told = os.open(folder.parent / "written", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str) and args[0].startswith(str(folder)):
            is_written = bool(args[2] & (os.O_WRONLY | os.O_RDWR)) if args[1] is None else set(args[1]) & set("wax+")
            if is_written:
                os.write(told, f"{rank()} {Path(args[0]).name}\n".encode())

    sys.addaudithook(hook)


def main(strategy: str, folder: Path) -> None:
    torch.set_num_threads(1)
    watch_writing(folder / "out")
    trainer = {"accelerator": "cpu", "devices": 2, "strategy": strategy}
    result = run(folder / "out", **SETTINGS, trainer_args=trainer)
    told: dict[str, Any] = {"history": result.history, "weights": result.module.state_dict(), "remark": result.remark}
    try:
        run(folder / "out" / "broken", **{**SETTINGS, "train_set": Crops(8, broken=(5,))}, trainer_args=trainer)
    except RunError as error:
        told["error"] = error.message
    torch.save(told, folder / f"{rank()}.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
