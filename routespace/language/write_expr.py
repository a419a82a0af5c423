"""Expressions over as many lines as they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from routespace.language.writer import INDENT, Spanned, T, Writer, end_of, start_of
from routespace.space.expr import (
    Arg,
    Binary,
    Branch,
    Call,
    Choice,
    Each,
    Expr,
    If,
    Index,
    Items,
    Pipe,
    Range,
    Sum,
    Unary,
)
from routespace.space.one_line import (
    LOOSEST,
    PIPE,
    VALUE,
    children,
    level_of,
    mode_tail,
    operand_levels,
    stage_level,
    term_level,
)


class ExprWriter(Writer):
    """Breaks lines before `|`, `+` and `else` and inside brackets: where the author did, at a comment, and where a
    line gets too long."""

    def expr(self, expr: Expr, level: int = LOOSEST, tail: int = 0) -> None:
        """Write `expr` where the grammar asks for `level` and `tail` characters follow on the last line."""
        flat = self.flat.expr(expr, level)
        if self.fits(flat, tail) and not self.must_break(expr):
            self.put(flat)
        elif level_of(expr) < level:
            self.put("(")
            self._broken(expr, VALUE, 1 + tail, in_brackets=True)
            self.put(")")
        else:
            self._broken(expr, level, tail)

    def must_break(self, expr: Expr) -> bool:
        """Whether `expr` cannot be written on one line, however short it is."""
        start, end = start_of(expr), end_of(expr)
        if not self.is_broken(start, end):
            return False
        match expr:
            case Choice():
                return True
            case Call() | Items() | Index():
                if self.has_comment(start, end):
                    return True
            case Pipe(stages=parts) | Sum(terms=parts):
                if any(self._is_split(a, b) for a, b in pairwise(parts)):
                    return True
            case If():
                if self._is_split(expr.condition, expr.otherwise):
                    return True
        return any(self.must_break(one) for one in children(expr))

    def _is_split(self, left: Spanned, right: Spanned) -> bool:
        """Whether a line ends between two parts of an expression."""
        return self.is_broken(end_of(left), start_of(right))

    def _broken(self, expr: Expr, level: int, tail: int, in_brackets: bool = False) -> None:
        match expr:
            case Pipe():
                parts = [(stage, stage_level(expr, at, level)) for at, stage in enumerate(expr.stages)]
                self._chain("|", parts, tail, in_brackets)
            case Sum():
                parts = [(term, term_level(at, term)) for at, term in enumerate(expr.terms)]
                self._chain("+", parts, tail, in_brackets)
            case If():
                self._conditional(expr, min(level, LOOSEST), tail)
            case Call():
                is_each = len(expr.args) == 1 and isinstance(expr.args[0].value, Each)
                self.bracketed(f"{expr.name}(", expr.args, self._arg, ")", end_of(expr), comma=not is_each)
            case Items():
                self.bracketed("[", expr.items, self._item, "]", end_of(expr))
            case Index():
                self.bracketed(f"{expr.name}[", expr.at, self._item, "]", end_of(expr), comma=False)
            case Binary():
                left, right = operand_levels(expr)
                self.expr(expr.left, left)
                self.put(self.flat.sign(expr))
                self.expr(expr.right, right, tail)
            case Unary():
                self.put("not " if expr.op == "not" else "-")
                self.expr(expr.operand, level_of(expr), tail)
            case Range():
                self.expr(expr.low)
                self.put("..")
                self.expr(expr.high, tail=tail)
            case Each():
                self.expr(expr.value)
                self.put(f" for {expr.var} in ")
                self.expr(expr.domain, tail=tail)
            case Choice():
                self.choice(expr)
            case _:
                self.put(self.flat.expr(expr))

    def _chain(self, sign: str, parts: Sequence[tuple[Expr, int]], tail: int, in_brackets: bool) -> None:
        """`a | b | c`, the signs at the beginning of lines two columns before the first part."""
        column = self.column
        margin = column if in_brackets or column < 2 else column - 2
        for at, (part, level) in enumerate(parts):
            rest = tail if at == len(parts) - 1 else 0
            if at:
                before = parts[at - 1][0]
                is_long = not self.must_break(part) and not self.fits(f" {sign} {self.flat.expr(part, level)}", rest)
                has_comment = self.end_line(end_of(before), start_of(part), margin)
                if has_comment or is_long or self._is_split(before, part):
                    self.begin_line(margin)
                    self.put(f"{sign} ")
                else:
                    self.put(f" {sign} ")
            self.expr(part, level, rest)

    def _conditional(self, expr: If, level: int, tail: int) -> None:
        column = self.column
        while True:
            self.expr(expr.value, PIPE)
            self.put(" if ")
            self.expr(expr.condition, PIPE)
            rest = expr.otherwise
            is_long = not self.must_break(rest) and not self.fits(f" else {self.flat.expr(rest, level)}", tail)
            has_comment = self.end_line(end_of(expr.condition), start_of(rest), column)
            if has_comment or is_long or self._is_split(expr.condition, rest):
                self.begin_line(column)
                self.put("else ")
            else:
                self.put(" else ")
            if not isinstance(rest, If):
                break
            expr = rest
        self.expr(rest, level, tail)

    def _arg(self, arg: Arg, tail: int) -> None:
        mode = mode_tail(arg.mode)
        self.put(self.flat.arg_head(arg))
        self.expr(arg.value, tail=len(mode) + tail)
        self.put(mode)

    def _item(self, item: Expr, tail: int) -> None:
        self.expr(item, tail=tail)

    def bracketed(
        self, head: str, items: Sequence[T], write: Callable[[T, int], None], foot: str, end: int, comma: bool = True
    ) -> None:
        """`head`, each item on a line of its own, and `foot`; `comma` where one may stand behind the last item.

        The comments up to offset `end` are inside.
        """
        indent = self.indent
        self.put(head)
        before = -1
        for at, item in enumerate(items):
            self.end_line(before, start_of(item), indent + INDENT)
            self.begin_line(indent + INDENT)
            has_comma = comma or at < len(items) - 1
            write(item, has_comma)
            self.put("," * has_comma)
            before = end_of(item)
        self.end_line(before, end, indent + INDENT)
        self.begin_line(indent)
        self.put(foot)

    def choice(self, choice: Choice) -> None:
        """A choice or a `send`: a branch on each line, their expressions below each other."""
        width = max((len(one.name) for one in choice.branches), default=0) + 2

        def write(branch: Branch) -> None:
            tail = self.flat.branch_tail(branch)
            self.put(f"{branch.name}:".ljust(width))
            self.expr(branch.value, VALUE, len(tail))
            self.put(tail)

        self.put(self.flat.choice_head(choice))
        self.block(choice.branches, write, start_of(choice.closed[0]) if choice.closed else end_of(choice))
        self.put(self.flat.closed(choice))
