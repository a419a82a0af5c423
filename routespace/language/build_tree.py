"""What each production of the grammar makes: `BUILDERS` maps its alias, or else its rule, to a function.

A builder gets the values of the right-hand side in order, signs and words included as their text; one that makes a
value of the syntax also gets the span. A list under construction is a Python list and becomes a tuple where it is
used; what could not be read is None and left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from routespace.diagnostics.source import Span
from routespace.space.expr import (
    Arg,
    Attribute,
    AxisDecl,
    Binary,
    Branch,
    Call,
    Choice,
    Clause,
    ClosedRule,
    Each,
    Edge,
    Equation,
    Everything,
    GateDecl,
    If,
    ImportDecl,
    Index,
    InputDecl,
    Items,
    LetDecl,
    Name,
    NetDecl,
    NodeDecl,
    Number,
    OpDecl,
    OutputDecl,
    Param,
    Pipe,
    Range,
    Row,
    ShareDecl,
    SpaceDecl,
    Step,
    Sum,
    Unary,
    Union,
    Walk,
    Without,
)

Parts: TypeAlias = list[Any]
Given: TypeAlias = Literal["parts", "span", "statement"]

BUILDERS: dict[str, tuple[Callable[..., Any], Given]] = {}


def _first(parts: Parts) -> list[Any]:
    return [] if parts[0] is None else parts


def _more(parts: Parts) -> list[Any]:
    grown: list[Any] = parts[0]
    if parts[2] is not None:
        grown.append(parts[2])
    return grown


def _number(parts: Parts, span: Span) -> Number:
    text: str = parts[0]
    return Number(int(text) if text.isdecimal() else float(text), span)


def _import(parts: Parts, span: Span) -> ImportDecl:
    return ImportDecl(parts[1][1:-1], tuple(parts[3]), span)


def _nothing_rule(parts: Parts, span: Span) -> ClosedRule:
    return ClosedRule(None, Name(parts[0], span), span)


def _choice(parts: Parts, span: Span, closed: Parts = [], below: Any = None) -> Choice:  # noqa: B006
    return Choice(parts[0], parts[2], tuple(parts[4]), None, tuple(closed), below, span)


def _send(parts: Parts, span: Span, closed: Parts = [], below: Any = None) -> Choice:  # noqa: B006
    return Choice("send", parts[3], tuple(parts[5]), parts[1], tuple(closed), below, span)


def _parts(**builders: Callable[[Parts], Any]) -> None:
    BUILDERS.update({name: (build, "parts") for name, build in builders.items()})


def _spans(**builders: Callable[[Parts, Span], Any]) -> None:
    BUILDERS.update({name: (build, "span") for name, build in builders.items()})


def _statements(**builders: Callable[[Parts, Span], Any]) -> None:
    BUILDERS.update({name: (build, "statement") for name, build in builders.items()})


_parts(
    none=lambda p: [],
    nothing=lambda p: None,
    skipped=lambda p: None,
    whole=lambda p: p[0],
    own=lambda p: p[0],
    inner=lambda p: p[1],
    second=lambda p: p[1],
    first=_first,
    more=_more,
    pair=lambda p: [p[0], p[2]],
)

_spans(
    # expressions
    name=lambda p, s: Name(p[0], s),
    number=_number,
    binary=lambda p, s: Binary(p[1], p[0], p[2], s),
    unary=lambda p, s: Unary(p[0], p[1], s),
    added=lambda p, s: Sum(tuple(p[0]), s),
    piped=lambda p, s: Pipe(tuple(p[0]), s),
    piped_pair=lambda p, s: Pipe((p[0], p[2]), s),
    piped_more=lambda p, s: Pipe((*p[0], p[2]), s),
    conditional=lambda p, s: If(p[0], p[2], p[4], s),
    no_items=lambda p, s: Items((), s),
    some_items=lambda p, s: Items(tuple(p[1]), s),
    range=lambda p, s: Range(p[0], p[2], s),
    index=lambda p, s: Index(p[0], tuple(p[2]), s),
    bare=lambda p, s: Index(p[0], (), s),
    call=lambda p, s: Call(p[0], tuple(p[2]), s),
    positional=lambda p, s: Arg(None, p[0], None, s),
    named=lambda p, s: Arg(p[0], p[2], None, s),
    named_in=lambda p, s: Arg(p[0], p[2], p[4], s),
    each=lambda p, s: Arg(None, Each(p[0], p[2], p[4], s), None, s),
    # choices
    choice=_choice,
    choice_closed=lambda p, s: _choice(p, s, p[7], p[8]),
    branch=lambda p, s: Branch(p[0], p[2], None, s),
    branch_where=lambda p, s: Branch(p[0], p[2], p[4], s),
    rule_of_branch=lambda p, s: ClosedRule(p[0], p[2], s),
    rule_of_all=lambda p, s: ClosedRule(None, p[1], s),
    rule_nothing=_nothing_rule,
    # containers, whose statements are checked one by one
    space=lambda p, s: SpaceDecl(p[1], tuple(p[2]), tuple(p[4]), s),
    gate=lambda p, s: GateDecl(p[1], tuple(p[2]), p[4], tuple(p[6]), s),
    node=lambda p, s: NodeDecl(p[1], tuple(p[2]), p[3], tuple(p[5]), s),
    net=lambda p, s: NetDecl(p[1], p[3], tuple(p[5]), s),
    share=lambda p, s: ShareDecl(tuple(p[3]), (), s),
    share_except=lambda p, s: ShareDecl(tuple(p[3]), tuple(p[6]), s),
    step=lambda p, s: Step(p[0], None, s),
    steps_of=lambda p, s: Step(p[0], p[2], s),
)
BUILDERS["import"] = (_import, "span")

_statements(
    send=_send,
    send_closed=lambda p, s: _send(p, s, p[8], p[9]),
    equation=lambda p, s: Equation(p[0], p[2], s),
    condition=lambda p, s: p[1],
    param=lambda p, s: Param(p[0], None, s),
    param_default=lambda p, s: Param(p[0], p[2], s),
    input=lambda p, s: InputDecl(p[1], tuple(p[2]), p[4], s),
    output=lambda p, s: OutputDecl(p[1], tuple(p[2]), p[4], s),
    let=lambda p, s: LetDecl(p[1], tuple(p[2]), p[4], s),
    op=lambda p, s: OpDecl(p[1], tuple(p[2]), p[4], s),
    axis_range=lambda p, s: AxisDecl(p[1], Range(p[3], p[5], _between(p[3], p[5])), tuple(p[6]), s),
    axis_names=lambda p, s: AxisDecl(p[1], tuple(p[3]), tuple(p[4]), s),
    attribute=lambda p, s: Attribute(p[0], p[2], s),
    clause=lambda p, s: Clause(p[0], p[1], None, s),
    clause_in=lambda p, s: Clause(p[0], p[1], p[3], s),
    walk=lambda p, s: Walk(p[1], tuple(p[3]), s),
    row=lambda p, s: Row(tuple(p[1]), None, s),
    row_at=lambda p, s: Row(tuple(p[1]), p[3], s),
    edge=lambda p, s: Edge(tuple(p[1]), s),
    everything=lambda p, s: Everything(s),
    union=lambda p, s: Union(tuple(p[1]), s),
    without=lambda p, s: Without(p[1], s),
    without_nets=lambda p, s: Without(Union(tuple(p[1]), s), s),
)


def _between(low: Any, high: Any) -> Span:
    return Span(low.span.path, low.span.start, high.span.end)
