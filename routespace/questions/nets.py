"""The nets of a space: how many there are, which, whether one is among them, and why there is none."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from routespace.diagnostics import Diagnostic, Findings, RouteError, Source, Span
from routespace.graph.ir import RouteGraph
from routespace.graph.net_parts import Opening, declared_net, read_net
from routespace.graph.simulate import simulate
from routespace.questions.diagram import Diagram, draw_diagram
from routespace.questions.flow import Flow, Rule
from routespace.questions.formula import holds
from routespace.questions.requirements import Reader, is_mirrored, place_of
from routespace.space.expr import Clause, NetDecl
from routespace.space.fault import Fault
from routespace.space.registry import ACTIVATIONS


@dataclass(frozen=True)
class Verdict:
    """Whether a net is one of a space: its open routes, in reading order, and the first thing that does not fit."""

    routes: tuple[str, ...]
    misfit: Diagnostic | None = None

    @property
    def is_contained(self) -> bool:
        return self.misfit is None


class Nets:
    """The proper nets of a graph that satisfy the requirements of its space, and `more` of them.

    Every answer is exact. Requirements that mean nothing raise `RouteError` (RS7xx) here, and so does, where it is
    first asked, a question that would have to remember too much (RS709).

    >>> import routespace as rs
    >>> nets = Nets(rs.build(rs.load(rs.example("segmentation"), depth=4)))
    >>> nets.count()
    333663
    """

    def __init__(self, graph: RouteGraph, more: Iterable[Clause] = (), sources: Iterable[Source] = ()) -> None:
        assert graph.space is not None
        self.graph = graph
        self.sources = {source.path: source for source in (*graph.space.sources, *sources)}
        given = [one for one in graph.space.overrides if one.name == "require"]
        own = [one for one in graph.space.declaration.body if isinstance(one, Clause) and one.name == "require"]
        self.requirements = (*(given or own), *more)
        self.flow = Flow(graph, folded=any(map(is_mirrored, self.requirements)))
        self._asked = self._read()

    def _read(self) -> dict[Clause, tuple[Rule, ...]]:
        findings = Findings(self.sources)
        reader = Reader(self.flow)
        found: dict[Clause, tuple[Rule, ...]] = {}
        for one in self.requirements:
            try:
                found[one] = tuple(reader.rules(one))
            except Fault as fault:
                fault.report(findings)
        findings.raise_errors()
        return found

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What a net has to satisfy: that it is proper first, then what is required."""
        return (*self.flow.proper, *(rule for rules in self._asked.values() for rule in rules))

    @cached_property
    def diagram(self) -> Diagram:
        return self.draw(self.rules)

    def draw(self, rules: Iterable[Rule]) -> Diagram:
        try:
            return draw_diagram(self.flow.formulas, len(self.flow.routes), [rule.formula for rule in rules])
        except Fault as fault:
            raise self.refusal(fault) from None

    def refusal(self, fault: Fault) -> RouteError:
        findings = Findings(self.sources)
        fault.stands(self.graph.space.declaration.span if self.graph.space else None, "of the nets of this space")
        fault.report(findings)
        return RouteError(findings.diagnostics, findings.sources)

    def count(self) -> int:
        """How many nets there are."""
        return self.diagram.count

    def is_empty(self) -> bool:
        return not self.diagram.count

    def why_empty(self) -> Diagnostic | None:
        """Requirements of which none can be spared for the space to have no net; None where it has one."""
        if not self.is_empty():
            return None
        kept = list(self._asked)
        for one in list(kept):
            fewer = [each for each in kept if each is not one]
            rules = (*self.flow.proper, *(rule for each in fewer for rule in self._asked[each]))
            if not self.draw(rules).count:
                kept = fewer
        findings = Findings()
        message = f"space `{self.graph.name}` has no net"
        if not kept:
            span = self.graph.space.declaration.span if self.graph.space else None
            findings.add("RS710", f"{message}: no path leads from an input to an output", span)
        else:
            text = "no path meets this" if len(kept) == 1 else "these exclude each other"
            findings.add("RS710", message, place_of(kept[0]), text, others=[(place_of(one), "") for one in kept[1:]])
        return findings.diagnostics[0]

    def not_held_to(self) -> list[Clause]:
        """Requirements that some net breaks which the gates, left to themselves, can open for an image."""
        apart = self.draw((*self.flow.proper, *self._support())).count
        return [
            one
            for one, rules in self._asked.items()
            if self.draw((*self.flow.proper, *self._support(), *rules)).count < apart
        ]

    def _support(self) -> Iterator[Rule]:
        """What gates always open of their routes, where their nodes are used."""
        formulas = self.flow.formulas
        for gate in self.graph.gates:
            always = ACTIVATIONS[gate.activation].opens(len(gate.routes))
            routes = [
                self.flow.opened(one.name) for one in self.graph.routes_of[gate.name] if one.name in self.flow.index
            ]
            if always is not None and not gate.below and len(routes) == len(gate.routes):
                unused = formulas.negation(self.flow.used[gate.node])
                opens = formulas.any((unused, formulas.count(routes, always, always)))
                yield Rule(opens, f"gate `{gate.name}` opens {always} routes", gate.span)

    def names(self, net: Iterable[str]) -> list[str]:
        """The routes of a net in reading order."""
        net = frozenset(net)
        return [route.name for route in self.flow.routes if route.name in net]

    def report(self, problem: Diagnostic) -> NoReturn:
        """Raise `problem` as the error that it is."""
        raise RouteError([problem], self.sources)

    def sample(self, number: int, seed: int = 0) -> Iterator[frozenset[str]]:
        """Open routes of `number` nets, each drawn uniformly from all of them; RS710 where there is none."""
        total = self.count()
        if not total:
            why = self.why_empty()
            assert why is not None
            self.report(why)
        dice = random.Random(seed)
        for _ in range(number):
            yield self.nth(dice.randrange(total))

    def nth(self, rank: int, diagram: Diagram | None = None) -> frozenset[str]:
        """Net number `rank`, from 0, in the order in which closed comes before open."""
        diagram = diagram or self.diagram
        found: list[str] = []
        state = 0
        for at, level in enumerate(diagram.levels):
            low, high = level[state]
            behind = diagram.counts[at + 1]
            below = behind[low.target] if low else 0
            if low and rank < below:
                state = low.target
            else:
                assert high is not None
                rank -= below
                found.append(self.flow.routes[at].name)
                state = high.target
        return frozenset(found)

    def contains(self, net: str | NetDecl | Iterable[str], attainable: bool = False) -> Verdict:
        """Whether `net` is one of these: a name, a declaration (of any space), or names of open routes.

        With `attainable`, its gates also have to be able to open just these routes for one image.
        """
        findings = Findings(self.sources)
        opened: dict[str, Opening] = {}
        span: Span | None = None
        try:
            net = declared_net(self.graph, net) if isinstance(net, str) else net
            if isinstance(net, NetDecl):
                span = net.span
                opened = read_net(self.graph, net, findings)
            else:
                opened = {name: Opening(name) for name in net}
                for name in opened.keys() - self.flow.index.keys():
                    raise Fault("RS702", f"there is no route `{name}`")
        except Fault as fault:
            fault.report(findings)
        routes = tuple(route.name for route in self.flow.routes if route.name in opened)
        if findings.has_errors:
            return Verdict(routes, findings.diagnostics[0])
        broken = self._first_broken(frozenset(routes))
        if broken is None and attainable:
            broken = self._unattainable(frozenset(routes))
        if broken is None:
            return Verdict(routes)
        place = opened[broken.route].span if broken.route else span
        text = "opened here" if broken.route else "this net"
        others = [(broken.span, "by this requirement" if broken.is_asked else "declared here")] if broken.span else []
        findings.add("RS711", f"not a net of space `{self.graph.name}`: {broken.broken}", place, text, others=others)
        return Verdict(routes, findings.diagnostics[0])

    def _first_broken(self, routes: frozenset[str]) -> Rule | None:
        is_open = [route.name in routes for route in self.flow.routes]
        return next((rule for rule in self.rules if not holds(rule.formula, is_open.__getitem__)), None)

    def _unattainable(self, routes: frozenset[str]) -> Rule | None:
        """A gate that is asked and cannot open just what the net opens of it."""
        graph = self.graph
        indices = {
            gate.name: frozenset(one.index for one in graph.routes_of[gate.name] if one.name in routes)
            for gate in graph.gates
        }
        ran = simulate(graph, indices)
        for gate in graph.gates:
            if gate.name not in ran:
                continue
            entry, number = ACTIVATIONS[gate.activation], len(indices[gate.name])
            always = entry.opens(len(gate.routes))
            if always is not None and number != always and (number or not gate.below):
                message = f"gate `{gate.name}` by `{gate.activation}` "
                if number or not gate.routes:
                    message += f"cannot open {number} of {len(gate.routes)} routes"
                else:
                    message += "never closes" if not entry.closes else f"always opens {always} of its routes"
                return Rule(self.flow.path, message, gate.span)
        return None
