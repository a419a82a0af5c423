"""Expressions and declarations of the `.route` language, as plain frozen values.

The parser makes them, a `Space` is composed of them, JSON carries them and the formatter prints them. Spans never
take part in equality: two expressions are equal when they mean the same text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, get_args

from routespace.diagnostics.source import Span


def _span() -> Span | None:
    return field(default=None, compare=False, repr=False)


class _ByKind:
    """Tells the readers of JSON to choose among the members of a union by their `kind`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from routespace.space.json import discriminated

        return discriminated(source, handler)


_BY_KIND = _ByKind()

Mode: TypeAlias = Literal["training", "inference"]


@dataclass(frozen=True, slots=True)
class Number:
    value: int | float
    span: Span | None = _span()
    kind: Literal["number"] = "number"


@dataclass(frozen=True, slots=True)
class Name:
    id: str
    span: Span | None = _span()
    kind: Literal["name"] = "name"


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of a call: positional when `name` is None; `mode` where the value is split by mode."""

    name: str | None
    value: Expr
    mode: Mode | None = None
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """`conv(3, stride = 2)`."""

    name: str
    args: tuple[Arg, ...]
    span: Span | None = _span()
    kind: Literal["call"] = "call"


@dataclass(frozen=True, slots=True)
class Index:
    """`keep[layer - 1, scale]`; in nets also `keep`, without an index, for a node without axes."""

    name: str
    at: tuple[Expr, ...]
    span: Span | None = _span()
    kind: Literal["index"] = "index"


@dataclass(frozen=True, slots=True)
class Binary:
    """`-`, `*`, `/`, `^`, comparisons, `and`, `or`."""

    op: Literal["-", "*", "/", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"]
    left: Expr
    right: Expr
    span: Span | None = _span()
    kind: Literal["binary"] = "binary"


@dataclass(frozen=True, slots=True)
class Unary:
    op: Literal["-", "not"]
    operand: Expr
    span: Span | None = _span()
    kind: Literal["unary"] = "unary"


@dataclass(frozen=True, slots=True)
class Sum:
    """`a + b + c`: numbers add, streams merge, ops run side by side and add."""

    terms: tuple[Expr, ...]
    span: Span | None = _span()
    kind: Literal["sum"] = "sum"


@dataclass(frozen=True, slots=True)
class Pipe:
    """`x | f | g`: the first stage is a stream or an op, the rest are ops."""

    stages: tuple[Expr, ...]
    span: Span | None = _span()
    kind: Literal["pipe"] = "pipe"


@dataclass(frozen=True, slots=True)
class If:
    """`value if condition else otherwise`; the condition is static."""

    value: Expr
    condition: Expr
    otherwise: Expr
    span: Span | None = _span()
    kind: Literal["if"] = "if"


@dataclass(frozen=True, slots=True)
class Items:
    """`[64, 128, 256]`."""

    items: tuple[Expr, ...]
    span: Span | None = _span()
    kind: Literal["items"] = "items"


@dataclass(frozen=True, slots=True)
class Range:
    """`0..depth`, both ends included."""

    low: Expr
    high: Expr
    span: Span | None = _span()
    kind: Literal["range"] = "range"


@dataclass(frozen=True, slots=True)
class Each:
    """`x[l, scale] for l in 0..layer - 1`: the only argument of a call."""

    value: Expr
    var: str
    domain: Expr
    span: Span | None = _span()
    kind: Literal["each"] = "each"


@dataclass(frozen=True, slots=True)
class Branch:
    name: str
    value: Expr
    where: Expr | None = None
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class ClosedRule:
    """`closed keep = x below 1e-4`: what the branch delivers for an image whose weights are all closed.

    `branch` None means every branch; `value` is the name `nothing` for the default.
    """

    branch: str | None
    value: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Choice:
    """`sum by g(x) { a: f }` as an expression, or `send h by g(x) { keep: relu }` as a statement of a node."""

    combine: str
    gate: Expr
    branches: tuple[Branch, ...]
    source: Expr | None = None
    closed: tuple[ClosedRule, ...] = ()
    below: Expr | None = None
    span: Span | None = _span()
    kind: Literal["choice"] = "choice"


Expr: TypeAlias = Annotated[
    Number | Name | Call | Index | Binary | Unary | Sum | Pipe | If | Items | Range | Each | Choice, _BY_KIND
]
EXPRESSIONS: tuple[type, ...] = get_args(get_args(Expr)[0])


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    default: Expr | None
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class InputDecl:
    """`input image: 3` or `input pyramid[level]: width`."""

    name: str
    index: tuple[str, ...]
    channels: Expr
    span: Span | None = _span()
    kind: Literal["input"] = "input"


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    value: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class AxisDecl:
    """`axis layer = 0..depth` (a `Range`) or `axis scale = s4, s8 with stride = 4 * 2^scale` (names in `values`)."""

    name: str
    values: Range | tuple[str, ...]
    attributes: tuple[Attribute, ...] = ()
    span: Span | None = _span()
    kind: Literal["axis"] = "axis"


@dataclass(frozen=True, slots=True)
class LetDecl:
    name: str
    index: tuple[str, ...]
    value: Expr
    span: Span | None = _span()
    kind: Literal["let"] = "let"


@dataclass(frozen=True, slots=True)
class OpDecl:
    name: str
    params: tuple[Param, ...]
    value: Expr
    span: Span | None = _span()
    kind: Literal["op"] = "op"


@dataclass(frozen=True, slots=True)
class Clause:
    """`activation relu_tanh`, `live by_node in inference`: a name, a value and the mode it is meant for."""

    name: str
    value: Expr
    mode: Mode | None = None
    span: Span | None = _span()
    kind: Literal["clause"] = "clause"


@dataclass(frozen=True, slots=True)
class GateDecl:
    name: str
    params: tuple[Param, ...]
    granularity: str
    clauses: tuple[Clause, ...]
    span: Span | None = _span()
    kind: Literal["gate"] = "gate"


@dataclass(frozen=True, slots=True)
class Equation:
    name: str
    value: Expr
    span: Span | None = _span()
    kind: Literal["equation"] = "equation"


@dataclass(frozen=True, slots=True)
class NodeDecl:
    """`node at layer, scale where scale <= layer { … }`; `name` for a node of its own without axes."""

    name: str | None
    axes: tuple[str, ...]
    where: Expr | None
    body: tuple[Equation | Choice, ...]
    span: Span | None = _span()
    kind: Literal["node"] = "node"


@dataclass(frozen=True, slots=True)
class OutputDecl:
    name: str
    index: tuple[str, ...]
    value: Expr
    span: Span | None = _span()
    kind: Literal["output"] = "output"


@dataclass(frozen=True, slots=True)
class ShareDecl:
    """`share across(level) except norm`: the axes whose indices use one parameter set."""

    axes: tuple[str, ...]
    exceptions: tuple[str, ...] = ()
    span: Span | None = _span()
    kind: Literal["share"] = "share"


Statement: TypeAlias = Annotated[
    InputDecl | AxisDecl | LetDecl | OpDecl | GateDecl | NodeDecl | OutputDecl | ShareDecl | Clause, _BY_KIND
]


@dataclass(frozen=True, slots=True)
class Step:
    """`keep^3` of a walk."""

    route: str
    times: Expr | None = None
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Walk:
    """`walk x[0, s4]: keep^3, down, keep`."""

    start: Index
    steps: tuple[Step, ...]
    span: Span | None = _span()
    kind: Literal["walk"] = "walk"


@dataclass(frozen=True, slots=True)
class Row:
    """`row keep[0..16, s4], down[3, s4] = 0.5`: the named routes at every index of the ranges, at weight 1 or this."""

    routes: tuple[Index, ...]
    weight: Expr | None = None
    span: Span | None = _span()
    kind: Literal["row"] = "row"


@dataclass(frozen=True, slots=True)
class Edge:
    """`edge x[3, s4] -> x[4, s8] -> x[5, s8]`: the routes that join the nodes one after the other."""

    nodes: tuple[Index, ...]
    span: Span | None = _span()
    kind: Literal["edge"] = "edge"


@dataclass(frozen=True, slots=True)
class Everything:
    """`everything`: every route that has a name."""

    span: Span | None = _span()
    kind: Literal["everything"] = "everything"


@dataclass(frozen=True, slots=True)
class Union:
    """`with fcn_32s, u_net`: all that these nets hold open."""

    nets: tuple[str, ...]
    span: Span | None = _span()
    kind: Literal["union"] = "union"


LeftOut: TypeAlias = Annotated[Walk | Row | Edge | Union, _BY_KIND]


@dataclass(frozen=True, slots=True)
class Without:
    """`without row up[4..8, s8]`, `without u_net`: closed, whatever else opens it."""

    part: LeftOut
    span: Span | None = _span()
    kind: Literal["without"] = "without"


NetPart: TypeAlias = Annotated[Walk | Row | Edge | Everything | Union | Without, _BY_KIND]


@dataclass(frozen=True, slots=True)
class NetDecl:
    """`net NAME in SPACE { … }`: the routes that its parts open, in whatever order, less those that some leave out."""

    name: str
    space: str
    parts: tuple[NetPart, ...]
    span: Span | None = _span()
    kind: Literal["net"] = "net"


@dataclass(frozen=True, slots=True)
class SpaceDecl:
    name: str
    params: tuple[Param, ...]
    body: tuple[Statement, ...]
    span: Span | None = _span()
    kind: Literal["space"] = "space"


@dataclass(frozen=True, slots=True)
class ImportDecl:
    """`from "../segmentation.route" import segmentation, norm`."""

    path: str
    names: tuple[str, ...]
    span: Span | None = _span()
    kind: Literal["import"] = "import"


TopLevel: TypeAlias = ImportDecl | SpaceDecl | NetDecl | OpDecl | GateDecl


@dataclass(frozen=True, slots=True)
class Comment:
    """One `# …` with its place; `own_line` when nothing but blanks stands before it."""

    text: str
    span: Span
    own_line: bool


@dataclass(frozen=True, slots=True)
class File:
    """One parsed source: declarations in order, with the comments that stand between and behind them."""

    path: str
    items: tuple[TopLevel, ...]
    comments: tuple[Comment, ...] = ()
