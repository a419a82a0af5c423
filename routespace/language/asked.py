"""Requirements that are asked for beside those of a space."""

from __future__ import annotations

from routespace.diagnostics import Findings, Source
from routespace.language.parser import parse
from routespace.space.expr import Clause, SpaceDecl


def read_requirement(text: str, path: str = "<require>") -> tuple[Clause, Source]:
    """What `require TEXT` would say in a space, and the text that its span points into. Raises `RouteError`.

    >>> read_requirement("not up[3, s8]")[0].name
    'require'
    """
    findings = Findings()
    file = parse(f"space asked {{ require {text} }}", path, findings)
    findings.raise_errors()
    clauses = [part for item in file.items if isinstance(item, SpaceDecl) for part in item.body]
    if len(file.items) != 1 or len(clauses) != 1 or not isinstance(clauses[0], Clause):
        findings.add("RS708", f"`{text}` is no requirement")
        findings.raise_errors()
    assert isinstance(clauses[0], Clause)
    return clauses[0], findings.sources[path]
