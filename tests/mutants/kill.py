"""One mutant at a time: a process of its own, in which one module of the package is imported with the slip in it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from tests.mutants.hunches import HUNCHES
from tests.mutants.mutant import Mutant

if TYPE_CHECKING:
    from routespace.testing.cases import Case

CASES, HUNCHED = 40, 80
_AS_IMPORTED = "--assert=plain"
"""Rewriting assertions, pytest may import the package by a finder of its own, which does not put the slip in."""
GRAINS_EVERY, OPS_EVERY, PLAIN_AT = 4, 5, 1
GRAINED = ("runtime/positions/", "runtime/maps.py", "runtime/growth.py", "runtime/sparse_maps.py")


@dataclass(frozen=True)
class End:
    """How a mutant ended: the law (or the case table) that killed it, what that said, and after how many cases."""

    name: str
    killer: str
    message: str
    cases: int
    seconds: float

    @property
    def dead(self) -> bool:
        return bool(self.killer)


class _Slipped(SourceFileLoader):
    """Loads the module of a mutant with its slip, and never from a cache."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        source = self.mutant.mutate(self.get_data(self.path).decode("utf-8"))
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None and spec.origin is not None
        loader = _Slipped(fullname, spec.origin)
        loader.mutant = self.mutant
        spec.loader = loader
        return spec


def put_in(mutant: Mutant) -> None:
    """From now on this process imports the mutant, and cannot open a golden."""
    if any(name.split(".")[0] == "routespace" for name in sys.modules):
        raise RuntimeError("the package is imported already, without the slip")
    sys.meta_path.insert(0, _Finder(mutant))
    if not mutant.table:
        sys.addaudithook(_no_goldens)


def _no_goldens(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and f"{os.sep}golden{os.sep}" in os.fspath(str(args[0])):
        raise PermissionError(f"`{args[0]}` is a golden, and laws do without them")


def attack(mutant: Mutant) -> End:
    """Put `mutant` in and ask law after law of case after case until one is broken."""
    start = time.perf_counter()
    put_in(mutant)
    if mutant.table:
        return _by_table(mutant, start)
    import torch

    torch.set_num_threads(1)
    hunch = HUNCHES.get(mutant.name)
    if hunch is not None:
        for number, message in _broken_by(hunch, mutant):
            if message:
                return End(mutant.name, hunch, message, number + 1, time.perf_counter() - start)
    number = 0
    for number, (law, message) in _broken(mutant):
        if law:
            return End(mutant.name, law, message, number + 1, time.perf_counter() - start)
    return End(mutant.name, "", "", number + 1, time.perf_counter() - start)


def _broken(mutant: Mutant) -> Iterator[tuple[int, tuple[str, str]]]:
    """For each case the first law it breaks, empty where it breaks none.

    Ops and spaces with gates per position take turns; they come first where the mutant is theirs.
    """
    from routespace.testing.cases import random_case
    from routespace.testing.entries import ENTRY_LAWS
    from routespace.testing.fuzzing.ask import ask
    from routespace.testing.laws import LAWS, Subject
    from routespace.testing.laws.alone import ALONE_LAWS, Alone
    from tests.mutants.spaces import GRAINS, PLAIN

    ops_at = 0 if mutant.file == "space/standard.py" else OPS_EVERY - 1
    grains_at = 0 if mutant.file.startswith(GRAINED) else GRAINS_EVERY - 1
    for number in range(CASES):
        asked: list[tuple[Any, Any]] = []
        try:
            subject = Subject(random_case(number))
            asked.append((subject, {name: law for name, law in ENTRY_LAWS.items() if not name.startswith("ops")}))
            asked.append((subject, LAWS))
            if number % OPS_EVERY == ops_at:
                asked.append((subject, ENTRY_LAWS))
            if number % GRAINS_EVERY == PLAIN_AT:
                plain = Subject(_small(PLAIN[number // GRAINS_EVERY % len(PLAIN)], number))
                gates = {name: law for name, law in ENTRY_LAWS.items() if not name.startswith("ops")}
                asked += [(plain, gates), (plain, LAWS)]
            if number % GRAINS_EVERY == grains_at:
                text = GRAINS[number // GRAINS_EVERY % len(GRAINS)]
                asked.append((Alone(_small(text, number)), ALONE_LAWS))
            found = next(filter(None, (ask(n, law, one) for one, laws in asked for n, law in laws.items())), None)
        except Exception as error:
            yield number, ("every case compiles", f"{type(error).__name__}: {error}".splitlines()[0])
            return
        yield number, ("", "") if found is None else (found.law, found.message.removeprefix(f"{found.law}: "))


def _broken_by(name: str, mutant: Mutant) -> Iterator[tuple[int, str]]:
    """For each case what one law says of it, empty where it holds."""
    from routespace.testing.cases import random_case
    from routespace.testing.entries import ENTRY_LAWS
    from routespace.testing.fuzzing.ask import ask
    from routespace.testing.laws import LAWS, Subject
    from routespace.testing.laws.alone import ALONE_LAWS, Alone
    from tests.mutants.spaces import GRAINS, PLAIN

    grained = name in ALONE_LAWS and name not in LAWS
    law = {**ENTRY_LAWS, **ALONE_LAWS, **LAWS}[name]
    for number in range(HUNCHED):
        if grained:
            case = _small(GRAINS[number % len(GRAINS)], number)
        else:
            case = random_case(number) if number % 3 else _small(PLAIN[number // 3 % len(PLAIN)], number)
        found = ask(name, law, Alone(case) if grained else Subject(case))
        yield number, "" if found is None else found.message.removeprefix(f"{name}: ")


def _small(text: str, number: int) -> Case:
    from routespace.testing.cases import Case

    return Case(text, number, batch=3, height=67, width=72, image_seed=number)


def _by_table(mutant: Mutant, start: float) -> End:
    import pytest

    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = pytest.main([mutant.table, "-x", "-q", "-p", "no:cacheprovider", _AS_IMPORTED])
    failed = [line for line in told.getvalue().splitlines() if line.startswith("FAILED")]
    killer = f"case table {mutant.table}" if code == pytest.ExitCode.TESTS_FAILED and failed else ""
    return End(mutant.name, killer, failed[0] if failed else "", 1, time.perf_counter() - start)


def attack_safely(mutant: Mutant) -> End:
    """As `attack`; what is no law's doing, like a mutant that cannot be put in, comes back as a survivor with its trace."""
    try:
        return attack(mutant)
    except BaseException:
        return End(mutant.name, "", traceback.format_exc(limit=2), 0, 0.0)
