"""Whatever the documentation shows is run here.

- `route` blocks are whole files: each of their spaces builds, each net is held. `route statements` blocks stand inside
  a space, which gets an input and an output if it has none. `fails=` and `warns=` name the codes to expect.
- `python` blocks of a page run one after the other in one namespace; those with `>>>` are doctests.
  `needs=` names a package without which they are skipped.
- `console` blocks show commands behind `$` and what they print, `...` standing for anything.
"""

from __future__ import annotations

import doctest
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import routespace as rs
from routespace.diagnostics import Findings
from routespace.graph.nets import hold
from routespace.language.load import Library, collect
from routespace.language.parser import parse
from routespace.questions.check import check_requirements
from routespace.space.expr import SpaceDecl
from tests.docs.pages import PAGES, ROOT, Block, all_blocks, blocks_of

LANGUAGES = {"route", "python", "console", "sh", "text", "json"}


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in the root of the repository."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_have_a_known_language(page: Path) -> None:
    assert {block.language for block in blocks_of(page)} <= LANGUAGES


@pytest.mark.parametrize("block", all_blocks("route"), ids=str)
def test_route(block: Block) -> None:
    findings = read(text_of(block), str(block))
    errors = {one.code for one in findings.diagnostics if one.severity == "error"}
    warnings = {one.code for one in findings.diagnostics if one.severity == "warning"}
    report = "\n".join(f"{one.code} {one.message}" for one in findings.diagnostics)
    assert errors == block.codes("fails"), report
    if "statements" not in block.words:
        assert warnings == block.codes("warns"), report


SHOWN = [one for language in ("route", "json") for one in all_blocks(language) if one.word("file")]


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_a_shown_file_is_the_file(block: Block) -> None:
    assert block.text == (ROOT / block.word("file")).read_text("utf-8")


def text_of(block: Block) -> str:
    if "statements" not in block.words:
        return block.text
    ends = [] if re.search(r"^\s*output\b", block.text, re.MULTILINE) else ["output example = image | conv(1, 1)"]
    begins = [] if re.search(r"^\s*input\b", block.text, re.MULTILINE) else ["input image: 3"]
    return "\n".join(["space example(width = 16) {", *begins, block.text, *ends, "}"])


def read(text: str, path: str) -> Findings:
    """Everything found in `text`, from reading it to holding its nets."""
    found = Findings()
    file = parse(text, path, Findings())
    names = [item.name for item in file.items if isinstance(item, SpaceDecl)]
    if not names:
        collect(parse(text, path, found), Path(path), Library(), found)
    for name in names:
        inner = Findings()
        try:
            space = rs.loads(text, path=path, space=name, findings=inner)
            graph = rs.build(space, inner)
            for net in space.nets:
                hold(graph, net)
            check_requirements(graph, inner)
        except rs.RouteError as error:
            found.extend(error.diagnostics)
        found.extend(inner.diagnostics)
    return found


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in page.read_text("utf-8")], ids=lambda p: p.name
)
def test_python(page: Path) -> None:
    names: dict[str, Any] = {"__name__": "docs"}
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    for block in blocks_of(page):
        if block.language != "python":
            continue
        if block.word("needs"):
            from routespace.integrations.vision import load_torchvision

            load_torchvision()
            pytest.importorskip(block.word("needs"), reason=f"{block} needs it")
        if ">>>" in block.text:
            test = doctest.DocTestParser().get_doctest(block.text, names, str(block), str(page), block.line)
            runner = doctest.DocTestRunner(optionflags=flags)
            problems: list[str] = []
            runner.run(test, out=problems.append, clear_globs=False)
            assert not runner.failures, "".join(problems)
            names.update(test.globs)
        else:
            lines = "\n" * block.line + block.text
            exec(compile(lines, str(page), "exec"), names)


@pytest.mark.parametrize("block", all_blocks("console"), ids=str)
def test_console(block: Block, tmp_path: Path) -> None:
    from routespace.cli import app

    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not parts[0].strip()
    for part in parts[1:]:
        line, _, wanted = part.partition("\n")
        program, *arguments = shlex.split(line.replace("out/", f"{tmp_path}/"))
        assert program == "routespace"
        result = CliRunner().invoke(app, arguments)
        found = result.output.replace(f"{tmp_path}/", "out/")
        assert matches(found, wanted), f"`{line}` printed:\n{found}"


def matches(found: str, wanted: str) -> bool:
    """Whether `found` is `wanted`, where a line `...` stands for any lines."""
    lines = [line.rstrip() for line in found.rstrip().splitlines()]
    begin, *parts = [
        part.strip("\n").splitlines() for part in re.split(r"^\.\.\.$", wanted.rstrip(), flags=re.MULTILINE)
    ]
    if lines[: len(begin)] != begin:
        return False
    if not parts:
        return len(lines) == len(begin)
    at = len(begin)
    for part in parts[:-1]:
        places = [place for place in range(at, len(lines)) if lines[place : place + len(part)] == part]
        if not places:
            return False
        at = places[0] + len(part)
    end = parts[-1]
    return at + len(end) <= len(lines) and lines[len(lines) - len(end) :] == end


FACTS = re.compile(
    r"^\| (?P<what>[^|]*) \| (?P<options>[^|]*) \| (?P<published>[^|]*) \| (?P<here>[\d.,]+) \|$", re.MULTILINE
)


@pytest.mark.parametrize("fact", list(FACTS.finditer(PAGES[0].read_text("utf-8"))), ids=lambda fact: fact["what"])
def test_facts(fact: re.Match[str]) -> None:
    """The table of published figures holds what `routespace cost` prints with the options named."""
    from routespace.cli import app

    options = shlex.split(fact["options"].strip("` "))
    spec = re.findall(r"from\s`(examples/\w+\.route)`", fact.string[: fact.start()])[-1]
    result = CliRunner().invoke(app, ["cost", spec, "--json", *options])
    found = json.loads(result.stdout)
    unit = 2**30 if "dynamic_head" in spec else 1e9
    count = found["parameters"]["without_gates" if "without gates" in fact["what"] else "total"]
    shown = f"{count:,}" if fact["what"].startswith("parameters") else f"{found['cost']['maximum'] / unit:.3f}"
    assert fact["here"] == shown


def test_a_block_that_should_fail_does(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n\n```route fails=RS203\nop a = relu\n```\n")
    (block,) = blocks_of(page)
    with pytest.raises(AssertionError):
        test_route(block)


def test_output_is_compared() -> None:
    assert matches("one\ntwo\nthree\n", "one\n...\nthree\n")
    assert not matches("one\ntwo\n", "one\n")
    assert not matches("one\n", "two\n")
    assert matches("one\ntwo\nthree\nfour\n", "one\n...\nthree\n...\n")
    assert not matches("one\nthree\n", "one\n...\ntwo\n...\n")
