"""What can be found wrong with the requirements of a space before anything is asked of it."""

from __future__ import annotations

from routespace.diagnostics import Findings, RouteError
from routespace.graph.ir import RouteGraph
from routespace.questions.nets import Nets
from routespace.questions.requirements import place_of

TOO_MUCH = "RS709"
"""What a question is answered with that would have to remember too much."""


def check_requirements(graph: RouteGraph, findings: Findings) -> None:
    """Report requirements that mean nothing or exclude each other, and declared nets that break one."""
    try:
        nets = _required(graph, findings)
        if nets is None or graph.space is None:
            return
        verdicts = [nets.contains(net) for net in graph.space.nets]
    except RouteError as error:
        findings.extend(error.diagnostics)
        return
    _warn_of_unheld(nets, findings)
    findings.extend(verdict.misfit for verdict in verdicts if verdict.misfit and verdict.misfit.code == "RS711")


def check_required(graph: RouteGraph, findings: Findings) -> None:
    """Report requirements that mean nothing or exclude each other, as far as that can be told without taking long."""
    try:
        _required(graph, findings)
    except RouteError as error:
        findings.extend(one for one in error.diagnostics if one.code != TOO_MUCH)


def _required(graph: RouteGraph, findings: Findings) -> Nets | None:
    """The nets of a graph that has requirements, unless they leave none. Raises `RouteError`."""
    if graph.space is None or all(clause.name != "require" for clause in graph.space.clauses):
        return None
    nets = Nets(graph)
    why = nets.why_empty()
    if why is None:
        return nets
    findings.extend([why])
    return None


def _warn_of_unheld(nets: Nets, findings: Findings) -> None:
    """Warn about requirements that gates can break; not where finding that out would take too long."""
    try:
        unheld = nets.not_held_to()
    except RouteError:
        return
    for one in unheld:
        findings.add(
            "RS912",
            "gates can open what this requirement forbids: it binds nets, and at run time nothing holds gates to it",
            place_of(one),
            severity="warning",
        )
