"""Ops of a space made concrete: every argument a number, every shape known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from routespace.diagnostics import Span, rename
from routespace.graph.arguments import fill, given_for
from routespace.graph.binding import Binding, Term
from routespace.graph.ir import Leaf, Op, Parallel, Sequential
from routespace.graph.shapes import IMAGE_STRIDE, check_merge, check_size, merged, size_at
from routespace.space.expr import (
    Arg,
    Binary,
    Call,
    Choice,
    Equation,
    Expr,
    GateDecl,
    If,
    Index,
    Name,
    Number,
    OpDecl,
    Pipe,
    Sum,
)
from routespace.space.fault import Fault, Faults, head_of
from routespace.space.meanings import AXES, around
from routespace.space.numbers import Env, Numbers
from routespace.space.registry import MERGES, OPS, BadArgument, OpEntry
from routespace.space.scope import Scope
from routespace.space.shape import Cost, Shape, Stride

DEEPEST = 100
MOST_STAGES = 5_000
"""Ops of one pipe, and branches of one choice."""
MOST_PARTS = 50_000


@dataclass
class Resolver:
    """Turns op expressions into `Op`s for a given input shape.

    `sizes` maps strides to the (height, width) of streams known so far, the targets of `resize(to = …)`.
    """

    scope: Scope
    numbers: Numbers
    sizes: dict[Stride, tuple[int, int]]

    def __post_init__(self) -> None:
        self.binding = Binding(self.scope, self.numbers)
        self._known: dict[tuple[Any, ...], tuple[Op, Shape]] = {}
        self._failed: dict[tuple[Any, ...], Fault] = {}
        self._alike: dict[object, tuple[int, tuple[str, ...]]] = {}
        self._seen: dict[int, tuple[object, int, tuple[str, ...]]] = {}
        self._opening: list[str] = []
        self._depth = 0
        self._parts = 0

    def resolve(self, expr: Expr, env: Env, shape: Shape) -> tuple[Op, Shape]:
        """The op that `expr` is for an input of `shape`, and the shape it gives.

        Expressions that read alike, wherever they stand, are resolved once.
        """
        number, reads = self.meaning(expr)
        key: tuple[Any, ...]
        key = (number, shape, tuple([env[name] for name in reads if name in env]))
        if AXES in env:
            indices = around(env)
            key = (*key, tuple([indices[name] for name in reads if name in indices]))
        known = self._known.get(key)
        if known is None:
            if key in self._failed:
                raise self._failed[key].again()
            try:
                known = self._op(expr, {"channels": shape.channels, **env}, shape)
            except Fault as fault:
                self._failed[key] = fault.again()
                raise
            self._known[key] = known
        return known

    def meaning(self, expr: Expr | GateDecl | Equation | Choice) -> tuple[int, tuple[str, ...]]:
        """A number that equal expressions or statements share, and the sorted names they depend on, by way of ops."""
        seen = self._seen.get(id(expr))
        if seen is None:
            alike = self._alike.get(expr)
            if alike is None:
                alike = (len(self._alike), self.binding.reads(expr))
                self._alike[expr] = alike
            seen = (expr, *alike)
            self._seen[id(expr)] = seen
        return seen[1], seen[2]

    def _op(self, expr: Expr, env: Env, shape: Shape) -> tuple[Op, Shape]:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Fault("RS807", f"the ops of this space have more than {MOST_PARTS} parts", expr.span)
        if self._depth >= DEEPEST:
            raise too_deep(self._opening, expr.span)
        self._depth += 1
        try:
            return self._made(expr, env, shape)
        finally:
            self._depth -= 1

    def _made(self, expr: Expr, env: Env, shape: Shape) -> tuple[Op, Shape]:
        match expr:
            case Pipe():
                return self._pipe(expr.stages, env, shape)
            case Sum():
                return self._beside("sum", [(term, env) for term in expr.terms], shape, expr.span)
            case If():
                chosen = expr.value if self.numbers.truth(expr.condition, env) else expr.otherwise
                return self._op(chosen, env, shape)
            case Name():
                return self._named(expr.id, (), env, shape, expr.span)
            case Call() if expr.name in MERGES:
                return self._beside(expr.name, self.binding.terms(expr, env), shape, expr.span)
            case Call():
                return self._named(expr.name, expr.args, env, shape, expr.span)
            case Binary(op="*", left=Call() as op) if self.binding.is_op(op.name, env):
                return self._pipe((expr.right, op), env, shape)
            case Choice() | Binary(op="*"):
                raise Fault(
                    "RS602",
                    "a gate inside an op is not supported yet",
                    expr.span,
                    help="write the choice as an equation of the node",
                )
        raise Fault("RS308", "an op is needed here", expr.span, _what(expr))

    def _pipe(self, stages: tuple[Expr, ...], env: Env, shape: Shape) -> tuple[Op, Shape]:
        if len(stages) > MOST_STAGES:
            message = f"a pipe of {len(stages)} ops; at most {MOST_STAGES}"
            raise Fault("RS801", message, stages[MOST_STAGES].span, help="make nodes of parts of it")
        parts: list[Op] = []
        faults = Faults()
        for stage in stages:
            try:
                if faults:
                    self._look_over(stage, env)
                    continue
                op, shape = self._op(stage, env, shape)
            except Fault as fault:
                faults.add(fault)
                continue
            parts.extend(op.parts if isinstance(op, Sequential) else (op,))
        faults.settle()
        return Sequential(tuple(parts)), shape

    def _look_over(self, stage: Expr, env: Env) -> None:
        """Check the arguments of a registered op whose input has no known shape."""
        name, args = (stage.name, stage.args) if isinstance(stage, Call) else (getattr(stage, "id", ""), ())
        entry = OPS.get(self.binding.target(name, env, stage.span)) if name and name not in MERGES else None
        if entry is not None and not entry.variadic and entry.name not in self.scope.ops:
            fill(entry.name, entry.parameters, args, env, self.numbers, stage.span)

    def _beside(self, merge: str, terms: list[Term], shape: Shape, span: Span | None) -> tuple[Op, Shape]:
        resolved: list[tuple[Op, Shape]] = []
        faults = Faults()
        for term, env in terms:
            try:
                resolved.append(self._op(term, env, shape))
            except Fault as fault:
                faults.add(fault)
        faults.settle()
        if len(resolved) == 1:
            return resolved[0]
        shapes = tuple(out for _, out in resolved)
        check_merge(merge, shapes, [term.span for term, _ in terms], span)
        parts: list[Op] = []
        for op, _ in resolved:
            parts.extend(op.parts if isinstance(op, Parallel) and op.merge == merge else (op,))
        return Parallel(tuple(parts), merge), merged(merge, shapes)

    def _named(self, name: str, args: tuple[Arg, ...], env: Env, shape: Shape, span: Span | None) -> tuple[Op, Shape]:
        target = self.binding.target(name, env, span)
        declared = self.scope.ops.get(target)
        if declared is not None:
            return self._declared(declared, args, env, shape, span)
        entry = OPS.get(target)
        if entry is None:
            raise self._no_op(target, span)
        if entry.variadic:
            raise Fault("RS308", f"`{target}` reads several streams", span, help=f"write `{target}(stream, …)`")
        return self.leaf(entry, args, env, (shape,), span)

    def _no_op(self, name: str, span: Span | None) -> Fault:
        if name in MERGES:
            return Fault("RS308", f"`{name}` merges several ops or streams", span, help=f"write `{name}(…, …)`")
        if name in self.scope.gates:
            return Fault("RS308", f"an op is needed here, `{name}` is a gate", span)
        if name in self.scope.stream_axes or name in self.scope.inputs:
            return Fault("RS308", f"an op is needed here, `{name}` is a stream", span)
        if self.numbers.is_number(name):
            return Fault("RS308", f"an op is needed here, `{name}` is a number", span)
        return Fault("RS203", f"unknown op `{name}`", span, help=rename(name, self.scope.op_names()))

    def _declared(
        self, declared: OpDecl, args: tuple[Arg, ...], env: Env, shape: Shape, span: Span | None
    ) -> tuple[Op, Shape]:
        name = declared.name
        if name in self._opening:
            circle = [*self._opening[self._opening.index(name) :], name]
            notes = [" → ".join(f"`{one}`" for one in circle)] if 2 < len(circle) <= 9 else []
            others = [(head_of(declared), f"`{name}` is made here")]
            raise Fault("RS306", f"op `{name}` is defined by itself", span, "needed here", others=others, notes=notes)
        inner = self.binding.inside(declared, args, env, span, shape.channels)
        self._opening.append(name)
        try:
            return self._op(declared.value, inner, shape)
        except Fault as fault:
            if span is not None and fault.span is not None and span.path != fault.span.path:
                fault.beside = ()
            fault.through(span, f"`{name}` is used here")
            self.numbers.told(fault, env, *(arg.value for arg in args))
            raise
        finally:
            self._opening.pop()

    def leaf(
        self, entry: OpEntry, args: tuple[Arg, ...], env: Env, inputs: tuple[Shape, ...], span: Span | None
    ) -> tuple[Op, Shape]:
        """A registered op with its arguments checked against its signature."""
        filled = fill(entry.name, entry.parameters, args, env, self.numbers, span)
        op = Leaf(entry.name, tuple(filled.items()), tuple(shape.channels for shape in inputs), span)
        try:
            shape = leaf_shape(op, inputs, self.sizes)
            if entry.outside:
                leaf_cost(op, inputs, shape)
        except Fault as fault:
            raise self.numbers.told(fault, env, *given_for(fault.about, entry.parameters, args)) from None
        return op, shape


def leaf_shape(op: Leaf, inputs: tuple[Shape, ...], sizes: dict[Stride, tuple[int, int]]) -> Shape:
    """Shape a registered op gives for input shapes; `Fault` RS401 with its place where it gives none."""
    entry = OPS[op.entry]
    args = dict(op.args)
    if entry.targets:
        target = args.get("to") or IMAGE_STRIDE
        args["size"] = sizes.setdefault(target, size_at(sizes[IMAGE_STRIDE], target))
    try:
        shape = entry.shape(args, inputs)
    except BadArgument as error:
        message, label = f"`{op.entry}` does not fit: {error}", _entering(inputs)
        raise Fault("RS401", message, op.span, label, help=error.help, about=error.about) from None
    except Exception as error:
        raise broken_rule(op, "shape", error) from error
    if not isinstance(shape, Shape):
        raise broken_rule(op, "shape", TypeError(f"it gives {shape!r}, which is no Shape"))
    return check_size(_without_false_stride(shape, inputs), op.span)


def _without_false_stride(shape: Shape, inputs: tuple[Shape, ...]) -> Shape:
    """`shape`, without a stride where an op makes one position of a whole map: a rule that hands on the stride of what
    it reads does not mean that streams of this stride have one position."""
    collapsed = shape.size == (1, 1) and any(x.size != (1, 1) and x.stride == shape.stride for x in inputs)
    return replace(shape, stride=0) if collapsed else shape


def _entering(inputs: tuple[Shape, ...]) -> str:
    """What an op reads, in words."""
    if len(inputs) == 1:
        return f"its input has {inputs[0]}"
    return f"its inputs have {'; '.join(map(str, inputs[:4]))}{'; …' if len(inputs) > 4 else ''}"


def leaf_cost(op: Leaf, inputs: tuple[Shape, ...], output: Shape) -> Cost:
    """Work of a registered op on one image; `Fault` RS401 with its place where its rule fails."""
    try:
        cost = OPS[op.entry].cost(dict(op.args), inputs, output)
    except Exception as error:
        raise broken_rule(op, "cost", error) from error
    if not isinstance(cost, Cost):
        raise broken_rule(op, "cost", TypeError(f"it gives {cost!r}, which is no Cost"))
    return cost


def broken_rule(op: Leaf, kind: str, error: Exception) -> Fault:
    """What to say of a rule that fails: of an op registered from outside; one of this package is let through."""
    if not OPS[op.entry].outside:
        raise error
    return Fault("RS401", f"the {kind} rule of `{op.entry}` fails: {type(error).__name__}: {error}", op.span)


def too_deep(opening: Sequence[str], span: Span | None) -> Fault:
    """What to say of ops that lead further through each other than is followed; `opening` are their names."""
    way = [f"`{name}`" for name in (*opening[:3], "…", *opening[-2:])]
    notes = [" → ".join(way)] if len(opening) > 5 else []
    return Fault("RS805", f"ops lead through each other more than {DEEPEST} deep", span, "here", notes=notes)


def _what(expr: Expr) -> str:
    match expr:
        case Number():
            return "this is a number"
        case Index():
            return "this reads a stream"
    return ""
