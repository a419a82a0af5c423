"""Expressions as text on one line, with brackets where the grammar needs them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from routespace.space.expr import (
    Arg,
    Binary,
    Branch,
    Call,
    Choice,
    ClosedRule,
    Each,
    Edge,
    Everything,
    Expr,
    If,
    Index,
    Items,
    Name,
    NetPart,
    Number,
    Param,
    Pipe,
    Range,
    Row,
    Step,
    Sum,
    Unary,
    Union,
    Walk,
    Without,
)

# How tightly an expression holds together, in the order of the grammar.
VALUE: Final = -1  # all there is: of a statement, a branch or a pair of parentheses
LOOSEST: Final = 0
PIPE: Final = 1
STAGE: Final = 2
SUM: Final = 6
PRODUCT: Final = 7
NEGATIVE: Final = 8
ATOM: Final = 10
SIMPLE: Final = 11  # an atom that is no choice

_LEVELS = {"or": 2, "and": 3, "==": 5, "!=": 5, "<": 5, "<=": 5, ">": 5, ">=": 5, "-": 6, "*": 7, "/": 7, "^": 9}


def level_of(expr: Expr) -> int:
    """How tightly `expr` holds together; where more is asked for, it stands in brackets."""
    match expr:
        case If() | Each() | Range():
            return LOOSEST
        case Pipe():
            return PIPE
        case Sum():
            return SUM
        case Binary(op=op):
            return _LEVELS[op]
        case Unary(op=op):
            return 4 if op == "not" else NEGATIVE
        case Number(value=value):
            return SIMPLE if value >= 0 else NEGATIVE
        case Choice(closed=closed):
            return VALUE if closed else ATOM
        case _:
            return SIMPLE


def operand_levels(expr: Binary) -> tuple[int, int]:
    """The levels asked of the left and the right operand."""
    level = _LEVELS[expr.op]
    if expr.op == "^":
        return ATOM, NEGATIVE
    if level == 5:
        return SUM, SUM
    return level, level + 1


def stage_level(pipe: Pipe, at: int, level: int) -> int:
    """The level asked of a stage of `pipe`, which stands where `level` is asked for."""
    return VALUE if level == VALUE and at == len(pipe.stages) - 1 and level_of(pipe.stages[at]) == VALUE else STAGE


def term_level(index: int, term: Expr) -> int:
    """The level asked of term `index` of a sum: a sum at its beginning would become part of it."""
    return SUM if index == 0 and not isinstance(term, Sum) else PRODUCT


class OneLine:
    """Writes expressions; numbers are spelled as in `text`, the text they were read from, if it is given."""

    def __init__(self, text: str | None = None) -> None:
        self.text = text

    def expr(self, expr: Expr, level: int = LOOSEST) -> str:
        """`expr` where the grammar asks for `level`."""
        return self._bare(expr, level) if level_of(expr) >= level else f"({self._bare(expr, VALUE)})"

    def _bare(self, expr: Expr, level: int) -> str:
        match expr:
            case Name(id=name):
                return name
            case Number():
                return self.number(expr)
            case Call():
                return f"{expr.name}({', '.join(self.arg(one) for one in expr.args)})"
            case Index():
                return f"{expr.name}[{self.list(expr.at)}]" if expr.at else expr.name
            case Items():
                return f"[{self.list(expr.items)}]"
            case Pipe():
                stages = enumerate(expr.stages)
                return " | ".join(self.expr(stage, stage_level(expr, at, level)) for at, stage in stages)
            case Sum():
                return " + ".join(self.expr(term, term_level(at, term)) for at, term in enumerate(expr.terms))
            case Binary():
                left, right = operand_levels(expr)
                return f"{self.expr(expr.left, left)}{self.sign(expr)}{self.expr(expr.right, right)}"
            case Unary(op="not"):
                return f"not {self.expr(expr.operand, 4)}"
            case Unary():
                return f"-{self.expr(expr.operand, NEGATIVE)}"
            case If():
                value, condition = self.expr(expr.value, PIPE), self.expr(expr.condition, PIPE)
                return f"{value} if {condition} else {self.expr(expr.otherwise, min(level, LOOSEST))}"
            case Range():
                return f"{self.expr(expr.low)}..{self.expr(expr.high)}"
            case Each():
                return f"{self.expr(expr.value)} for {expr.var} in {self.expr(expr.domain)}"
            case Choice():
                inside = "; ".join(self.branch(one) for one in expr.branches)
                return f"{self.choice_head(expr)} {{ {inside} }}{self.closed(expr)}"

    def number(self, number: Number) -> str:
        """The number as it is written in the text, or as Python writes it."""
        if self.text is not None and number.span is not None:
            return self.text[number.span.start : number.span.end]
        return repr(number.value)

    def list(self, items: Iterable[Expr]) -> str:
        return ", ".join(self.expr(one) for one in items)

    def sign(self, expr: Binary) -> str:
        """The operator with the blanks around it: none in `2^scale` and in fractions like `1/4`."""
        is_fraction = expr.op == "/" and isinstance(expr.left, Number) and isinstance(expr.right, Number)
        return expr.op if expr.op == "^" or is_fraction else f" {expr.op} "

    def arg(self, arg: Arg) -> str:
        return f"{self.arg_head(arg)}{self.expr(arg.value)}{mode_tail(arg.mode)}"

    def arg_head(self, arg: Arg) -> str:
        return f"{arg.name} = " if arg.name else ""

    def part(self, part: NetPart) -> str:
        """A part of a net."""
        match part:
            case Walk():
                return f"walk {self.expr(part.start)}: {', '.join(map(self.step, part.steps))}"
            case Row():
                return f"row {self.list(part.routes)}{self.weight(part)}"
            case Edge():
                return f"edge {' -> '.join(map(self.expr, part.nodes))}"
            case Everything():
                return "everything"
            case Union():
                return f"with {', '.join(part.nets)}"
            case Without(part=Union(nets=nets)):
                return f"without {', '.join(nets)}"
            case Without():
                return f"without {self.part(part.part)}"

    def step(self, step: Step) -> str:
        return step.route if step.times is None else f"{step.route}^{self.expr(step.times, SIMPLE)}"

    def weight(self, row: Row) -> str:
        return "" if row.weight is None else f" = {self.expr(row.weight)}"

    def param(self, param: Param) -> str:
        return param.name if param.default is None else f"{param.name} = {self.expr(param.default)}"

    def branch(self, branch: Branch) -> str:
        return f"{branch.name}: {self.expr(branch.value, VALUE)}{self.branch_tail(branch)}"

    def branch_tail(self, branch: Branch) -> str:
        return "" if branch.where is None else f" where {self.expr(branch.where)}"

    def choice_head(self, choice: Choice) -> str:
        """What stands before the `{`."""
        if choice.source is None:
            return f"{choice.combine} by {self.expr(choice.gate)}"
        source = self.expr(choice.source)
        if has_choice(choice.source):
            source = f"({source})"  # or its `by` would be taken for the one of `send`
        return f"{choice.combine} {source} by {self.expr(choice.gate)}"

    def closed(self, choice: Choice) -> str:
        """What stands behind the `}`."""
        if not choice.closed:
            return ""
        rules = ", ".join(self._rule(one) for one in choice.closed)
        return f" closed {rules}" + ("" if choice.below is None else f" below {self.expr(choice.below)}")

    def _rule(self, rule: ClosedRule) -> str:
        if rule.branch is None and rule.value == Name("nothing"):
            return "nothing"
        return f"{rule.branch + ' ' if rule.branch else ''}= {self.expr(rule.value)}"


def mode_tail(mode: str | None) -> str:
    return f" in {mode}" if mode else ""


def has_choice(expr: Expr) -> bool:
    """Whether a choice stands anywhere in `expr`."""
    match expr:
        case Choice():
            return True
        case Call():
            return any(has_choice(one.value) for one in expr.args)
        case _:
            return any(has_choice(one) for one in children(expr))


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside `expr`, in the order of the text, without those of its braces."""
    match expr:
        case Pipe(stages=parts) | Sum(terms=parts) | Items(items=parts) | Index(at=parts):
            return parts
        case Call():
            return tuple(one.value for one in expr.args)
        case Binary():
            return expr.left, expr.right
        case Unary():
            return (expr.operand,)
        case If():
            return expr.value, expr.condition, expr.otherwise
        case Range():
            return expr.low, expr.high
        case Each():
            return expr.value, expr.domain
        case _:
            return ()
