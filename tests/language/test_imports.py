"""What imports may read, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import routespace as rs
from routespace.language import imports

SPACE = "space s {\n  input image: 3\n  output y = image | norm\n}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `in` with files, beside others that are not for it."""
    inside = tmp_path / "in"
    (inside / "deep").mkdir(parents=True)
    for place in (tmp_path, inside, inside / "deep"):
        (place / "library.route").write_text("op norm = batchnorm\n")
        (place / "secret.env").write_text("PASSWORD = hunter2\n")
    (inside / "leads_out.route").symlink_to(tmp_path / "library.route")
    (inside / "disguised.route").symlink_to(inside / "secret.env")
    (inside / "loop.route").symlink_to(inside / "loop.route")
    return inside


def report(path: Path, what: str, **more: object) -> str:
    with pytest.raises(rs.RouteError) as error:
        rs.loads(f'from "{what}" import norm\n{SPACE}', path=str(path / "main.route"), **more)
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../library.route", "it is outside of the folder"),
        ("deep/../../library.route", "it is outside of the folder"),
        ("leads_out.route", "it is outside of the folder"),
        ("../secret.env", "it is outside of the folder"),
        ("../" * 60 + "proc/self/environ", "it is outside of the folder"),
        ("../not_there.route", "it is outside of the folder"),
        ("secret.env", "names end in `.route`"),
        ("deep/secret.env", "names end in `.route`"),
        ("disguised.route", "names end in `.route`"),
        ("loop.route", "loop"),
        ("deep", "it is a folder, not a file"),
        ("a\0b.route", "null"),
        ("a\ud800.route", "surrogates"),
        ("a/" * 501 + "b.route", "its path has 1009 characters; at most 1000"),
        ("a" * 300 + ".route", "File name too long"),
    ],
)
def test_what_cannot_be_read(folder: Path, path: str, why: str) -> None:
    found = report(folder, path)
    assert "RS151" in found and why in found and "hunter2" not in found and found.endswith("\n1 error")


def test_the_root_is_that_of_the_first_file(folder: Path) -> None:
    (folder / "deep" / "inner.route").write_text('from "../library.route" import norm\nop x = norm\n')
    text = f'from "deep/inner.route" import norm\n{SPACE}'
    (folder / "main.route").write_text(text)
    assert rs.load(folder / "main.route").name == "s"
    (folder / "deep" / "inner.route").write_text('from "../../library.route" import norm\n')
    with pytest.raises(rs.RouteError, match="outside of the folder"):
        rs.load(folder / "main.route")


def test_the_root_is_the_working_directory_around_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "main.route").write_text(f'from "../library.route" import norm\n{SPACE}')
    monkeypatch.chdir(folder.parent)
    assert rs.load("in/main.route").name == "s" and rs.load(folder / "main.route").name == "s"
    monkeypatch.chdir("/")
    with pytest.raises(rs.RouteError, match="outside"):
        rs.load(folder / "main.route")


def test_a_root_is_named_or_marked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'from "../library.route" import norm\n{SPACE}'
    (folder / "main.route").write_text(text)
    assert rs.load(folder / "main.route", root=folder.parent).name == "s"
    assert rs.loads(text, path=str(folder / "main.route"), root=str(folder.parent)).name == "s"
    assert "outside" in report(folder, "library.route", root=folder / "deep")
    monkeypatch.chdir(folder)
    assert rs.loads(text, root="..").name == "s"
    with pytest.raises(rs.RouteError, match="outside"):
        rs.loads(text)
    (folder.parent / ".route-root").touch()
    assert rs.load(folder / "main.route").name == "s"
    assert "outside" in report(folder, "../library.route", root=folder)


def test_examples_import_each_other() -> None:
    classic = rs.example("segmentation").parent / "classic"
    assert rs.load(classic / "u_net.route").net("u_net")


@pytest.mark.parametrize(
    "write",
    [
        lambda n: "".join(f'from "x{at}.route" import a\n' for at in range(n)),
        lambda n: 'from "x.route" import a\n' * n,
        lambda n: "".join(f'from "x{at}" import a\n' for at in range(n)),
        lambda n: "".join(f'from "../x{at}.route" import a\n' for at in range(n)),
        lambda n: "".join(f'from "library.route" import a{at}\n' for at in range(n)),
        lambda n: 'from "library.route" import ' + ", ".join(f"a{at}" for at in range(2 * n)),
        lambda n: 'from "library.route" import ' + ", ".join("norm" for _ in range(2 * n)),
        lambda n: 'from "' + "../" * 10 * n + '.route" import a',
        lambda n: 'from "' + "a" * 30 * n + '" import a',
    ],
)
def test_imports_that_fail_take_linear_time(folder: Path, write: Callable[[int], str]) -> None:
    started = time.process_time()
    with pytest.raises(rs.RouteError) as error:
        rs.loads(write(20_000), path=str(folder / "main.route"))
    assert len(str(error.value)) < 100_000
    assert time.process_time() - started < 5


def test_files_that_cannot_be_read_count_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MOST_FILES", 5)
    text = "".join(f'from "x{at}.route" import norm\n' for at in range(8)) + SPACE
    with pytest.raises(rs.RouteError) as error:
        rs.loads(text, path=str(folder / "main.route"))
    codes = [one.code for one in error.value.diagnostics]
    assert codes.count("RS151") == 5 and codes.count("RS157") == 1


def test_imported_texts_are_limited_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MOST_TEXT", 4000)
    for at in range(8):
        (folder / f"x{at}.route").write_text(f"op f{at} = relu\n" + "#" * 1000 + "\n")
    text = "".join(f'from "x{at}.route" import f{at}\n' for at in range(8)) + SPACE.replace("norm", "f0")
    with pytest.raises(rs.RouteError) as error:
        rs.loads(text, path=str(folder / "main.route"))
    assert [one.code for one in error.value.diagnostics].count("RS157") == 1


def test_what_imports_bring_along_is_limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many files that import one large library knows all of it."""
    monkeypatch.setattr(imports, "MOST_CARRIED", 5000)
    (folder / "large.route").write_text("".join(f"op f{at} = relu\n" for at in range(500)))
    for at in range(20):
        (folder / f"x{at}.route").write_text(f'from "large.route" import f0\nop g{at} = f0\n')
    text = "".join(f'from "x{at}.route" import g{at}\n' for at in range(20)) + SPACE.replace("norm", "g0")
    with pytest.raises(rs.RouteError, match="RS157"):
        rs.loads(text, path=str(folder / "main.route"))


def test_what_a_message_quotes_cannot_command_a_terminal(folder: Path) -> None:
    found = report(folder, "a\x1b[31m\u202e.route")
    assert "\x1b" not in found and "\u202e" not in found and "`a\\x1b[31m\\u202e.route`" in found
