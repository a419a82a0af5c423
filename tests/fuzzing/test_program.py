"""`routespace fuzz`: what it finds, keeps, runs again and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor, nn
from typer.testing import CliRunner

import routespace as rs
from routespace.cli import app

TEXT = """space s(width = 4) {
  input image: 3
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node n {
    x = image | conv(3, width, stride = 8)
    y = x + soft(x) * (x | OP)
  }
  output y = y
}
"""
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["fuzz", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return invoke


@pytest.fixture
def broken() -> str:
    @rs.op("spread")
    class Spread(nn.Module):
        def __init__(self, inputs: tuple[int, ...]) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean(0, keepdim=True) if len(x) else x

    return TEXT.replace("OP", "conv(1) | spread")


def test_a_sound_space_is_clean(run: Run) -> None:
    Path("s.route").write_text(TEXT.replace("OP", "conv(1) | relu"))
    code, output = run("s.route", "--examples", "2")
    assert code == 0
    assert "s: 2 cases" in output and "all hold" in output and "situations met" in output
    assert not Path("fuzz").exists()


def test_a_failure_is_made_small_and_kept_and_runs_again(run: Run, broken: str) -> None:
    Path("s.route").write_text(broken)
    code, output = run("s.route", "--examples", "1")
    assert code == 1
    folder = Path("fuzz/s-ops-see-images-alone")
    assert f"fuzz --replay {folder}" in output
    assert (folder / "space.route").read_text() == "space s {\n  input image: 1\n  output y = image | spread\n}\n"
    assert json.loads((folder / "case.json").read_text())["law"] == "ops see images alone"
    assert {one.name for one in folder.iterdir()} == {"space.route", "case.json", "gates.json"}
    code, output = run("--replay", str(folder))
    assert code == 1 and "depends on the other images" in output
    rs.op("spread", replace=True)(lambda inputs: nn.Tanh())
    code, output = run("--replay", str(folder))
    assert code == 0 and "holds now: ops see images alone" in output


def test_gates_are_kept_and_compared(run: Run, broken: str) -> None:
    Path("s.route").write_text(broken)
    code, _ = run("s.route", "--law", "images stand alone")
    assert code == 1
    folder = Path("fuzz/s-images-stand-alone")
    code, output = run("--replay", str(folder))
    assert code == 1
    gates = json.loads((folder / "gates.json").read_text())
    for node in gates:
        assert "gates decide as they did" in output
        gates[node] = {route: [7.0 for _ in weights] for route, weights in gates[node].items()}
    gates["more"] = {"r": [1.0]}
    (folder / "gates.json").write_text(json.dumps(gates))
    _, output = run("--replay", str(folder))
    assert "gates decide otherwise" in output and "more" in output


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("case.json", "{", "is not JSON"),
        ("case.json", "[]", "not a case of version"),
        ("case.json", '{"version": 1, "law": "gravity"}', "which there is not"),
        ("case.json", '{"version": 1, "law": "forms agree", "batch": 1e9}', "says `weight_seed` is None"),
        ("gates.json", "[1]", "does not say"),
        ("space.route", None, "is missing"),
        ("space.route", "space s { output y = image }", "RS"),
    ],
)
def test_a_folder_that_cannot_be_read(run: Run, name: str, text: str | None, said: str) -> None:
    folder = Path("kept")
    folder.mkdir()
    numbers = {"weight_seed": 0, "tilt": 0.0, "batch": 1, "height": 64, "width": 64, "image_seed": 0}
    (folder / "case.json").write_text(json.dumps({"version": 1, "law": "forms agree", **numbers}))
    (folder / "gates.json").write_text("{}")
    (folder / "space.route").write_text(TEXT.replace("OP", "relu"))
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    code, output = run("--replay", "kept")
    assert code == 1 and said in output


@pytest.mark.parametrize(
    "arguments",
    [(), ("s.route", "--replay", "kept"), ("--replay", "kept", "--law", "x"), ("s.route", "--law", "gravity")],
)
def test_a_command_line_with_problems(run: Run, arguments: tuple[str, ...]) -> None:
    Path("s.route").write_text(TEXT.replace("OP", "relu"))
    code, _ = run(*arguments)
    assert code == 2


def test_a_space_that_does_not_build(run: Run) -> None:
    Path("s.route").write_text(TEXT.replace("OP", "rellu"))
    code, output = run("s.route")
    assert code == 1 and "RS203" in output


def test_noise_that_is_declared_is_no_finding(run: Run) -> None:
    @rs.op("dropped", same_in_training=False)
    class Dropped(nn.Module):
        def __init__(self, inputs: tuple[int, ...]) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x, 0.5, self.training)

    Path("s.route").write_text(TEXT.replace("OP", "conv(1) | dropped"))
    assert run("s.route", "--examples", "2")[0] == 0
