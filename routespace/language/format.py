"""The one layout of `.route` files."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from routespace.diagnostics.source import LINE_END
from routespace.language.parser import parse
from routespace.language.write_expr import ExprWriter
from routespace.language.writer import INDENT, WIDTH, T, end_of, start_of
from routespace.space.expr import (
    Attribute,
    AxisDecl,
    Branch,
    Choice,
    Clause,
    Edge,
    Equation,
    Everything,
    Expr,
    File,
    GateDecl,
    ImportDecl,
    InputDecl,
    LetDecl,
    Name,
    NetDecl,
    NodeDecl,
    OpDecl,
    OutputDecl,
    Param,
    Range,
    Row,
    ShareDecl,
    SpaceDecl,
    Union,
    Walk,
    Without,
)
from routespace.space.one_line import LOOSEST, VALUE, OneLine, mode_tail

_MOST_ROUNDS = 4
_BYTE_ORDER_MARK = "\ufeff"
_CLOSING = re.compile(r"(?:[\s,]|#[^\r\n]*[\r\n])*\)")


def format_text(text: str, path: str = "<text>") -> str:
    """`text` in the one layout: it reads as the same declarations, and formatting it again changes nothing.

    Comments stay at their statement, branch, stage or argument. Single blank lines, the spelling of numbers, and line
    breaks before `|`, `+` and `else` are kept, and so is how lines end. Raises `RouteError` where it cannot be read.

    >>> print(format_text("op a=conv( 3 )|relu # first"), end="")
    op a = conv(3) | relu  # first
    """
    formatted = text
    for _ in range(_MOST_ROUNDS):
        file = parse(formatted, path)
        before, formatted = formatted, _write(file, _Declarations(file.comments, formatted))
        if formatted == before:
            break
    return with_ends_of(text, formatted)


def with_ends_of(text: str, formatted: str) -> str:
    """`formatted` with lines that end as most of those of `text` do, and its byte order mark; `text` itself where
    nothing else differs.

    >>> with_ends_of("op a=relu\\r\\n", "op a = relu\\n")
    'op a = relu\\r\\n'
    """
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    if LINE_END.sub("\n", text[len(mark) :]) == formatted:
        return text
    ends = Counter(LINE_END.findall(text))
    end = max(ends, key=lambda one: ends[one], default="\n")
    return mark + formatted.replace("\n", end)


def format_file(file: File) -> str:
    """The text of `file`, however it was made; comments come out where spans tell their place."""
    return _write(file, _Declarations(file.comments))


def format_expr(expr: Expr) -> str:
    """`expr` on one line.

    >>> from routespace.space.expr import Binary, Name, Number, Sum
    >>> format_expr(Binary("*", Number(2), Sum((Name("a"), Name("b")))))
    '2 * (a + b)'
    """
    return OneLine().expr(expr)


def _write(file: File, writer: _Declarations) -> str:
    writer.file(file.items)
    return "\n".join([*(line.rstrip() for line in writer.lines), ""]) if writer.lines else ""


def _is_apart_on_top(before: Any, after: Any) -> bool:
    """Where a blank line stands between declarations that were not read from a text."""
    return not (before.kind == after.kind == "op")


def _is_apart(before: Any, after: Any) -> bool:
    """Where a blank line stands in a space that was not read from a text."""
    in_node = before.kind in ("equation", "choice")
    return not in_node and (before.kind != after.kind or before.kind in ("gate", "node"))


class _Declarations(ExprWriter):
    def file(self, items: Sequence[Any]) -> None:
        self.body(items, self._aligned(items, 0), 0, sys.maxsize, _is_apart_on_top)

    def declaration(self, item: Any, head_width: int = 0) -> None:
        """Write one statement; with `head_width`, its value stands that far from its beginning, on the same line."""
        match item:
            case SpaceDecl():
                self._params(f"space {item.name}", item.params)
                self._block(item.body, end_of(item))
            case GateDecl():
                flat = f"gate {item.name}{self._flat_params(item.params)} per {item.granularity}"
                if not self._put_short(item, flat, item.clauses):
                    self._params(f"gate {item.name}", item.params)
                    self.put(f" per {item.granularity}")
                    self._block(item.clauses, end_of(item))
            case NodeDecl():
                head = self._node_head(item)
                if not self._put_short(item, head, item.body):
                    self.put(head)
                    self._block(item.body, end_of(item))
            case NetDecl():
                head = f"net {item.name} in {item.space}"
                if not self._put_short(item, head, item.parts):
                    self.put(head)
                    self._block(item.parts, end_of(item))
            case Choice():
                if not self._put_short(item, self.flat.choice_head(item), item.branches, self.flat.closed(item)):
                    self.choice(item)
            case ImportDecl():
                self.put(f'from "{item.path}" import ')
                self._names(item.names)
            case AxisDecl():
                self._axis(item)
            case ShareDecl():
                self.put(f"share across({', '.join(item.axes)})")
                self.put(f" except {', '.join(item.exceptions)}" if item.exceptions else "")
            case Walk():
                self.put(f"walk {self.flat.expr(item.start)}: ")
                self._list(item.steps, self.flat.step)
            case Row():
                self.put("row ")
                self._list(item.routes, self.flat.expr)
                self.put(self.flat.weight(item))
            case Edge() | Everything():
                self.put(self.flat.part(item))
            case Union():
                self.put("with ")
                self._names(item.nets)
            case Without(part=Union(nets=nets)):
                self.put("without ")
                self._names(nets)
            case Without():
                self.put("without ")
                self.declaration(item.part)
            case _:
                head, sign, value, tail = self._parts(item)
                self.put(f"{head.ljust(head_width)}{sign}")
                if head_width:
                    self.put(self.flat.expr(value, VALUE))
                else:
                    self.expr(value, LOOSEST if isinstance(item, InputDecl) else VALUE, len(tail))
                self.put(tail)

    def _parts(self, item: Any) -> tuple[str, str, Expr, str]:
        """A statement of a name and a value: what stands before its sign, the sign, the value, what stands behind."""
        match item:
            case Clause():
                return item.name, " ", item.value, mode_tail(item.mode)
            case Equation():
                return item.name, " = ", item.value, ""
            case InputDecl():
                return f"input {item.name}{_indices(item.index)}", ": ", item.channels, ""
            case OutputDecl():
                return f"output {item.name}{_indices(item.index)}", " = ", item.value, ""
            case LetDecl():
                return f"let {item.name}{_indices(item.index)}", " = ", item.value, ""
            case OpDecl():
                return f"op {item.name}{self._flat_params(item.params)}", " = ", item.value, ""
        raise TypeError(f"not a statement: {item!r}")

    # ---- blocks ------------------------------------------------------------------------------------------------------

    def _put_short(self, item: Any, head: str, items: Sequence[Any], tail: str = "") -> bool:
        """Write a block on the one line that its author wrote it on, if it was one and fits; whether that was done."""
        if self.text is None or item.span is None or self.is_broken(item.span.start, item.span.end):
            return False
        flat = f"{head} {{ {'; '.join(self._flat(one) for one in items)} }}{tail}"
        if not items or not self.fits(flat):
            return False
        self.put(flat)
        return True

    def _flat(self, item: Any) -> str:
        """A statement of a short block, on one line."""
        match item:
            case Choice():
                return self.flat.expr(item, VALUE)
            case Branch():
                return self.flat.branch(item)
            case Walk() | Row() | Edge() | Everything() | Union() | Without():
                return self.flat.part(item)
        head, sign, value, tail = self._parts(item)
        return f"{head}{sign}{self.flat.expr(value, VALUE)}{tail}"

    def _block(self, items: Sequence[Any], end: int) -> None:
        self.block(items, self._aligned(items, self.indent + INDENT), end, _is_apart)

    def _aligned(self, items: Sequence[Any], indent: int) -> Callable[[Any], None]:
        """What writes the items so that the values of neighbouring short ones of one kind stand below each other."""
        id_to_width = self._head_widths(items, indent)
        return lambda item: self.declaration(item, id_to_width.get(id(item), 0))

    def _head_widths(self, items: Sequence[Any], indent: int) -> dict[int, int]:
        runs: list[list[Any]] = [[]]
        for item in items:
            if item.kind not in ("clause", "op", "let") or not self._is_single(item, indent):
                runs.append([])
                continue
            if not (runs[-1] and self._follows(runs[-1][-1], item)):
                runs.append([])
            runs[-1].append(item)
        widths = [(run, max((len(self._parts(one)[0]) for one in run), default=0)) for run in runs]
        return {id(one): width for run, width in widths for one in run}

    def _is_single(self, item: Any, indent: int) -> bool:
        return indent + len(self._flat(item)) <= WIDTH and not self.must_break(self._parts(item)[2])

    def _follows(self, before: Any, after: Any) -> bool:
        """Whether two statements are of one kind with neither a blank line nor a comment line between them."""
        start = start_of(after)
        if before.kind != after.kind or self.is_after_blank(start):
            return False
        return not self.has_own_line(end_of(before), start)

    # ---- parts -------------------------------------------------------------------------------------------------------

    def _params(self, head: str, params: Sequence[Param]) -> None:
        flat = head + self._flat_params(params)
        end = self._closing(end_of(params[-1])) if params else -1
        if not params or (self.fits(flat, 2) and not self.has_comment(start_of(params[0]), end)):
            self.put(flat)
        else:
            self.bracketed(f"{head}(", params, self._param, ")", end)

    def _closing(self, offset: int) -> int:
        """Where the list ends whose last item ends at `offset`."""
        found = _CLOSING.match(self.text, offset) if self.text is not None else None
        return found.end() if found else offset

    def _flat_params(self, params: Sequence[Param]) -> str:
        return f"({', '.join(map(self.flat.param, params))})" if params else ""

    def _param(self, param: Param, tail: int) -> None:
        if param.default is None:
            self.put(param.name)
        else:
            self.put(f"{param.name} = ")
            self.expr(param.default, tail=tail)

    def _node_head(self, node: NodeDecl) -> str:
        name = f" {node.name}" if node.name else ""
        axes = f" at {', '.join(node.axes)}" if node.axes else ""
        return f"node{name}{axes}" + (f" where {self.flat.expr(node.where)}" if node.where is not None else "")

    def _axis(self, axis: AxisDecl) -> None:
        self.put(f"axis {axis.name} = ")
        if isinstance(axis.values, Range):
            self.expr(axis.values)
        else:
            self._names(axis.values)
        if axis.attributes:
            self.put(" with ")
            self._list(axis.attributes, self._attribute)

    def _attribute(self, attribute: Attribute) -> str:
        return f"{attribute.name} = {self.flat.expr(attribute.value)}"

    def _list(self, items: Sequence[T], flat: Callable[[T], str]) -> None:
        """Items between commas, in as many lines as it takes, all beginning in one column."""
        column = self.column
        for at, item in enumerate(items):
            text = flat(item)
            if at:
                self.put(",")
                has_comment = self.end_line(end_of(items[at - 1]), start_of(item), column)
                if has_comment or not self.fits(f" {text}", 1):
                    self.begin_line(column)
                else:
                    self.put(" ")
            self.put(text)

    def _names(self, names: Sequence[str]) -> None:
        self._list([Name(one) for one in names], self.flat.expr)


def _indices(names: Sequence[str]) -> str:
    return f"[{', '.join(names)}]" if names else ""
