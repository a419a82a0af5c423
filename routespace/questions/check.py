"""What can be found wrong with the requirements of a space before anything is asked of it."""

from __future__ import annotations

from routespace.diagnostics import Findings, RouteError
from routespace.graph.ir import RouteGraph
from routespace.questions.nets import Nets
from routespace.questions.requirements import place_of


def check_requirements(graph: RouteGraph, findings: Findings) -> None:
    """Report requirements that mean nothing or exclude each other, and declared nets that break one."""
    if graph.space is None:
        return
    try:
        nets = Nets(graph)
        if not nets.requirements:
            return
        why = nets.why_empty()
        if why is not None:
            findings.extend([why])
            return
        verdicts = [nets.contains(net) for net in graph.space.nets]
    except RouteError as error:
        findings.extend(error.diagnostics)
        return
    _warn_of_unheld(nets, findings)
    findings.extend(verdict.misfit for verdict in verdicts if verdict.misfit and verdict.misfit.code == "RS711")


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
