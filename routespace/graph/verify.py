"""What holds of every RouteGraph, checked after the build and after every pass. A failure is a bug of ours."""

from __future__ import annotations

from routespace.graph.ir import Apply, Chain, Gate, Input, Leaf, Merge, Op, Output, Route, RouteGraph, Zero
from routespace.graph.order import reads
from routespace.space.registry import ACTIVATIONS, MERGES, OPS


class BrokenGraph(AssertionError):
    """A graph that no pass may make."""


def verify(graph: RouteGraph) -> RouteGraph:
    """`graph` itself, if it is well formed; `BrokenGraph` names the value that is not."""
    seen: dict[str, object] = {}
    known: set[int] = set()
    for value in graph.values:
        _require(value.name not in seen, value.name, "is defined twice")
        for name in reads(value):
            _require(name in seen, value.name, f"reads `{name}`, which does not stand before it")
            if name in value.args:
                _require(not isinstance(seen[name], (Gate, Output)), value.name, f"reads `{name}`, which is no stream")
        match value:
            case Input() | Zero():
                _require(value.channels > 0 and value.stride > 0, value.name, "has no channels or no stride")
            case Apply():
                _require(len(value.args) > 0, value.name, "reads nothing")
                _require(len(value.args) == 1 or isinstance(value.op, Leaf), value.name, "has an op of one stream")
                _op(value.name, value.op, known)
            case Merge():
                _require(bool(value.args) and value.kind in MERGES, value.name, f"cannot merge by `{value.kind}`")
            case Gate():
                _require(value.activation in ACTIVATIONS, value.name, f"has no activation `{value.activation}`")
                _require(len(set(value.routes)) == len(value.routes) > 0, value.name, "names its routes twice or not")
                _op(value.name, value.body, known)
            case Route():
                gate = seen[value.gate]
                _require(isinstance(gate, Gate), value.name, f"is decided by `{value.gate}`, which is no gate")
                assert isinstance(gate, Gate)
                _require(0 <= value.index < len(gate.routes), value.name, "has no logit")
                _op(value.name, value.op, known)
            case Output():
                _require(len(value.args) == 1, value.name, "reads one stream")
        seen[value.name] = value
    _require(any(isinstance(value, Output) for value in graph.values), graph.name, "has no output")
    return graph


def _op(name: str, op: Op, known: set[int]) -> None:
    """`known` are the ops of the graph that were looked at before, by identity."""
    if id(op) in known:
        return
    known.add(id(op))
    if isinstance(op, Leaf):
        _require(op.entry in OPS, name, f"uses the op `{op.entry}`, which is not registered")
        return
    if not isinstance(op, Chain):
        _require(op.merge in MERGES and len(op.parts) > 1, name, f"puts ops side by side by `{op.merge}`")
    for part in op.parts:
        _op(name, part, known)


def _require(holds: bool, name: str, problem: str) -> None:
    if not holds:
        raise BrokenGraph(f"value `{name}` {problem}")
