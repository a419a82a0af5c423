"""Two processes that share every batch learn what one process learns, and one of them writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.integrations.shared_batch import cases, compiled, train

pytest.importorskip("lightning", reason="needs routespace[train]", exc_type=ModuleNotFoundError)

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or os.name == "nt", reason="needs processes that gloo connects"
)

ROOT = Path(__file__).parents[2]


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.integrations.{program}", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE")}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        told, _ = process.communicate(timeout=300)
        assert process.returncode == 0 and not told, told


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(
            tensor, other[name], rtol=0, atol=tolerance, msg=lambda told, name=name: f"{name}: {told}"
        )


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[tuple[str, str, str], Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    finish(*(start("shared_batch", str(rank), "2", str(folder)) for rank in range(2)))
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize(("form", "gates", "way"), sorted(cases()))
def test_plain_data_parallelism(ranks: list[dict[tuple[str, str, str], Any]], form: str, gates: str, way: str) -> None:
    """Whatever is forced, closed or not reached, on both ranks or one, every parameter has a gradient to share."""
    one, other = (rank[form, gates, way] for rank in ranks)
    assert_close(one, other, 0.0)
    module = compiled(form)
    assert_close(one, train(module, module, gates), 1e-6)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.integrations.runs import run
    from tests.integrations.shared_run import SETTINGS

    return run(tmp_path_factory.mktemp("alone"), **SETTINGS)


@pytest.mark.parametrize("strategy", ["ddp", "ddp_fork"])
def test_a_run_on_two_processes(alone: Any, tmp_path: Path, strategy: str) -> None:
    finish(start("shared_run", strategy, str(tmp_path)))
    told = [torch.load(path) for path in sorted(tmp_path.glob("*.pt"))]
    assert len(told) == (2 if strategy == "ddp" else 1)
    for rank in told:
        assert_close(rank["weights"], told[0]["weights"], 0.0)
        assert_close(rank["weights"], alone.module.state_dict(), 1e-5)
        assert [row["step"] for row in rank["history"]] == [2, 4]
        for row, wanted in zip(rank["history"], alone.history, strict=True):
            assert row == pytest.approx(wanted, rel=1e-4)
        assert rank["remark"] == alone.remark != ""
        assert rank["error"].startswith("item 5 of `train_set` holds NaN")
    assert {line.split()[0] for line in (tmp_path / "written").read_text().splitlines()} == {"0"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["artifact", "last.ckpt"]
