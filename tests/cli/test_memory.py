"""Memory that runs out is told in one line, with what was being done."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from routespace.memory import is_out_of_memory
from tests.cli.conftest import Run
from tests.cli.test_streams import shell


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("std::bad_alloc"), ImportError("x.so: failed to map segment"), OSError(12, "")],
)
def test_a_command_says_what_it_was_at(error: Exception, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_: object) -> None:
        raise error

    monkeypatch.setattr("routespace.cli.check.check_file", hungry)
    ended = run("check", "tiny.route", "o\nther.route")
    assert ended.code == 1 and ended.out == ""
    assert ended.err.startswith("error: out of memory in `routespace check tiny.route o\\nther.route`\n  help: ")


def test_another_error_is_none_of_memory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr("routespace.cli.check.check_file", broken)
    with pytest.raises(RuntimeError, match="a fault of the program"):
        run("check", "tiny.route")
    assert not is_out_of_memory(ValueError("out of memory")) and not is_out_of_memory(None)


def test_an_image_that_takes_too_much_is_left_out(run: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (96, 96)).save(files / "photos" / name)
    from routespace.cli import running

    read = running.read_image

    def hungry(path: Path, channels: int) -> object:
        if path.name == "a.png":
            raise MemoryError
        return read(path, channels)

    monkeypatch.setattr(running, "read_image", hungry)
    ended = run("run", "tiny.route", "photos", "--seed", "0")
    assert ended.code == 1 and "error: `photos/a.png`: out of memory" in ended.err and "b.png" in ended.out


def test_a_space_that_does_not_fit(files: Path) -> None:
    (files / "wide.route").write_text(
        "space wide {\n  input image: 3\n  output y = image | conv(1, 60000) | conv(3, 60000)\n}\n"
    )
    code, _, error = shell("ulimit -v 6000000; routespace show wide.route --stage fx")
    assert code == 1 and error.startswith("error: out of memory in `routespace show wide.route`\n"), error
