"""Arguments of registered names, checked against their signatures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from typing import Any

from routespace.diagnostics import Span, rename
from routespace.space.arithmetic import show
from routespace.space.expr import Arg, Expr, Name
from routespace.space.fault import Fault, Faults
from routespace.space.numbers import Env, Numbers
from routespace.space.registry import ByMode, Parameter
from routespace.space.scope import Axis
from routespace.space.shape import Stride, exact


def fill(
    name: str,
    parameters: tuple[Parameter, ...],
    args: tuple[Arg, ...],
    env: Env,
    numbers: Numbers,
    span: Span | None,
) -> dict[str, Any]:
    """Arguments of a registered name by its signature, defaults filled in; `Fault` RS309/RS311 otherwise."""
    by_name = {parameter.name: parameter for parameter in parameters}
    positional = [parameter for parameter in parameters if parameter.kind != "flag"]
    given: dict[str, Any] = {}
    faults = Faults()
    place = 0
    for arg in args:
        value = arg.value
        if arg.name is None and isinstance(value, Name) and value.id in by_name and by_name[value.id].kind == "flag":
            given[value.id] = True
            continue
        if arg.name is None:
            if place >= len(positional):
                message = f"too many arguments for `{name}`"
                faults.add(Fault("RS309", message, arg.span or value.span or span, help=_usage(name, parameters)))
                break
            parameter = positional[place]
            place += 1
        elif arg.name in by_name:
            parameter = by_name[arg.name]
        else:
            help = rename(arg.name, by_name) or _usage(name, parameters)
            faults.add(Fault("RS309", f"`{name}` has no argument `{arg.name}`", arg.span or span, help=help))
            continue
        if parameter.name in given and arg.mode is None:
            faults.add(Fault("RS309", f"`{parameter.name}` is given twice", arg.span or span))
        before = given.setdefault(parameter.name, None)
        try:
            found = _argument(name, parameter, value, env, numbers)
            given[parameter.name] = found if arg.mode is None else _split(parameter, arg, found, before)
        except Fault as fault:
            faults.add(numbers.told(fault, env, value))
    faults.settle()
    for parameter in parameters:
        if parameter.required and parameter.name not in given:
            raise Fault("RS309", f"`{name}` needs `{parameter.name}`", span, help=_usage(name, parameters))
    return {parameter.name: given.get(parameter.name, parameter.default) for parameter in parameters}


def given_for(names: Collection[str], parameters: tuple[Parameter, ...], args: tuple[Arg, ...]) -> list[Expr]:
    """The expressions that are given for the parameters called `names`."""
    flags = {parameter.name for parameter in parameters if parameter.kind == "flag"}
    positional = iter([parameter.name for parameter in parameters if parameter.name not in flags])
    found: list[Expr] = []
    for arg in args:
        is_flag = arg.name is None and isinstance(arg.value, Name) and arg.value.id in flags
        name = arg.name or (None if is_flag else next(positional, None))
        if name in names:
            found.append(arg.value)
    return found


def _split(parameter: Parameter, arg: Arg, value: Any, before: Any) -> ByMode:
    """`value` for the mode of `arg`; the other mode has what was given before, or the default."""
    assert arg.mode is not None
    if not parameter.by_mode:
        raise Fault("RS602", f"`{parameter.name}` cannot be split by mode", arg.span or arg.value.span)
    known = before if isinstance(before, ByMode) else ByMode(parameter.default, parameter.default)
    return replace(known, **{arg.mode: value})


def _argument(name: str, parameter: Parameter, value: Expr, env: Env, numbers: Numbers) -> Any:
    if parameter.kind == "word":
        if isinstance(value, Name) and (not parameter.words or value.id in parameter.words):
            return value.id
        word = value.id if isinstance(value, Name) else ""
        message = f"`{parameter.name}` of `{name}` is one of {', '.join(parameter.words)}"
        message += f", not `{word}`" if word else ""
        raise Fault("RS311", message, value.span, help=rename(word, parameter.words))
    if parameter.kind == "flag":
        return numbers.truth(value, env)
    if parameter.kind == "scale":
        return _stride(name, value, env, numbers)
    result = numbers.integer(value, env) if parameter.kind == "integer" else numbers.number(value, env)
    if parameter.least is not None and float(result) < parameter.least:
        raise Fault(
            "RS311", f"`{parameter.name}` of `{name}` is {result}; at least {parameter.least:g} is needed", value.span
        )
    if parameter.most is not None and float(result) > parameter.most:
        raise Fault(
            "RS311", f"`{parameter.name}` of `{name}` is {result}; at most {parameter.most:g} is possible", value.span
        )
    if parameter.kind == "integer" and result > 2**20:
        raise Fault("RS311", f"`{parameter.name}` of `{name}` is {result}; at most 2^20 is sensible", value.span)
    return float(result) if isinstance(result, Fraction) and name != "resize" else result


def _stride(name: str, value: Expr, env: Env, numbers: Numbers) -> Stride:
    """Stride of the scale that an index on the axis with a `stride` names."""
    attribute = numbers.scope.attributes.get("stride")
    if attribute is None:
        help = "declare `axis scale = s4, s8 with stride = 4 * 2^scale`, or write `by = FACTOR`"
        raise Fault("RS312", f"`{name}(to = …)` needs an axis `with stride = …`", value.span, help=help)
    axis = numbers.scope.axis(attribute[0].name, value.span)
    ordinal = numbers.integer(value, env)
    axis.check(ordinal, value.span)
    return stride_at(axis, ordinal, attribute[1], numbers)


def stride_at(axis: Axis, ordinal: int, value: Expr, numbers: Numbers) -> Stride:
    """The stride that `value` gives at an index of its axis; `Fault` RS313 where it can be none."""
    env = {axis.name: ordinal}
    stride = exact(numbers.number(value, env))
    if stride <= 0:
        message = f"the stride of `{axis.label(ordinal)}` is {show(stride)}; a stride is above 0"
        raise numbers.told(Fault("RS313", message, value.span), env, value)
    return stride


def _usage(name: str, parameters: tuple[Parameter, ...]) -> str:
    shown = ", ".join(one.name if one.required or one.kind == "flag" else f"{one.name} = …" for one in parameters)
    return f"it is written `{name}({shown})`"
