"""Conventions: how published work counts. Each is a view of the ledger, named by its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any

from routespace.space.registry import Registry
from routespace.space.shape import Cost


@dataclass(frozen=True, slots=True)
class Convention:
    """What one source counts.

    `count` is the price of some work, by its columns.
    `routes_to_outputs`: whether a route that only outputs read is charged. `gates`, `gates_in_expected`: whether
    gates are charged at all, and in the expected cost; `every_gate`: run or not. `fixed`,
    `fixed_in_expected`: whether work that no gate decides over (stem, decoder) is charged at all, and in the expected
    cost. `entry_cell`, `entry_gate`: whether the nodes fed by no
    route are charged for their cells and gates. `padded`: what reads an input (a stem) is priced as if every window
    were padded to keep its size.
    `square_outputs`: the ops that outputs are made by are priced on a map as wide as it is high (a released slip).
    `open_above`: a weight counts as open in the hard cost above this. Of routes decided per position: `twice` names
    ops that are counted two times (a released slip); `unread`: routes that nobody receives are charged as if run;
    `local_norms`: a norm wants no other positions than its own, whatever its statistics run over; `sent_detached`:
    no gradient comes from the expected cost of routes that leave a node. `binary`: a published G is 2^30 of the unit.
    """

    name: str
    source: str
    count: Callable[[Cost], float]
    routes_to_outputs: bool = True
    gates: bool = True
    gates_in_expected: bool = True
    every_gate: bool = False
    fixed: bool = True
    fixed_in_expected: bool = True
    entry_cell: bool = True
    entry_gate: bool = True
    padded: bool = False
    square_outputs: bool = False
    open_above: float = 0.0
    twice: frozenset[str] = frozenset()
    unread: bool = False
    local_norms: bool = False
    sent_detached: bool = False
    unit: str = "MAC"
    binary: bool = False

    def price(self, cost: Cost, op: str = "") -> float:
        """Price of `cost`, which is that of one `op` if it is named."""
        return float(self.count(cost)) * (2 if op in self.twice else 1)


CONVENTIONS: Registry[Convention] = Registry("convention")


def convention(
    name: str, *, source: str = "", replace: bool = False, **rules: Any
) -> Callable[[Callable[[Cost], float]], Callable[[Cost], float]]:
    """Register the decorated function, which prices work by its columns (`Cost`), as the convention `name`.

    `rules` are the other fields of `Convention`; without them everything that runs is charged.

    >>> @convention("flops_demo", source="multiply-adds and norms", gates=False)
    ... def flops_demo(cost):
    ...     return 2 * cost.macs + cost.norm
    >>> CONVENTIONS["flops_demo"].price(Cost(macs=100, norm=7))
    207.0
    >>> CONVENTIONS.remove("flops_demo")
    """

    def register(count: Callable[[Cost], float]) -> Callable[[Cost], float]:
        given = count(Cost(1, 1, 1, 1, 1))
        if not isinstance(given, Real) or not isfinite(given) or given < 0:
            raise ValueError(f"convention `{name}` counts {given!r} for some work; a number from 0 up is needed")
        CONVENTIONS.add(name, Convention(name, source, count, **rules), replace=replace)
        return count

    return register


@convention("macs", source="multiply-adds of convolutions and matrix products, whatever runs")
def _macs(cost: Cost) -> float:
    return cost.macs


@convention(
    "dynamic_routing_table1",
    source="Li et al., CVPR 2020, Table 1: true decoder, no gates, no entry cell",
    routes_to_outputs=False,
    gates=False,
    entry_cell=False,
    padded=True,
    open_above=1e-4,
    unit="FLOP",
)
@convention(
    "dynamic_routing_code",
    source="Li et al., Learning Dynamic Routing for Semantic Segmentation, CVPR 2020, released code",
    routes_to_outputs=False,
    gates_in_expected=False,
    every_gate=True,
    fixed_in_expected=False,
    entry_cell=False,
    entry_gate=False,
    padded=True,
    square_outputs=True,
    open_above=1e-4,
    unit="FLOP",
)
def _dynamic_routing(cost: Cost) -> float:
    return cost.macs + 2 * cost.norm + cost.activation + cost.pool


@convention(
    "dynamic_head_code",
    source="Song et al., Fine-Grained Dynamic Head for Object Detection, NeurIPS 2020, released code",
    gates=False,
    gates_in_expected=False,
    fixed=False,
    twice=frozenset({"depthwise"}),
    unread=True,
    local_norms=True,
    sent_detached=True,
    binary=True,
)
def _dynamic_head(cost: Cost) -> float:
    return cost.macs + cost.norm
