"""What differs between two spaces in meaning, whatever their texts say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from routespace.graph.bounds import bounds
from routespace.graph.ir import Gate, Route, RouteGraph, Value
from routespace.graph.params import count_parameters
from routespace.questions.nets import Nets


@dataclass(frozen=True)
class Change:
    """Names that only the first space has, that only the second one has, and that mean another thing in it."""

    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.gone or self.new or self.changed)


@dataclass(frozen=True)
class Difference:
    """How two graphs differ: by names, and by numbers of the first and the second one."""

    nodes: Change
    routes: Change
    gates: Change
    work: Change
    policies: tuple[str, ...]
    parameters: tuple[int, int]
    most: tuple[float, float]
    nets: tuple[int, int]

    @property
    def is_empty(self) -> bool:
        """Whether both mean the same."""
        changes = (self.nodes, self.routes, self.gates, self.work)
        numbers = (self.parameters, self.most, self.nets)
        return all(one.is_empty for one in changes) and not self.policies and all(a == b for a, b in numbers)


def differ(one: RouteGraph, other: RouteGraph, size: tuple[int, int], convention: str) -> Difference:
    """What is different in `other`; costs with everything open at `size`, by one convention for both."""
    graphs = (one, other)
    of_kind = [[value for value in graph.values if isinstance(value, Route)] for graph in graphs]
    gates = [[value for value in graph.values if isinstance(value, Gate)] for graph in graphs]
    rest = [[value for value in graph.values if not isinstance(value, (Route, Gate))] for graph in graphs]
    names = [[node.name for node in graph.nodes] for graph in graphs]
    policies = [field.name for field in fields(one.policies)]
    return Difference(
        Change(tuple(_only(*names)), tuple(_only(*reversed(names)))),
        _change(*of_kind),
        _change(*gates),
        _change(*rest),
        tuple(name for name in policies if getattr(one.policies, name) != getattr(other.policies, name)),
        (count_parameters(one).total, count_parameters(other).total),
        (bounds(one, size, convention).most, bounds(other, size, convention).most),
        (Nets(one).count(), Nets(other).count()),
    )


def _change(one: Iterable[Value], other: Iterable[Value]) -> Change:
    first, second = ({value.name: value for value in values} for values in (one, other))
    changed = (name for name, value in first.items() if name in second and second[name] != value)
    return Change(tuple(_only(first, second)), tuple(_only(second, first)), tuple(changed))


def _only(one: Iterable[str], other: Iterable[str]) -> list[str]:
    known = set(other)
    return [name for name in one if name not in known]
