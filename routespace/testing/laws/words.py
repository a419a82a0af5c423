"""Law 6: what is written, formatted, stored or reordered means the same."""

from __future__ import annotations

import random
from dataclasses import replace

import torch

from routespace.compiler import compile as compile_space
from routespace.graph.build import build
from routespace.language.format import format_text
from routespace.language.load import loads
from routespace.space.expr import GateDecl, NodeDecl
from routespace.space.model import Space, without_spans
from routespace.testing.laws.subject import Subject


def format_keeps_meaning(subject: Subject) -> None:
    """Formatting changes nothing that a parser sees, and formatting again changes nothing at all."""
    once = format_text(subject.case.text)
    if without_spans(loads(once)) != without_spans(subject.case.space):
        raise subject.fail("format keeps meaning", f"the formatted text is another space:\n{once}")
    if format_text(once) != once:
        raise subject.fail("format keeps meaning", f"formatting twice differs:\n{format_text(once)}")


def json_keeps_meaning(subject: Subject) -> None:
    """A space read back from its JSON is the space."""
    if without_spans(Space.from_json(subject.case.space.to_json())) != without_spans(subject.case.space):
        raise subject.fail("json keeps meaning", "the space read back from JSON differs")


def order_does_not_matter(subject: Subject) -> None:
    """Declarations, equations and gate clauses in another order build the same values with the same initial weights."""
    turned = build(shuffled(subject.case.space, subject.case.weight_seed))
    if turned.by_name != subject.graph.by_name:
        names = {name for name, value in turned.by_name.items() if subject.graph.by_name.get(name) != value}
        lost = set(subject.graph.by_name) - set(turned.by_name)
        raise subject.fail("order does not matter", f"values differ: {sorted(names | lost)[:6]}")
    first, second = compile_space(subject.graph, seed=1).state_dict(), compile_space(turned, seed=1).state_dict()
    if first.keys() != second.keys() or any(not torch.equal(first[name], second[name]) for name in first):
        raise subject.fail("order does not matter", "initial weights differ")


def shuffled(space: Space, seed: int) -> Space:
    """`space` with its declarations, the parts of its nodes and the clauses of its gates in another order."""
    dice = random.Random(seed)
    body = [_inside(part, dice) if isinstance(part, (NodeDecl, GateDecl)) else part for part in space.declaration.body]
    dice.shuffle(body)
    return replace(space, declaration=replace(space.declaration, body=tuple(body)))


def _inside(part: NodeDecl | GateDecl, dice: random.Random) -> NodeDecl | GateDecl:
    if isinstance(part, GateDecl):
        return replace(part, clauses=tuple(dice.sample(part.clauses, len(part.clauses))))
    return replace(part, body=tuple(dice.sample(part.body, len(part.body))))
