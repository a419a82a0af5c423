"""The declarations that every file can use."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from routespace.diagnostics import Findings
from routespace.diagnostics.source import Source
from routespace.language.parser import parse
from routespace.space.expr import File, OpDecl

PATH = Path(__file__).with_name("prelude.route")
SHOWN = "<prelude>"


@cache
def prelude() -> File:
    """What the prelude declares."""
    findings = Findings()
    file = parse(prelude_source().text, SHOWN, findings)
    findings.raise_errors()
    return file


@cache
def prelude_source() -> Source:
    return Source(SHOWN, PATH.read_text("utf-8"))


@cache
def prelude_ops() -> dict[str, OpDecl]:
    """The ops of the prelude by name."""
    return {item.name: item for item in prelude().items if isinstance(item, OpDecl)}
