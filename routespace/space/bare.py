"""Arguments that stand for themselves, without a name or a mode."""

from __future__ import annotations

from routespace.diagnostics import Edit, Fix, Span
from routespace.space.expr import Arg, Expr
from routespace.space.fault import Fault


def bare(called: str, arg: Arg) -> Expr:
    """The value of an argument of `called` that stands for itself; `Fault` RS309 if it has a name or a mode."""
    if arg.name is not None or arg.mode is not None:
        raise named(called, arg)
    return arg.value


def named(called: str, arg: Arg) -> Fault:
    """RS309 of an argument of `called` that has a name or a mode where none is taken."""
    message = f"`{called}` takes this argument without a {'name' if arg.name is not None else 'mode'}"
    return Fault("RS309", message, arg.span or arg.value.span, help=_alone(arg))


def _alone(arg: Arg) -> Fix:
    """The fix that leaves of an argument its value."""
    whole, value = arg.span, arg.value.span
    if whole is None or value is None:
        return Fix("write its value alone")
    cuts = (Span(whole.path, whole.start, value.start), Span(whole.path, value.end, whole.end))
    return Fix("write its value alone", tuple(Edit(cut, "") for cut in cuts if cut.start < cut.end))
