"""Every mutant can be put in; a handful is attacked here, all of them by `python -m tests.mutants`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import CONTROL, MUTANTS
from tests.mutants.hunches import HUNCHES
from tests.mutants.mutant import PACKAGE, Mutant

ROOT = Path(__file__).parents[2]
HANDFUL = (
    "NaN closes silently", "identity forgotten in nets", "folded weights stay", "mask not grown by dilation",
    "windows without dilation", "the maximum leaves routes out", "the entry cell charged",
)  # fmt: skip


@pytest.mark.parametrize("mutant", (*MUTANTS, CONTROL), ids=lambda mutant: mutant.name)
def test_a_mutant_is_a_change_that_compiles(mutant: Mutant) -> None:
    source = (PACKAGE / mutant.file).read_text("utf-8")
    changed = mutant.mutate(source)
    compile(changed, mutant.file, "exec")
    assert (changed == source) == (mutant is CONTROL)


def test_there_are_enough() -> None:
    names = {mutant.name for mutant in MUTANTS}
    assert len(names) == len(MUTANTS) >= 40
    assert names >= {*HUNCHES, *HANDFUL}


def test_a_place_that_moved_is_told() -> None:
    with pytest.raises(ValueError, match="stands 0 times"):
        Mutant("moved", "targets.py", "not there", "").mutate("text")


def test_a_handful_dies() -> None:
    told = attack(*(part for name in HANDFUL for part in ("--only", name)))
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{len(HANDFUL)} of {len(HANDFUL)} dead" in told.stdout


@pytest.mark.slow
def test_the_package_as_it_is_survives() -> None:
    told = attack("--control")
    assert told.returncode == 0, told.stdout + told.stderr


def test_goldens_cannot_be_opened() -> None:
    code = (
        "from tests.mutants import CONTROL; from tests.mutants.kill import put_in; put_in(CONTROL)\n"
        "try: open('tests/golden/segmentation_L5_C8.json')\n"
        "except PermissionError: print('refused')"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.stdout == "refused\n", told.stderr


def attack(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.mutants", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
