"""Which laws a space is asked, and how one is asked of a case."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from routespace.graph.ir import RouteGraph
from routespace.memory import is_out_of_memory
from routespace.space.registry import ACTIVATIONS, OPS
from routespace.testing.cases import Case
from routespace.testing.entries import ENTRY_LAWS
from routespace.testing.laws import LAWS, LawViolation, Subject
from routespace.testing.oracle.sizes import leaf_paths, op_of

Law = Callable[[Any], None]

IN_TRAINING = ("training agrees",)
"""Laws that noise in training breaks."""


@dataclass(frozen=True)
class Broken:
    """How a case breaks a law: the class of what was raised, and the first line of what it says."""

    law: str
    kind: str
    message: str

    def same_as(self, other: Broken | None) -> bool:
        """Whether the other is the same law broken in the same way."""
        return other is not None and (self.law, self.kind) == (other.law, other.kind)


def laws_of(graph: RouteGraph) -> Mapping[str, Law]:
    """The laws that a space is asked, those of its gates and ops first."""
    noisy = not all(ACTIVATIONS[gate.activation].same_in_training for gate in graph.gates) or not all(
        OPS[leaf.entry].same_in_training
        for value in graph.values
        if (found := op_of(value)) is not None
        for _, leaf in leaf_paths("", found[1])
    )
    return {name: law for name, law in {**ENTRY_LAWS, **LAWS}.items() if not (noisy and name in IN_TRAINING)}


def all_laws() -> tuple[str, ...]:
    """Names of every law there is."""
    return tuple({**ENTRY_LAWS, **LAWS})


def subject_of(case: Case) -> Subject:
    """What the laws of a case look at."""
    return Subject(case)


class OutOfMemoryError(MemoryError):
    """A law could not be asked of a case: memory ran out, which says nothing about the law."""


def out_of_memory(what: str, case: Case) -> OutOfMemoryError:
    """The error for `what` was done with a case."""
    images = f"{case.batch} images of {case.height}x{case.width}"
    return OutOfMemoryError(f"out of memory in {what} with {images} through {len(case.graph.nodes)} nodes")


def ask(name: str, law: Law, subject: Subject) -> Broken | None:
    """Ask a law of a subject. Whatever it raises breaks it: an op that fails in some form breaks the law too.

    Raises `OutOfMemoryError` where it was memory that failed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            law(subject)
    except LawViolation as violation:
        return Broken(name, "LawViolation", str(violation).partition("\n")[0])
    except Exception as error:
        if is_out_of_memory(error):
            raise out_of_memory(f"the law `{name}`", subject.case) from None
        lines = str(error).strip().splitlines() or [""]
        return Broken(name, type(error).__name__, f"{name}: {type(error).__name__}: {lines[0]}")
    return None
