"""`@routespace_laws` in a test suite of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPACE = """space s {
  input image: 3
  gate soft per image { body mean | conv(1, routes, bias); activation ACTIVATION }
  node n { x = image | conv(3, 4, stride = 8); y = x + soft(x) * (x | relu) }
  output y = y
}
"""
TEST = """from routespace.testing import routespace_laws
import late

@routespace_laws("s.route", examples=1, laws=LAWS)
def test_s(law):
    law()
"""
LATE = """import torch
import routespace as rs

@rs.activation("late", range=(0.0, 1.0), closes=True)
class Late(torch.nn.Module):
    def forward(self, logits):
        return torch.relu(torch.tanh(logits)), logits > 0.1
"""


def suite(folder: Path, activation: str, laws: object) -> str:
    (folder / "s.route").write_text(SPACE.replace("ACTIVATION", activation))
    (folder / "test_s.py").write_text(TEST.replace("LAWS", repr(laws)))
    (folder / "late.py").write_text(LATE)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "routespace.testing.plugin", "-p", "no:cacheprovider", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    return ended.stdout + ended.stderr


def test_every_law_named_is_a_test(tmp_path: Path) -> None:
    told = suite(tmp_path, "relu_tanh", ["gates open at NaN", "forms agree", "images stand alone"])
    assert "3 passed" in told, told


def test_a_broken_law_fails_with_a_minimal_space(tmp_path: Path) -> None:
    told = suite(tmp_path, "late", ["gates open at NaN", "gates repeat"])
    assert "1 failed, 1 passed" in told, told
    assert "activation late" in told
    assert "routespace --import late fuzz --replay fuzz/s-gates-open-at-NaN" in told
    assert (tmp_path / "fuzz" / "s-gates-open-at-NaN" / "case.json").exists()


def test_a_law_that_is_not_asked_is_told(tmp_path: Path) -> None:
    assert "not asked the law `gravity`" in suite(tmp_path, "relu_tanh", ["gravity"])
