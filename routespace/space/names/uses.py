"""Every place of a space that reads a name, whether or not it is ever expanded: is the name known there?"""

from __future__ import annotations

from collections.abc import Iterable

from routespace.space.expr import (
    Arg,
    Binary,
    Call,
    Choice,
    Each,
    Expr,
    If,
    Index,
    Items,
    Name,
    Number,
    OpDecl,
    Pipe,
    Range,
    Sum,
    Unary,
)
from routespace.space.names.lookup import NONE, Local, Lookup
from routespace.space.names.table import COMBINES, FOLDS, at_name
from routespace.space.policies import REQUIREMENTS
from routespace.space.registry import MERGES, OPS


class Uses(Lookup):
    """Reads expressions in the contexts of the language: numbers, ops, streams and gates."""

    def number(self, expr: Expr, local: Local = NONE) -> None:
        """`expr` where a number, a condition or a list of them stands."""
        match expr:
            case Number():
                pass
            case Name():
                self.number_name(expr.id, expr.span, local)
            case Binary():
                self.number(expr.left, local)
                self.number(expr.right, local)
            case Index():
                self.number_name(expr.name, expr.span, local)
                self._each(self.number, expr.at, local)
            case Sum():
                self._each(self.number, expr.terms, local)
            case Unary():
                self.number(expr.operand, local)
            case If():
                self._each(self.number, (expr.condition, expr.value, expr.otherwise), local)
            case Items():
                self._each(self.number, expr.items, local)
            case Range():
                self.number(expr.low, local)
                self.number(expr.high, local)
            case Call() if expr.name in FOLDS or not self.is_op(expr.name):
                if expr.name not in FOLDS:
                    message, help = f"unknown function `{expr.name}`", f"numbers have {', '.join(FOLDS)}"
                    self.unknown("RS201", message, expr.name, expr.span, (), FOLDS, help=help)
                self.bare(expr.name, expr.args)
                for arg in expr.args:
                    self.number(arg.value, local)
            case Each():
                self.number(expr.domain, local)
                self.number(expr.value, local | {expr.var})
            case _:
                self.op(expr, local)

    def op(self, expr: Expr, local: Local = NONE) -> None:
        """`expr` where an op stands."""
        match expr:
            case Name():
                self.op_name(expr.id, expr.span, local)
            case Call():
                self.call(expr, local)
            case Pipe():
                self._each(self.op, expr.stages, local)
            case Sum():
                self._each(self.op, expr.terms, local)
            case If():
                self.number(expr.condition, local)
                self.op(expr.value, local)
                self.op(expr.otherwise, local)
            case Items():
                self._each(self.op, expr.items, local)
            case Choice():
                self.choice(expr, local, streams=False)
            case Binary(op="*"):
                self.gate(expr.left, local)
                self.op(expr.right, local)
            case _:
                self.number(expr, local)

    def stream(self, expr: Expr, local: Local = NONE) -> None:
        """`expr` where a stream stands."""
        match expr:
            case Name():
                self.stream_name(expr, local)
            case Index():
                self.stream_index(expr, local)
                self._each(self.number, expr.at, local)
            case Pipe():
                self.stream(expr.stages[0], local)
                self._each(self.op, expr.stages[1:], local)
            case Sum():
                self._each(self.stream, expr.terms, local)
            case If():
                self.number(expr.condition, local)
                self.stream(expr.value, local)
                self.stream(expr.otherwise, local)
            case Call() if expr.name in MERGES:
                self.bare(expr.name, expr.args)
                for arg in expr.args:
                    self._stream_arg(arg.value, local)
            case Call() if (entry := OPS.get(expr.name)) is not None and entry.variadic:
                own = next((at for at, arg in enumerate(expr.args) if not self._is_source(arg, local)), len(expr.args))
                self.bare(expr.name, expr.args[:own])
                for arg in expr.args[:own]:
                    self._stream_arg(arg.value, local)
                self.call(Call(expr.name, expr.args[own:], expr.span), local)
            case Call() if expr.name in self.instances or self.table.is_(expr.name, "a gate"):
                self.gate(expr, local)
            case Choice():
                self.choice(expr, local)
            case Binary(op="*"):
                self.gate(expr.left, local)
                self.stream(expr.right, local)
            case _:
                self.anything(expr, local)

    def requirement(self, expr: Expr, local: Local = NONE) -> None:
        """`expr` where a condition on nets stands: streams count as conditions in it."""
        match expr:
            case Name() if expr.id in REQUIREMENTS or (expr.id not in local and self.table.is_(expr.id, "a stream")):
                if expr.id not in REQUIREMENTS:
                    self.stream(expr, local)
            case Index() if self.table.is_(expr.name, "a stream"):
                self.stream(expr, local)
            case Binary():
                self._each(self.requirement, (expr.left, expr.right), local)
            case Unary():
                self.requirement(expr.operand, local)
            case Sum():
                self._each(self.requirement, expr.terms, local)
            case Items():
                self._each(self.requirement, expr.items, local)
            case Each():
                self.number(expr.domain, local)
                self.requirement(expr.value, local | {expr.var})
            case Call(name="symmetric"):
                self.bare(expr.name, expr.args)
                for arg in expr.args:
                    if isinstance(arg.value, Name) and arg.value.id not in self.table.routes:
                        message = f"no node has a route `{arg.value.id}`"
                        self.unknown("RS702", message, arg.value.id, arg.value.span, (), self.table.routes)
            case Call() if expr.name in FOLDS or expr.name == "open":
                self.bare(expr.name, expr.args)
                for arg in expr.args:
                    self.requirement(arg.value, local)
            case _:
                self.number(expr, local)

    def anything(self, expr: Expr, local: Local = NONE) -> None:
        """`expr` where the value of a parameter stands: a number, an op, a word for yes or no, or a list."""
        match expr:
            case Name():
                self.value_name(expr, local)
            case Items():
                self._each(self.anything, expr.items, local)
            case Sum():
                self._each(self.anything, expr.terms, local)
            case If():
                self.number(expr.condition, local)
                self.anything(expr.value, local)
                self.anything(expr.otherwise, local)
            case Call() if expr.name not in FOLDS:
                self.call(expr, local)
            case _:
                self.number(expr, local)

    def choice(self, choice: Choice, local: Local, streams: bool = True) -> None:
        """A choice: its gate, its branches and what they deliver when it is closed."""
        if choice.combine not in (*COMBINES, "send"):
            message = f"unknown choice `{choice.combine}`"
            self.unknown("RS208", message, choice.combine, choice.span, (), (*COMBINES, "send"))
        if choice.source is not None:
            self.stream(choice.source, local)
        self.gate(choice.gate, local)
        if choice.combine != "send":
            self.table.once([(branch.name, branch.span) for branch in choice.branches], "branch `{}`")
        for branch in choice.branches:
            if choice.combine != "send" and self.table.is_(branch.name, "an axis"):
                self.use(branch.name)
            (self.stream if streams and choice.source is None else self.op)(branch.value, local)
            if branch.where is not None:
                self.number(branch.where, local)
        self.table.once([(rule.branch or "closed", rule.span) for rule in choice.closed], "rule for a closed `{}`")
        names = [branch.name for branch in choice.branches]
        for rule in choice.closed:
            if rule.branch is not None and rule.branch not in names:
                message = f"`closed {rule.branch}` names no branch of this choice"
                self.unknown("RS207", message, rule.branch, rule.span, (), names)
            if not (isinstance(rule.value, Name) and rule.value.id == "nothing"):
                self.stream(rule.value, local)
        if choice.below is not None:
            self.number(choice.below, local)

    def gate(self, expr: Expr, local: Local) -> None:
        """`expr` where a gate stands: an instance by its name, or a template with the stream it reads."""
        if isinstance(expr, Name):
            self.gate_name(expr.id, expr.span, local)
        elif isinstance(expr, Call) and self.is_op(expr.name):
            self.call(expr, local)
        elif isinstance(expr, Call):
            self.gate_name(expr.name, expr.span, local)
            for place, arg in enumerate(expr.args):
                (self.stream if place == 0 and arg.name is None else self.anything)(arg.value, local)
        else:
            self.anything(expr, local)

    def call(self, call: Call, local: Local) -> None:
        """A called op with its arguments, each read as its signature wants it."""
        self.op_name(call.name, call.span, local)
        args, words = call.args, set[int]()
        named = self.table.named.get(call.name)
        if call.name in local:
            pass
        elif named is not None and isinstance(named.declaration, OpDecl):
            names = [one.name for one in named.declaration.params]
            place = at_name(self.findings, named.span, named.name)
            args = self.arguments(call, names, [(place, "declared here")])
        elif named is None and (entry := OPS.get(call.name)) is not None:
            args = self.arguments(call, [one.name for one in entry.parameters])
            words = _words(args, {one.name: one.kind for one in entry.parameters})
        elif not self.is_op(call.name):
            words = {number for number, arg in enumerate(args) if isinstance(arg.value, Name)}
        if call.name in MERGES:
            self.bare(call.name, args)
        read = self.op if call.name in MERGES else self.anything
        for number, arg in enumerate(args):
            if number not in words:
                read(arg.value, local)

    def _stream_arg(self, expr: Expr, local: Local) -> None:
        if isinstance(expr, Each):
            self.number(expr.domain, local)
            self.stream(expr.value, local | {expr.var})
        else:
            self.stream(expr, local)

    def _is_source(self, arg: Arg, local: Local) -> bool:
        return arg.name is None and self._is_stream(arg.value, local)

    def _is_stream(self, expr: Expr, local: Local) -> bool:
        """Whether an argument of an op of several streams is one of them rather than an argument of its own."""
        match expr:
            case Index() | Name():
                name = expr.name if isinstance(expr, Index) else expr.id
                one = self.table.named.get(name)
                if name in self.here or (one is not None and one.kind in ("a stream", "an input")):
                    return True
                return isinstance(expr, Index) and one is None and name not in local
            case Each():
                return self._is_stream(expr.value, local)
            case Pipe():
                return self._is_stream(expr.stages[0], local)
            case Sum():
                return any(self._is_stream(term, local) for term in expr.terms)
            case If():
                return self._is_stream(expr.value, local) or self._is_stream(expr.otherwise, local)
        return isinstance(expr, (Call, Choice))

    @staticmethod
    def _each(read: object, exprs: Iterable[Expr], local: Local) -> None:
        assert callable(read)
        for expr in exprs:
            read(expr, local)


def _words(args: tuple[Arg, ...], kinds: dict[str, str]) -> set[int]:
    """Places of the arguments that are words of the op rather than names of the space."""
    positional = [name for name, kind in kinds.items() if kind != "flag"]
    words: set[int] = set()
    at = 0
    for place, arg in enumerate(args):
        if arg.name is None and isinstance(arg.value, Name) and kinds.get(arg.value.id) == "flag":
            words.add(place)
            continue
        name = arg.name
        if name is None:
            name = positional[at] if at < len(positional) else ""
            at += 1
        if kinds.get(name) == "word":
            words.add(place)
    return words
