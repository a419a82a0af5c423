"""Law 8: which of the situations that matter a case puts the forms in."""

from __future__ import annotations

from routespace.testing.laws.subject import Subject

SITUATIONS = (
    "closed",
    "unreached",
    "zero-reached",
    "odd size",
    "smallest size",
    "batch 0",
    "batch of several",
    "all closed",
    "all open",
    "one open",
)


def hits(subject: Subject) -> set[str]:
    """Names of the `SITUATIONS` that some image of a case is in."""
    case, result = subject.case, subject.oracle
    found = {
        "odd size": bool((case.height | case.width) & 1),
        "smallest size": min(case.height, case.width) == subject.graph.smallest,
        "batch 0": case.batch == 0,
        "batch of several": case.batch > 1,
        "zero-reached": any(result.zero_reached),
        "closed": any(any(images) for images in result.closed.values()),
        "unreached": any(not all(images) for images in result.consulted.values()),
    }
    for image in range(case.batch):
        decisions = [
            decision
            for gate, of_gate in result.decisions.items()
            if result.consulted[gate][image] and (decision := of_gate[image]) is not None
        ]
        opened = [sum(decision.is_open(route) for route in range(len(decision.open))) for decision in decisions]
        if decisions:
            found["all closed"] = found.get("all closed", False) or not any(opened)
            found["one open"] = found.get("one open", False) or 1 in opened
            found["all open"] = found.get("all open", False) or all(
                count == len(decision.open) for count, decision in zip(opened, decisions, strict=True)
            )
    return {name for name, hit in found.items() if hit}
