"""What nets cost: the cheapest, the dearest, and those in a window of work and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from routespace.graph.ir import Apply, Route
from routespace.graph.ledger import ledger, price
from routespace.graph.params import count_parameters
from routespace.graph.passes.guard import guard
from routespace.questions.diagram import Charge, Diagram, dot, draw_diagram, furthest
from routespace.questions.flow import Flow, Rule
from routespace.questions.formula import Formula, holds
from routespace.questions.nets import Nets
from routespace.questions.window import EVERYTHING, Search, Window
from routespace.space.conventions import CONVENTIONS
from routespace.space.fault import Fault

WORK, PARAMETERS, ROUTES = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Priced:
    """A net and what its fixed form costs: work by a convention, for one image, and trained parameters."""

    routes: frozenset[str]
    work: int
    parameters: int


class PricedNets:
    """The nets of a space with their costs at an image size.

    What a net costs is what its fixed form does: its open routes and, where the net leads through them, cells and all
    that is not gated. RS712 where that depends on more than which routes are open.
    """

    def __init__(self, nets: Nets, size: tuple[int, int], convention: str | None = None) -> None:
        self.nets, self.graph = nets, nets.graph
        self.size, self.convention = size, CONVENTIONS[convention or nets.graph.policies.cost]

    @cached_property
    def diagram(self) -> Diagram:
        flow = self.nets.flow
        try:
            self._check()
            rules = [rule.formula for rule in self.nets.rules]
            return draw_diagram(flow.formulas, len(flow.routes), rules, self.charges, 3)
        except Fault as fault:
            raise self.nets.refusal(fault) from None

    @cached_property
    def charges(self) -> list[Charge]:
        """What nets pay: work and routes one by one, parameters once for all values that share them."""
        flow = self.nets.flow
        work: dict[str, int] = {}
        for row in ledger(self.graph, self.size):
            work[row.value] = work.get(row.value, 0) + _exact(price(row, self.convention).hard)
        parameters = count_parameters(self.graph).by_value
        found: list[Charge] = []
        sharers: dict[str, list[Apply | Route]] = {}
        for value in self.graph.values:
            if isinstance(value, (Apply, Route)):
                amount = (work.get(value.name, 0), 0, int(isinstance(value, Route)))
                found.append(Charge(_paid(flow, value), amount))
                sharers.setdefault(value.weights or value.name, []).append(value)
        for values in sharers.values():
            count = max(parameters.get(value.name, 0) for value in values)
            found.append(Charge(flow.formulas.any(_paid(flow, value) for value in values), (0, count, 0)))
        return [charge for charge in found if any(charge.amount)]

    def _check(self) -> None:
        """Refuse spaces where what lies on no path of open routes may be computed all the same."""
        flow, formulas = self.nets.flow, self.nets.flow.formulas
        suspects: dict[Formula, tuple[Apply | Route, str]] = {}
        for value in guard(self.graph).values:
            if isinstance(value, Route) and value.closed is not None:
                shut = formulas.negation(
                    formulas.any(flow.opened(one.name) for one in self.graph.routes_of[value.gate])
                )
                suspects[formulas.all((flow.reached[value.closed], shut))] = value, "passes on what its closed node has"
            elif isinstance(value, Apply) and self.graph.policies.live_inference != "by_route":
                is_cell = value.guard is not None and all(atom.index is not None for atom in value.guard)
                if not is_cell and flow.reached[value.name] is not flow.path:
                    suspects[formulas.negation(flow.reached[value.name])] = value, "runs on zeros of closed routes"
        found = self.nets.draw((*flow.proper, Rule(formulas.any(suspects), "")))
        if found.count:
            is_open = {flow.index[name] for name in self.nets.nth(0, found)}
            value, why = next(told for one, told in suspects.items() if holds(one, is_open.__contains__))
            message = f"what nets cost depends on more than their open routes: `{value.name}` {why}"
            raise Fault("RS712", message, value.span)

    def cheapest(self, kind: int = WORK) -> Priced | None:
        """A net that costs least of a kind; None where there is no net."""
        return self._extreme(kind, -1)

    def dearest(self, kind: int = WORK) -> Priced | None:
        """A net that costs most of a kind; None where there is no net."""
        return self._extreme(kind, 1)

    def find(self, work: Window = EVERYTHING, parameters: Window = EVERYTHING) -> Iterator[Priced]:
        """All nets in a window, one after the other. RS709 where too much would have to be tried to tell."""
        search = Search(self.diagram, (work, parameters))
        try:
            yield from map(self.priced, search)
        except Fault as fault:
            raise self.nets.refusal(fault) from None

    def _extreme(self, kind: int, sign: int) -> Priced | None:
        diagram = self.diagram
        if not diagram.count:
            return None
        weights = tuple(sign * (one == kind) for one in range(3))
        best = furthest(diagram, weights)
        taken: list[bool] = []
        state = 0
        for at, level in enumerate(diagram.levels):
            offers = [
                (dot(arrow.amount, weights) + best[at + 1][arrow.target], is_open, arrow.target)
                for is_open, arrow in enumerate(level[state])
                if arrow
            ]
            _, is_open, state = max(offers, key=lambda offer: offer[0])
            taken.append(bool(is_open))
        return self.priced(taken)

    def priced(self, taken: Sequence[bool]) -> Priced:
        """The net that opens the routes where `taken` is true, with what it pays in the diagram."""
        total, state = list(self.diagram.fixed), 0
        for level, is_open in zip(self.diagram.levels, taken, strict=True):
            arrow = level[state][is_open]
            assert arrow is not None
            total = [a + b for a, b in zip(total, arrow.amount, strict=True)]
            state = arrow.target
        routes = self.nets.flow.routes
        names = frozenset(route.name for route, is_open in zip(routes, taken, strict=True) if is_open)
        return Priced(names, total[WORK], total[PARAMETERS])


def _paid(flow: Flow, value: Apply | Route) -> Formula:
    """When nets pay for a value: a route that is open, work that lies on a path."""
    if isinstance(value, Route):
        return flow.opened(value.name)
    return flow.formulas.all((flow.reached[value.name], flow.goes_on[value.name]))


def _exact(amount: float) -> int:
    if amount != int(amount):
        raise Fault("RS712", f"this convention counts fractions, {amount:g} of a value; costs are compared exactly")
    return int(amount)
