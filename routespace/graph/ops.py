"""Ops of a space made concrete: every argument a number, every shape known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from routespace.diagnostics import Span, did_you_mean
from routespace.graph.arguments import fill
from routespace.graph.fault import Fault
from routespace.graph.ir import Beside, Chain, Leaf, Op
from routespace.graph.numbers import Env, Numbers
from routespace.graph.scope import Scope
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
    Sum,
    Unary,
)
from routespace.space.registry import MERGES, OPS, BadArgument, OpEntry
from routespace.space.shape import Shape, Stride

DEEPEST = 40
IMAGE_STRIDE = 1


@dataclass
class Resolver:
    """Turns op expressions into `Op`s for a given input shape.

    `sizes` maps strides to the (height, width) of streams known so far, the targets of `resize(to = …)`.
    """

    scope: Scope
    numbers: Numbers
    sizes: dict[Stride, tuple[int, int]]

    def __post_init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[Op, Shape]] = {}
        self._alike: dict[Expr, tuple[int, tuple[str, ...]]] = {}
        self._seen: dict[int, tuple[Expr, int, tuple[str, ...]]] = {}
        self._opening: list[str] = []

    def resolve(self, expr: Expr, env: Env, shape: Shape) -> tuple[Op, Shape]:
        """The op that `expr` is for an input of `shape`, and the shape it gives.

        Expressions that read alike, wherever they stand, are resolved once.
        """
        number, reads = self.meaning(expr)
        key = (number, shape, tuple([env[name] for name in reads if name in env]))
        known = self._known.get(key)
        if known is None:
            known = self._op(expr, {**env, "channels": shape.channels}, shape)
            self._known[key] = known
        return known

    def meaning(self, expr: Expr) -> tuple[int, tuple[str, ...]]:
        """A number that equal expressions share, and the sorted names they depend on, through the ops they name."""
        seen = self._seen.get(id(expr))
        if seen is None:
            alike = self._alike.get(expr)
            if alike is None:
                alike = (len(self._alike), tuple(sorted(set(self._walk(expr, set())))))
                self._alike[expr] = alike
            seen = (expr, *alike)
            self._seen[id(expr)] = seen
        return seen[1], seen[2]

    def _walk(self, expr: object, seen: set[str]) -> Iterator[str]:
        match expr:
            case Name() | Call() | Index():
                name = expr.id if isinstance(expr, Name) else expr.name
                yield name
                if name not in seen:
                    seen.add(name)
                    scope = self.scope
                    if name in scope.ops:
                        yield from self._walk(scope.ops[name].value, seen)
                        for parameter in scope.ops[name].params:
                            yield from self._walk(parameter.default, seen)
                    if name in scope.parameters:
                        yield from self._walk(scope.parameters[name], seen)
                    if name in scope.attributes:
                        yield scope.attributes[name][0].name
                if isinstance(expr, Call):
                    for arg in expr.args:
                        yield from self._walk(arg.value, seen)
                if isinstance(expr, Index):
                    for part in expr.at:
                        yield from self._walk(part, seen)
            case Binary():
                yield from self._walk(expr.left, seen)
                yield from self._walk(expr.right, seen)
            case Unary():
                yield from self._walk(expr.operand, seen)
            case Sum():
                for term in expr.terms:
                    yield from self._walk(term, seen)
            case Pipe():
                for stage in expr.stages:
                    yield from self._walk(stage, seen)
            case If():
                for part in (expr.value, expr.condition, expr.otherwise):
                    yield from self._walk(part, seen)
            case Items():
                for item in expr.items:
                    yield from self._walk(item, seen)
            case Each():
                yield from self._walk(expr.value, seen)
                yield from self._walk(expr.domain, seen)

    def is_op(self, name: str, env: Env) -> bool:
        """Whether `name` means an op where `env` holds."""
        bound = env.get(name, self.scope.parameters.get(name))
        if isinstance(bound, Name):
            return bound.id not in ("yes", "no")
        return isinstance(bound, Items) or name in self.scope.ops or name in OPS

    def _op(self, expr: Expr, env: Env, shape: Shape) -> tuple[Op, Shape]:
        match expr:
            case Pipe():
                return self._pipe(expr.stages, env, shape)
            case Sum():
                return self._beside("sum", expr.terms, env, shape, expr.span)
            case If():
                chosen = expr.value if self.numbers.truth(expr.condition, env) else expr.otherwise
                return self._op(chosen, env, shape)
            case Name():
                return self._named(expr.id, (), env, shape, expr.span)
            case Call():
                if expr.name in MERGES:
                    return self._beside(expr.name, self._terms(expr, env), env, shape, expr.span)
                return self._named(expr.name, expr.args, env, shape, expr.span)
            case Choice() | Binary(op="*"):
                raise Fault(
                    "RS602",
                    "a gate inside an op is not supported yet",
                    expr.span,
                    help="write the choice as an equation of the node",
                )
        raise Fault("RS308", "an op is needed here", expr.span, _what(expr))

    def _pipe(self, stages: tuple[Expr, ...], env: Env, shape: Shape) -> tuple[Op, Shape]:
        parts: list[Op] = []
        for stage in stages:
            op, shape = self._op(stage, env, shape)
            parts.extend(op.parts if isinstance(op, Chain) else (op,))
        return Chain(tuple(parts)), shape

    def _terms(self, call: Call, env: Env) -> tuple[Expr, ...]:
        """Ops inside `sum(…)`: listed, or the items of a list parameter, or a single name."""
        terms: list[Expr] = []
        for arg in call.args:
            value = arg.value
            if isinstance(value, Name):
                value = env.get(value.id) if isinstance(env.get(value.id), (Name, Items)) else value  # type: ignore[assignment]
            if isinstance(value, Name) and value.id in self.scope.parameters:
                value = self.scope.parameters[value.id]
            if isinstance(value, Each):
                raise Fault("RS308", "`for` makes streams, not ops", value.span)
            terms.extend(value.items if isinstance(value, Items) else (value,))
        if not terms:
            raise Fault("RS310", f"`{call.name}` of no ops", call.span)
        return tuple(terms)

    def _beside(
        self, merge: str, terms: tuple[Expr, ...], env: Env, shape: Shape, span: Span | None
    ) -> tuple[Op, Shape]:
        resolved = [self._op(term, env, shape) for term in terms]
        if len(resolved) == 1:
            return resolved[0]
        shapes = tuple(out for _, out in resolved)
        check_merge(merge, shapes, [term.span for term in terms], span)
        parts: list[Op] = []
        for op, _ in resolved:
            parts.extend(op.parts if isinstance(op, Beside) and op.merge == merge else (op,))
        return Beside(tuple(parts), merge), MERGES[merge].shape(shapes)

    def _named(self, name: str, args: tuple[Arg, ...], env: Env, shape: Shape, span: Span | None) -> tuple[Op, Shape]:
        bound = env.get(name, self.scope.parameters.get(name))
        if isinstance(bound, Name) and bound.id != name:
            return self._named(bound.id, args, {k: v for k, v in env.items() if k != name}, shape, span)
        if isinstance(bound, Items):
            raise Fault("RS308", f"`{name}` is a list of ops", span, help=f"write `sum({name})`")
        declared = self.scope.ops.get(name)
        if declared is not None:
            return self._declared(declared, args, env, shape, span)
        entry = OPS.get(name)
        if entry is None:
            raise Fault("RS203", f"unknown op `{name}`", span, help=did_you_mean(name, self.scope.op_names()))
        if entry.variadic:
            raise Fault("RS308", f"`{name}` reads several streams", span, help=f"write `{name}(stream, …)`")
        return self.leaf(entry, args, env, (shape,), span)

    def _declared(
        self, declared: OpDecl, args: tuple[Arg, ...], env: Env, shape: Shape, span: Span | None
    ) -> tuple[Op, Shape]:
        if declared.name in self._opening or len(self._opening) > DEEPEST:
            raise Fault(
                "RS306", f"op `{declared.name}` is defined by itself", declared.span, others=[(span, "used here")]
            )
        inner: dict[str, Any] = {axis: env[axis] for axis in self.scope.axes if axis in env}
        inner["channels"] = shape.channels
        inner.update(self._bind(declared, args, env, span))
        self._opening.append(declared.name)
        try:
            return self._op(declared.value, inner, shape)
        finally:
            self._opening.pop()

    def _bind(self, declared: OpDecl, args: tuple[Arg, ...], env: Env, span: Span | None) -> dict[str, Any]:
        names = [parameter.name for parameter in declared.params]
        given: dict[str, Expr] = {}
        for place, arg in enumerate(args):
            name = arg.name or (names[place] if place < len(names) else None)
            if name is None or name not in names:
                raise Fault(
                    "RS309",
                    f"`{declared.name}` takes {len(names)} arguments"
                    if name is None
                    else f"`{declared.name}` has no argument `{name}`",
                    arg.span or span,
                    others=[(declared.span, "declared here")],
                    help=did_you_mean(name, names) if name else None,
                )
            given[name] = arg.value
        bound: dict[str, Any] = {}
        for parameter in declared.params:
            value = given.get(parameter.name, parameter.default)
            if value is None:
                raise Fault("RS309", f"`{declared.name}` needs `{parameter.name}`", span)
            bound[parameter.name] = self._value_or_op(value, env)
        return bound

    def _value_or_op(self, value: Expr, env: Env) -> Any:
        if isinstance(value, Name):
            bound = env.get(value.id)
            if isinstance(bound, (Name, Items)):
                return bound
            if bound is None and self.is_op(value.id, env):
                return value
        if isinstance(value, Items):
            return value
        return self.numbers.value(value, env)

    def leaf(
        self, entry: OpEntry, args: tuple[Arg, ...], env: Env, inputs: tuple[Shape, ...], span: Span | None
    ) -> tuple[Op, Shape]:
        """A registered op with its arguments checked against its signature."""
        filled = fill(entry.name, entry.parameters, args, env, self.numbers, span)
        op = Leaf(entry.name, tuple(filled.items()), tuple(shape.channels for shape in inputs), span)
        return op, leaf_shape(op, inputs, self.sizes)


def leaf_shape(op: Leaf, inputs: tuple[Shape, ...], sizes: dict[Stride, tuple[int, int]]) -> Shape:
    """Shape a registered op gives for input shapes; `Fault` RS401 with its place where it gives none."""
    entry = OPS[op.entry]
    args = dict(op.args)
    if entry.targets:
        target = args.get("to") or IMAGE_STRIDE
        args["size"] = sizes.get(target) or _ceil(sizes[IMAGE_STRIDE], target)
    try:
        return entry.shape(args, inputs)
    except BadArgument as error:
        raise Fault("RS401", f"`{op.entry}` does not fit: {error}", op.span, f"its input has {inputs[0]}") from None


def check_merge(merge: str, shapes: tuple[Shape, ...], spans: list[Span | None], span: Span | None) -> None:
    """Streams that merge must agree (in channels too, unless the merge stacks them); both places are named."""
    stacked = MERGES[merge].ordered
    first = shapes[0]
    for place, other in enumerate(shapes[1:], start=1):
        if not stacked and other.channels != first.channels:
            problem = f"{first.channels} and {other.channels} channels"
        elif other.stride != first.stride:
            problem = f"strides {first.stride} and {other.stride}"
        elif (other.height, other.width) != (first.height, first.width):
            problem = f"sizes {first.height}x{first.width} and {other.height}x{other.width}"
        else:
            continue
        raise Fault(
            "RS402",
            f"streams of {problem} cannot be merged by `{merge}`",
            spans[place] or span,
            f"this has {other}",
            others=[(spans[0] or span, f"this has {first}")],
        )


def _ceil(size: tuple[int, int], stride: Stride) -> tuple[int, int]:
    return max(1, -(-size[0] // stride)), max(1, -(-size[1] // stride))


def _what(expr: Expr) -> str:
    match expr:
        case Number():
            return "this is a number"
        case Index():
            return "this reads a stream"
    return ""
