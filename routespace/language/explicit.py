"""A file with its defaults written out: what it leaves unsaid, said in the place where it could have been."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from routespace.diagnostics import Findings, Span
from routespace.language.imports import Library, collect
from routespace.language.prelude import prelude_ops
from routespace.space.expr import (
    Arg,
    Binary,
    Call,
    Choice,
    Clause,
    ClosedRule,
    Each,
    Equation,
    Expr,
    File,
    GateDecl,
    If,
    Index,
    Mode,
    Name,
    NodeDecl,
    Number,
    OpDecl,
    OutputDecl,
    Param,
    Pipe,
    SpaceDecl,
    Statement,
    Sum,
    TopLevel,
)
from routespace.space.registry import ACTIVATIONS, MERGES, OPS, Parameter

NOTHING = Name("nothing")
BUDGET_DEFAULTS = (("weight", 1), ("start", 0), ("ramp", 0))


def explicit_file(file: File, hidden: Iterable[str] = ()) -> File:
    """`file` with the defaults that are in force written out; it loads as an equal space.

    Written out are the arguments of registered ops and activations, the rules for closed branches and the policies of
    spaces. Left out is what no text can say once for all: an argument whose default depends on the stream (the output
    channels of a conv, the padding of a kernel that is not a plain number), and the arguments of an op that is itself
    an argument. `hidden` are names, declared outside of `file`, that do not mean what is registered under them.

    >>> from routespace.language.format import format_file
    >>> from routespace.language.parser import parse
    >>> print(format_file(explicit_file(parse("op cell = conv(3) | relu"))), end="")
    op cell = conv(3, stride = 1, pad = 1, dilation = 1, groups = 1, bias = no) | relu
    """
    names = {*hidden, *(item.name for item in file.items if isinstance(item, (OpDecl, GateDecl)))}
    return replace(file, items=tuple(_item(item, frozenset(names)) for item in file.items))


def hidden_names(file: File, path: Path, findings: Findings, root: str | Path | None = None) -> frozenset[str]:
    """The ops that `file`, at `path`, imports or always knows. Raises `RouteError` where an import cannot be read;
    `findings` hold the text of `file`."""
    library = Library()
    collect(file, path, library, findings, root)
    findings.raise_errors()
    return frozenset({*library.ops, *prelude_ops()})


def _item(item: TopLevel, hidden: frozenset[str]) -> TopLevel:
    match item:
        case OpDecl():
            return _Filler(hidden).op_declaration(item)
        case GateDecl():
            return _Filler(hidden).gate_declaration(item)
        case SpaceDecl():
            own = {one.name for one in item.body if isinstance(one, (OpDecl, GateDecl))}
            filler = _Filler(hidden | own | _names(item.params))
            body = [filler.statement(one) for one in item.body]
            end = None if item.span is None else Span(item.span.path, item.span.end - 1, item.span.end - 1)
            return replace(item, body=(*_policies(body), *_missing_policies(body, end)))
    return item


def _names(params: Iterable[Param]) -> set[str]:
    return {param.name for param in params}


# ---- policies --------------------------------------------------------------------------------------------------------


def _policies(body: list[Statement]) -> Iterator[Statement]:
    """The statements with `live` said for both modes, and every argument of a budget."""
    lives = [one for one in body if isinstance(one, Clause) and one.name == "live"]
    for one in body:
        if not isinstance(one, Clause):
            yield one
        elif one.name == "live" and one.mode is None and len(lives) == 1:
            yield replace(one, mode="training")
            yield replace(one, mode="inference")
        elif one.name == "budget" and isinstance(one.value, Call):
            given = {arg.name for arg in one.value.args}
            more = tuple(Arg(name, Number(value)) for name, value in BUDGET_DEFAULTS if name not in given)
            yield replace(one, value=replace(one.value, args=(*one.value.args, *more)))
        else:
            yield one


def _missing_policies(body: list[Statement], place: Span | None) -> Iterator[Clause]:
    said = {(one.name, one.mode) for one in body if isinstance(one, Clause)}
    modes: tuple[Mode, ...] = ("training", "inference")
    for mode in modes:
        if not {("live", None), ("live", mode)} & said:
            yield Clause("live", Name("by_route"), mode, place)
    for name, word in (("init", "kaiming"), ("budget", "none"), ("cost", "macs")):
        if (name, None) not in said:
            yield Clause(name, Name(word), None, place)


# ---- arguments -------------------------------------------------------------------------------------------------------


class _Filler:
    """Writes defaults into expressions; `hidden` are names that mean something else than what is registered."""

    def __init__(self, hidden: frozenset[str]) -> None:
        self.hidden = hidden

    def statement(self, item: Statement) -> Statement:
        match item:
            case OpDecl():
                return self.op_declaration(item)
            case GateDecl():
                return self.gate_declaration(item)
            case OutputDecl():
                return replace(item, value=self.stream(item.value))
            case NodeDecl():
                return replace(item, body=tuple(self.node_part(part) for part in item.body))
        return item

    def op_declaration(self, item: OpDecl) -> OpDecl:
        return replace(item, value=_Filler(self.hidden | _names(item.params)).op(item.value))

    def gate_declaration(self, item: GateDecl) -> GateDecl:
        inner = _Filler(self.hidden | _names(item.params))
        clauses = tuple(inner.gate_clause(one) for one in item.clauses)
        entry = next((ACTIVATIONS.get(_called(one.value)) for one in clauses if one.name == "activation"), None)
        if entry is not None and not any(one.name == "gradient" for one in clauses):
            clauses += (Clause("gradient", Name(entry.gradient)),)
        return replace(item, clauses=clauses)

    def gate_clause(self, one: Clause) -> Clause:
        if one.name == "body":
            return replace(one, value=self.op(one.value))
        entry = ACTIVATIONS.get(_called(one.value))
        if one.name != "activation" or entry is None:
            return one
        return replace(one, value=_filled(one.value, entry.parameters))

    def node_part(self, part: Equation | Choice) -> Equation | Choice:
        if isinstance(part, Equation):
            return replace(part, value=self.stream(part.value))
        sent = tuple(replace(one, value=self.op(one.value)) for one in part.branches)
        source = None if part.source is None else self.stream(part.source)
        return self.closed(replace(part, source=source, gate=self.stream(part.gate), branches=sent))

    def closed(self, choice: Choice) -> Choice:
        """The choice with a rule for every branch, and `below` unless its gate is one that other choices share."""
        rules = choice.closed
        if not rules:
            rules = (ClosedRule(None, NOTHING),)
        elif all(rule.branch is not None for rule in rules):
            said = {rule.branch for rule in rules}
            rules += tuple(ClosedRule(one.name, NOTHING) for one in choice.branches if one.name not in said)
        below = Number(0) if choice.below is None and isinstance(choice.gate, Call) else choice.below
        return replace(choice, closed=rules, below=below)

    def stream(self, expr: Expr) -> Expr:
        """An expression of streams: the ops in it stand behind `|`."""
        match expr:
            case Pipe():
                return replace(expr, stages=(self.stream(expr.stages[0]), *(self.op(one) for one in expr.stages[1:])))
            case Sum():
                return replace(expr, terms=tuple(self.stream(one) for one in expr.terms))
            case If():
                return replace(expr, value=self.stream(expr.value), otherwise=self.stream(expr.otherwise))
            case Binary(op="*"):
                return replace(expr, left=self.factor(expr.left), right=self.stream(expr.right))
            case Each():
                return replace(expr, value=self.stream(expr.value))
            case Call():
                return replace(expr, args=tuple(replace(arg, value=self.read(arg)) for arg in expr.args))
            case Choice():
                branches = tuple(replace(one, value=self.stream(one.value)) for one in expr.branches)
                rules = tuple(replace(one, value=self.stream(one.value)) for one in expr.closed)
                return self.closed(replace(expr, gate=self.stream(expr.gate), branches=branches, closed=rules))
        return expr

    def read(self, arg: Arg) -> Expr:
        """What a merge, a decoder or a gate reads; plain arguments stay as they are."""
        is_stream = arg.name is None and isinstance(arg.value, (Pipe, Sum, If, Each, Choice, Index))
        return self.stream(arg.value) if is_stream else arg.value

    def op(self, expr: Expr) -> Expr:
        """An expression of ops."""
        match expr:
            case Pipe():
                return replace(expr, stages=tuple(self.op(one) for one in expr.stages))
            case Sum():
                return replace(expr, terms=tuple(self.op(one) for one in expr.terms))
            case If():
                return replace(expr, value=self.op(expr.value), otherwise=self.op(expr.otherwise))
            case Binary(op="*"):
                return replace(expr, left=self.factor(expr.left), right=self.op(expr.right))
            case Call() if expr.name in MERGES:
                return replace(expr, args=tuple(self.candidate(arg) for arg in expr.args))
            case Name() | Call():
                name = expr.id if isinstance(expr, Name) else expr.name
                entry = None if name in self.hidden else OPS.get(name)
                return expr if entry is None or entry.variadic else _filled(expr, entry.parameters)
        return expr

    def factor(self, expr: Expr) -> Expr:
        """What stands before `*`: a gate, or an op with arguments."""
        is_op = isinstance(expr, Call) and expr.name not in self.hidden and expr.name in OPS
        return self.op(expr) if is_op else self.stream(expr)

    def candidate(self, arg: Arg) -> Arg:
        return arg if isinstance(arg.value, Each) else replace(arg, value=self.op(arg.value))


def _called(expr: Expr) -> str:
    """The registered name that an expression names or calls, "" for none."""
    return expr.id if isinstance(expr, Name) else expr.name if isinstance(expr, Call) else ""


def _filled(expr: Expr, parameters: tuple[Parameter, ...]) -> Expr:
    """A call of a registered name with the arguments that it leaves out."""
    assert isinstance(expr, (Name, Call))
    args = expr.args if isinstance(expr, Call) else ()
    given = _given(args, parameters)
    more = []
    for parameter in parameters:
        default = _default(parameter, given)
        if parameter.name not in given and default is not None:
            more.append(Arg(parameter.name, default))
    if not more:
        return expr
    return Call(expr.id if isinstance(expr, Name) else expr.name, (*args, *more), expr.span)


def _given(args: tuple[Arg, ...], parameters: tuple[Parameter, ...]) -> dict[str, Expr]:
    """The arguments by the name of their parameter, as far as they fit."""
    flags = {parameter.name for parameter in parameters if parameter.kind == "flag"}
    positional = iter(parameter.name for parameter in parameters if parameter.kind != "flag")
    found: dict[str, Expr] = {}
    for arg in args:
        if arg.name is not None:
            found[arg.name] = arg.value
        elif isinstance(arg.value, Name) and arg.value.id in flags:
            found[arg.value.id] = arg.value
        else:
            found[next(positional, "")] = arg.value
    return found


def _default(parameter: Parameter, given: dict[str, Expr]) -> Expr | None:
    """The default of a parameter as the language writes it; None where it has none that can be written."""
    value = parameter.default
    if parameter.name == "pad" and value is None:
        kernel, dilation = given.get("kernel"), given.get("dilation", Number(1))
        if isinstance(kernel, Number) and isinstance(dilation, Number):
            return Number(int(dilation.value * (kernel.value - 1) // 2))
        return None
    if isinstance(value, bool):
        return Name("yes" if value else "no")
    if isinstance(value, (int, float)):
        return Number(value)
    return Name(value) if isinstance(value, str) else None
