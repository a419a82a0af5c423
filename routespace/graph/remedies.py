"""How to write what a gate or a norm behind one lacks, as edits of the text."""

from __future__ import annotations

from routespace.diagnostics import Fix, insert
from routespace.graph.ir import Leaf
from routespace.space.expr import Expr, Pipe


def averaged(body: Expr) -> Fix:
    """How a body that gives a map comes to one decision per image."""
    help = "add `mean` before the last conv, or decide `per position`"
    last = body.stages[-1] if isinstance(body, Pipe) else body
    return insert("mean | ", last.span, last.span.start if last.span else 0, help)


def biased(last: Leaf | None) -> Fix:
    """How the last op of a body gets a bias, if it is a conv."""
    help = "write `conv(1, routes, bias)`"
    if last is None or last.entry != "conv" or last.span is None:
        return Fix(help)
    return insert(", bias", last.span, last.span.end - 1, help)


def counting(norm: Leaf) -> Fix:
    """How a norm behind a gate per position counts the active positions alone."""
    help = "write `stats = active` to count the positions that are computed"
    return insert(", stats = active", norm.span, norm.span.end - 1 if norm.span else 0, help)
