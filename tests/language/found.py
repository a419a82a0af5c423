"""All that is found in a text before it is compiled."""

from __future__ import annotations

from routespace.diagnostics import Findings, RouteError
from routespace.graph.build import build
from routespace.graph.nets import hold
from routespace.language.load import loads
from routespace.questions.check import check_requirements
from routespace.space.model import ParameterValue


def find(text: str, path: str = "<text>", **given: ParameterValue) -> Findings:
    """The findings of loading and building `text`, of holding its nets and of what it requires of them."""
    findings = Findings()
    try:
        space = loads(text, path=path, findings=findings, **given)
        graph = build(space, findings)
    except RouteError:
        return findings
    for net in space.nets:
        try:
            hold(graph, net)
        except RouteError as error:
            findings.extend(error.diagnostics)
    check_requirements(graph, findings)
    return findings


def codes_of(text: str, path: str = "<text>", **given: ParameterValue) -> set[str]:
    return {one.code for one in find(text, path, **given).diagnostics}
