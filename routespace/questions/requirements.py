"""What a `require` asks of nets, as formulas over the routes of a graph."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import prod
from typing import Any, TypeAlias

from routespace.diagnostics import Findings, Span
from routespace.graph.ir import Gate, Route
from routespace.graph.places import resolve_axes
from routespace.graph.reads import wrong_index
from routespace.graph.sites import Sites
from routespace.questions.flow import Flow, Rule
from routespace.questions.formula import FALSE, TRUE, Formula
from routespace.space.expr import Arg, Binary, Call, Choice, Clause, Each, Expr, Index, Items, Name, Sum, Unary
from routespace.space.fault import Fault
from routespace.space.names.legal import parts_of
from routespace.space.numbers import Numbers
from routespace.space.policies import REQUIREMENTS
from routespace.space.scope import Scope

Env: TypeAlias = dict[str, Any]
Place: TypeAlias = tuple[int, ...]

MOST_PLACES = 100_000
_WITHOUT_NETS = "it asks something of open routes: `require not up[3, s8]`"


def is_mirrored(clause: Clause) -> bool:
    """Whether a requirement speaks of mirrored layers."""
    parts = (clause.value, *parts_of(clause.value))
    return any(isinstance(part, (Name, Call)) and _named(part) == "symmetric" for part in parts)


class Reader:
    """Reads requirements against one flow."""

    def __init__(self, flow: Flow) -> None:
        assert flow.graph.space is not None
        self.flow, self.formulas, self.graph = flow, flow.formulas, flow.graph
        self.scope = Scope.of(flow.graph.space)
        self.numbers = Numbers(self.scope)
        resolve_axes(self.scope, self.numbers, Findings())
        self.sites = Sites(flow.graph, self.scope)
        layers = [index[0] for index in flow.index_of.values() if index]
        self.turn = min(layers, default=0) + max(layers, default=0)
        self.leaving: dict[str, list[Formula]] = {node.name: [] for node in self.graph.nodes}
        for route in flow.routes:
            self.leaving.setdefault(route.node, []).append(flow.opened(route.name))
        bodies = (part for node in self.scope.nodes for part in node.body)
        self.words = {branch.name for part in bodies if isinstance(part, Choice) for branch in part.branches}

    def rules(self, clause: Clause) -> Iterator[Rule]:
        """The rules of a requirement, one for each index of the axes that it leaves free."""
        value, span = clause.value, place_of(clause)
        for env in self.places(value):
            where = ", ".join(self.scope.axes[axis].label(at) for axis, at in env.items())
            broken = "a requirement does not hold" + (f" at {where}" if where else "")
            yield Rule(self.condition(value, env), broken, span, is_asked=True)

    def places(self, value: Expr) -> Iterator[Env]:
        """An index for each axis that `value` names without binding it."""
        bound = {part.var for part in parts_of(value) if isinstance(part, Each)}
        domains = {
            part.domain.id for part in parts_of(value) if isinstance(part, Each) and isinstance(part.domain, Name)
        }
        names = [part.id for part in parts_of(value) if isinstance(part, Name)]
        free = [name for name in dict.fromkeys(names) if name in self.scope.axes and name not in bound | domains]
        number = prod(len(self.scope.axes[name].labels) for name in free)
        if number > MOST_PLACES:
            message = f"a requirement for {number:,} indices; at most {MOST_PLACES:,} are possible"
            raise Fault("RS708", message, value.span)
        ranges = [range(self.scope.axes[name].low, self.scope.axes[name].high + 1) for name in free]
        for index in itertools.product(*ranges):
            yield dict(zip(free, index, strict=True))

    def condition(self, expr: Expr, env: Env) -> Formula:
        formulas = self.formulas
        match expr:
            case Name(id=name) if name in REQUIREMENTS:
                return self.single_path() if name == "single_path" else self.symmetric((), expr)
            case Call(name="symmetric"):
                return self.symmetric(expr.args, expr)
            case Binary(op="and" | "or"):
                both = (self.condition(expr.left, env), self.condition(expr.right, env))
                return formulas.all(both) if expr.op == "and" else formulas.any(both)
            case Unary(op="not"):
                return formulas.negation(self.condition(expr.operand, env))
            case Call(name="any" | "all"):
                parts = [self.condition(one, inner) for one, inner in self.each(expr, env)]
                return formulas.any(parts) if expr.name == "any" else formulas.all(parts)
            case Name() | Index() if self.is_stream(expr.id if isinstance(expr, Name) else expr.name):
                return self.stream(expr, env)
            case Binary(op="<" | "<=" | ">" | ">=" | "==" | "!=") if self.asks(expr):
                return self.comparison(expr, env)
        if self.asks(expr):
            raise Fault("RS708", "this is no condition on open routes", expr.span, help=_WITHOUT_NETS)
        return TRUE if self.numbers.truth(expr, env) else FALSE

    def comparison(self, expr: Binary, env: Env) -> Formula:
        """A count of streams against a number, or two conditions that are equal."""
        left, right, sign = expr.left, expr.right, expr.op
        if self.asks(left) and self.asks(right):
            if sign not in ("==", "!=") or self.is_count(left) or self.is_count(right):
                message = "a requirement compares a count of streams with a number, not with another count"
                raise Fault("RS708", message, expr.span)
            same = self.formulas.same(self.condition(left, env), self.condition(right, env))
            return same if sign == "==" else self.formulas.negation(same)
        if self.asks(right):
            left, right = right, left
            sign = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)  # type: ignore[assignment]
        parts = self.counted(left, env)
        bound = self.numbers.integer(right, env)
        least, most = {
            "<": (0, bound - 1),
            "<=": (0, bound),
            ">": (bound + 1, len(parts)),
            ">=": (bound, len(parts)),
        }.get(sign, (bound, bound))
        found = self.formulas.count(parts, least, most)
        return self.formulas.negation(found) if sign == "!=" else found

    def counted(self, expr: Expr, env: Env) -> list[Formula]:
        """What a count counts."""
        match expr:
            case Call(name="sum"):
                return [part for one, inner in self.each(expr, env) for part in self.counted(one, inner)]
            case Call(name="open") if len(expr.args) == 1:
                stream = expr.args[0].value
                if isinstance(stream, (Name, Index)) and self.is_stream(_named(stream)):
                    node = self.node(stream, env)
                    return [] if node is None else self.leaving[node]
                raise Fault("RS708", "`open` counts the open routes of a node, named by a stream of it", expr.span)
            case Sum():
                return [part for term in expr.terms for part in self.counted(term, env)]
        if self.asks(expr):
            return [self.condition(expr, env)]
        raise Fault("RS708", "a count is a sum of streams, each of which counts 1 where it is open", expr.span)

    def is_count(self, expr: Expr) -> bool:
        return isinstance(expr, Sum) or (isinstance(expr, Call) and expr.name in ("sum", "open"))

    def each(self, expr: Call, env: Env) -> Iterator[tuple[Expr, Env]]:
        """What a fold folds, with the names that have a value there."""
        for arg in expr.args:
            match arg.value:
                case Each() as each:
                    for item in self.numbers.domain(each.domain, env):
                        yield each.value, {**env, each.var: item}
                case Items() as items:
                    yield from ((item, env) for item in items.items)
                case value:
                    yield value, env

    def asks(self, expr: Expr) -> bool:
        """Whether `expr` says something of nets, and not of numbers alone."""
        parts = (expr, *parts_of(expr))
        return any(isinstance(one, (Name, Index)) and self.is_stream(_named(one)) for one in parts)

    def is_stream(self, name: str) -> bool:
        return name in self.scope.stream_axes

    def stream(self, expr: Name | Index, env: Env) -> Formula:
        """A route is open, or the node of a stream is used; where there is none, neither."""
        node = self.node(expr, env)
        if node is None:
            return FALSE
        name = f"{node}.{_named(expr)}"
        if isinstance(self.graph.by_name.get(name), Route):
            return self.flow.opened(name)
        return FALSE if _named(expr) in self.words else self.flow.used[node]

    def node(self, expr: Name | Index, env: Env) -> str | None:
        axes = self.scope.stream_axes[_named(expr)]
        at = expr.at if isinstance(expr, Index) else ()
        if len(at) != len(axes):
            raise wrong_index(_named(expr), axes, len(at), expr.span)
        return self.sites.node(_named(expr), tuple(self.numbers.integer(part, env) for part in at))

    def single_path(self) -> Formula:
        """One path and nothing beside it: it ends once, and no node has two routes that leave or arrive."""
        flow, formulas = self.flow, self.formulas
        ends = (flow.opened(one.name) for one in flow.routes if flow.goes_on[one.name] is TRUE)
        arriving: dict[str, dict[str, Formula]] = {node: {} for node in flow.index_of}
        for value in self.graph.values:
            if value.node in arriving and not isinstance(value, Gate):
                routes = [arg for arg in value.args if arg in flow.index and self.graph.by_name[arg].node != value.node]
                arriving[value.node].update((arg, flow.opened(arg)) for arg in routes)
        parts = [*self.leaving.values(), *(found.values() for found in arriving.values())]
        return formulas.all((formulas.count(ends, 1, 1), *(formulas.count(part, 0, 1) for part in parts)))

    def symmetric(self, args: tuple[Arg, ...], expr: Expr) -> Formula:
        """Every route that leads to a node is open iff the one that leads back between the mirrored nodes is.

        `symmetric(down, up)` says it of these two names only. A route without a mirror is closed.
        """
        names = tuple(arg.value.id for arg in args if isinstance(arg.value, Name))
        if len(names) != len(args) or len(names) not in (0, 2) or not self.words.issuperset(names):
            help = "write `symmetric`, or `symmetric(down, up)`"
            raise Fault("RS708", "`symmetric` is of all routes, or of two names of routes", expr.span, help=help)
        hops = {one.name: hop for one in self.flow.routes if (hop := self._hop(one)) is not None}
        mirrored: dict[tuple[Place, Place], list[str]] = {}
        for name, (source, target) in hops.items():
            mirrored.setdefault((source, target), []).append(name)
        parts: list[Formula] = []
        for name, (source, target) in hops.items():
            word = name.rsplit(".", 1)[-1]
            if names and word not in names:
                continue
            wanted = None if not names else names[1 - names.index(word)]
            back = mirrored.get((self._mirror(target), self._mirror(source)), [])
            found = [one for one in back if wanted is None or one.endswith(f".{wanted}")]
            partner = self.formulas.any(self.flow.opened(one) for one in found)
            parts.append(self.formulas.same(self.flow.opened(name), partner))
        return self.formulas.all(parts)

    def _hop(self, route: Route) -> tuple[Place, Place] | None:
        """The places of the two nodes that a route joins; None for one that leaves, or joins more."""
        ends = self.flow.ends(route)
        if len(ends) != 1 or not route.sends:
            return None
        source, target = (self.flow.index_of[one] for one in (route.node, *ends))
        return (source, target) if source and target else None

    def _mirror(self, place: Place) -> Place:
        """The place in the mirrored layer: layers are the first axis that nodes stand at."""
        return (self.turn - place[0], *place[1:])


def place_of(clause: Clause) -> Span | None:
    return clause.value.span or clause.span


def _named(expr: Name | Index | Call) -> str:
    return expr.id if isinstance(expr, Name) else expr.name
