"""What holds of every RouteGraph, checked after the build and after every pass. A failure is a bug of ours."""

from __future__ import annotations

from routespace.graph.ir import Apply, Gate, Input, Leaf, Merge, Op, Output, Route, RouteGraph, Sequential, Value, Zero
from routespace.graph.order import reads
from routespace.space.registry import ACTIVATIONS, MERGES, OPS


class BrokenGraph(AssertionError):
    """A graph that no pass may make."""


def verify(graph: RouteGraph) -> RouteGraph:
    """`graph` itself, if it is well formed; `BrokenGraph` names the value that is not."""
    seen: dict[str, Value] = {}
    known: set[int] = set()
    for value in graph.values:
        problem = _problem(value, seen, known)
        if problem:
            raise BrokenGraph(f"value `{value.name}` {problem}")
        seen[value.name] = value
    if not any(isinstance(value, Output) for value in graph.values):
        raise BrokenGraph(f"graph `{graph.name}` has no output")
    return graph


def _problem(value: Value, seen: dict[str, Value], known: set[int]) -> str:
    """What is wrong with a value behind those `seen`, "" if nothing."""
    if value.name in seen:
        return "is defined twice"
    for name in reads(value):
        if name not in seen:
            return f"reads `{name}`, which does not stand before it"
    for name in value.args:
        if isinstance(seen[name], (Gate, Output)):
            return f"reads `{name}`, which is no stream"
    match value:
        case Merge():
            return "" if value.args and value.kind in MERGES else f"cannot merge by `{value.kind}`"
        case Route():
            gate = seen[value.gate]
            if not isinstance(gate, Gate):
                return f"is decided by `{value.gate}`, which is no gate"
            return _op_problem(value.op, known) if 0 <= value.index < len(gate.routes) else "has no logit"
        case Gate():
            if value.activation not in ACTIVATIONS:
                return f"has no activation `{value.activation}`"
            if not len(set(value.routes)) == len(value.routes) > 0:
                return "names its routes twice or not"
            return _op_problem(value.body, known)
        case Apply():
            if not value.args:
                return "reads nothing"
            if len(value.args) > 1 and not isinstance(value.op, Leaf):
                return "has an op of one stream"
            return _op_problem(value.op, known)
        case Input() | Zero():
            strided = value.stride > 0 or (isinstance(value, Zero) and value.stride == 0)
            return "" if value.channels > 0 and strided else "has no channels or no stride"
        case Output():
            return "" if len(value.args) == 1 else "reads more or less than one stream"


def _op_problem(op: Op, known: set[int]) -> str:
    """What is wrong with an op; `known` are those of the graph that were looked at before, by identity."""
    if id(op) in known:
        return ""
    known.add(id(op))
    if isinstance(op, Leaf):
        return "" if op.entry in OPS else f"uses the op `{op.entry}`, which is not registered"
    if not isinstance(op, Sequential) and (op.merge not in MERGES or len(op.parts) < 2):
        return f"puts ops side by side by `{op.merge}`"
    return next((problem for part in op.parts if (problem := _op_problem(part, known))), "")
