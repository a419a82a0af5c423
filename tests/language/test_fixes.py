"""The edits that findings propose: each of them, applied to the texts, makes its finding go away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from routespace.diagnostics import Diagnostic, Findings
from routespace.diagnostics.render import to_json
from routespace.language.parser import parse
from tests.language.found import find
from tests.language.test_error_cases import CASES, FOLDER, settings
from tests.language.test_syntax_cases import CASES as SYNTAX_CASES

FROM_OUTSIDE = ("RS155", "RS210")
"""What is about names that no text says: there is nothing to edit."""


def found_in(path: Path, monkeypatch: pytest.MonkeyPatch) -> Findings:
    monkeypatch.chdir(path.parent)
    text = path.read_text("utf-8")
    return find(text, path.name, **settings(text))


def apply(edits: list[dict[str, object]], folder: Path) -> None:
    """Write what a fix says, as a program would that reads it from JSON."""
    placed = [(str(one["path"]), _place(folder, one, ""), _place(folder, one, "end_"), one) for one in edits]
    for path, start, end, one in sorted(placed, key=lambda each: each[1], reverse=True):
        file = folder / path
        text = file.read_bytes().decode("utf-8")
        file.write_bytes((text[:start] + str(one["replacement"]) + text[end:]).encode("utf-8"))


def _place(folder: Path, edit: dict[str, object], which: str) -> int:
    text = (folder / str(edit["path"])).read_bytes().decode("utf-8")
    line, column = edit[f"{which}line"], edit[f"{which}column"]
    assert isinstance(line, int) and isinstance(column, int)
    return sum(len(each) for each in text.split("\n")[: line - 1]) + line - 1 + column - 1


def copied(path: Path, folder: Path) -> Path:
    """The case at `path`, and what it may import, in `folder`."""
    shutil.copytree(FOLDER / "parts", folder / "parts", dirs_exist_ok=True)
    return Path(shutil.copy(path, folder))


def cause(one: Diagnostic) -> tuple[object, ...]:
    return one.code, one.message


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_fix_does_away_with_its_finding(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = copied(path, tmp_path)
    findings = found_in(case, monkeypatch)
    codes = {one.code for one in findings.diagnostics}
    told = json.loads(to_json(findings.diagnostics, findings.sources))
    for one, said in zip(findings.diagnostics, told, strict=True):
        if one.help is not None and one.help.startswith("did you mean") and one.code not in FROM_OUTSIDE:
            assert one.edits, one
        assert bool(one.edits) == bool(said["fixes"])
        for fix in said["fixes"]:
            assert fix["text"] == (one.help or one.message) and fix["edits"]
            apply(fix["edits"], tmp_path)
            after = found_in(case, monkeypatch).diagnostics
            places = {label.span for label in one.labels}
            left = [each for each in after if cause(each) == cause(one) and each.span in places]
            assert not left, f"{fix} does not mend {one}"
            assert {each.code for each in after if each.code < "RS150"} <= codes, f"{fix} makes {after}"
            copied(path, tmp_path)


@pytest.mark.parametrize("path", SYNTAX_CASES, ids=lambda path: path.stem)
def test_each_fix_of_a_syntax_error_does_away_with_it(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    before = syntax_errors(text)
    for one in before:
        edited = text
        for edit in sorted(one.edits, key=lambda each: each.span.start, reverse=True):
            edited = edited[: edit.span.start] + edit.text + edited[edit.span.end :]
        if one.edits:
            places = [(each.code, each.message, each.span) for each in syntax_errors(edited)]
            assert (one.code, one.message, one.span) not in places, (one, edited)
            assert len(places) <= len(before), (one, edited)


@pytest.mark.parametrize(
    ("op", "help"),
    [
        ("Conv2d(3, 8, 3)", "write `conv(KERNEL, CHANNELS)` for `Conv2d`"),
        ("conv1x1(8)", "write `conv(1, CHANNELS)` for `conv1x1`"),
        ("nn_relu", "did you mean `relu`?"),
        ("BatchNorm2d", "write `batchnorm` for `BatchNorm2d`"),
        ("layer_norm", "write `groupnorm(1)` for `layer_norm`"),
        ("AdaptiveAvgPool2d(1)", "write `mean` for `AdaptiveAvgPool2d`"),
        ("interpolate(2)", "write `resize(by = FACTOR)` for `interpolate`"),
        ("linear(8)", "write `conv(1, CHANNELS, bias)` for `linear`"),
        ("ReLU", "did you mean `relu`?"),
    ],
)
def test_names_of_pytorch_are_answered_with_the_names_here(op: str, help: str | None) -> None:
    (one,) = find(f"space s {{\n  input image: 3\n  output y = image | {op}\n}}\n").diagnostics
    assert one.code == "RS203" and one.help == help


def syntax_errors(text: str) -> tuple[Diagnostic, ...]:
    findings = Findings()
    parse(text, findings=findings)
    return findings.diagnostics
