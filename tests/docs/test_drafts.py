"""The drafts of systems that are still to come can be read, are in the one layout, and are refused with codes."""

from __future__ import annotations

from pathlib import Path

import pytest

import routespace as rs
from routespace.diagnostics import Findings
from routespace.language.parser import parse
from routespace.space.expr import SpaceDecl

FOLDER = Path(__file__).parent.parent.parent / "examples" / "drafts"
DRAFTS = sorted(FOLDER.glob("*.route"))


@pytest.mark.parametrize("path", DRAFTS, ids=lambda path: path.stem)
def test_reads(path: Path) -> None:
    text = path.read_text("utf-8")
    assert any(isinstance(item, SpaceDecl) for item in parse(text, path.name).items)
    assert rs.format(text, path.name) == text


@pytest.mark.parametrize("path", DRAFTS, ids=lambda path: path.stem)
def test_is_refused_or_built(path: Path) -> None:
    """What is not there yet is an error with a place, never a crash."""
    text = path.read_text("utf-8")
    for item in parse(text, path.name).items:
        assert isinstance(item, SpaceDecl)
        findings = Findings()
        try:
            rs.build(rs.loads(text, path=path.name, space=item.name, findings=findings))
        except rs.RouteError as error:
            assert all(one.code.startswith("RS") and one.span is not None for one in error.diagnostics)


def test_all_are_there() -> None:
    wanted = "condconv drconv drnet dvt dyfpn dynamic_convolution msdnet ranet trar"
    assert [path.stem for path in DRAFTS] == wanted.split()
