"""Policies of a space: what it declares once for all its nodes."""

from __future__ import annotations

from typing import Any

from routespace.diagnostics import Findings, Span, rename
from routespace.graph.ir import Budget, Policies
from routespace.space.bare import bare, named
from routespace.space.expr import Arg, Binary, Call, Clause, Name
from routespace.space.fault import Fault, Faults
from routespace.space.numbers import Numbers
from routespace.space.policies import INITS, POLICIES, listed, wrong_word
from routespace.space.registry import BUDGETS

_NAMED = ("weight", "start", "ramp")


def resolve_policies(
    clauses: list[Clause], overrides: tuple[Clause, ...], numbers: Numbers, findings: Findings, space: Span | None
) -> Policies:
    """The policies in force of the space at `space`: overrides win over what the text says, defaults fill the rest."""
    found: dict[str, Any] = {}
    given: dict[tuple[str, str | None], Clause] = {}
    for clause in clauses:
        first = given.setdefault((clause.name, clause.mode), clause)
        if first is not clause and clause.name != "require":
            findings.add(
                "RS204", f"`{clause.name}` is declared twice", clause.span, others=[(first.span, "first here")]
            )
    replaced = {clause.name for clause in overrides}
    written = {clause.name: clause.span for clause in given.values()}
    in_force = [*(one for one in given.values() if one.name not in replaced), *overrides]
    for clause in sorted(in_force, key=lambda one: one.mode is not None):
        try:
            _one(clause, found, numbers)
        except Fault as fault:
            fault.stands(written.get(clause.name, space), f"another `{clause.name}` is given from outside")
            fault.report(findings)
    return Policies(**found)


def _one(clause: Clause, found: dict[str, Any], numbers: Numbers) -> None:
    if clause.name not in POLICIES:
        raise Fault("RS601", f"unknown policy `{clause.name}`", clause.span, help=rename(clause.name, POLICIES))
    if clause.mode is not None and clause.name != "live":
        raise Fault("RS602", f"`{clause.name}` cannot be split by mode", clause.span)
    if clause.name == "live":
        value = _word(clause)
        for mode in (clause.mode,) if clause.mode else ("training", "inference"):
            found[f"live_{mode}"] = value
    elif clause.name == "cost":
        found["cost"] = _word(clause)
    elif clause.name == "require":
        return
    elif clause.name == "init":
        found["init"], found["init_args"] = _init(clause, numbers)
    else:
        found["budget"] = _budget(clause, numbers)


def _word(clause: Clause) -> str:
    wrong = wrong_word(clause)
    if wrong is not None:
        raise Fault("RS603", wrong.message, wrong.span, help=wrong.help)
    assert isinstance(clause.value, Name)
    return clause.value.id


def _init(clause: Clause, numbers: Numbers) -> tuple[str, tuple[tuple[str, Any], ...]]:
    value = clause.value
    if isinstance(value, Name) and value.id == "kaiming":
        return "kaiming", ()
    if isinstance(value, Call) and value.name in INITS and len(value.args) == 1:
        given = bare(value.name, value.args[0])
        if value.name == "normal":
            std = float(numbers.number(given, {}))
            if std <= 0:
                fault = Fault("RS311", f"a standard deviation of {std:g} is not above 0", given.span)
                raise numbers.told(fault, {}, given)
            return "normal", (("std", std),)
        if given == Name("fan_in"):
            return "kaiming", ()
    shown = value.id if isinstance(value, Name) else ""
    help = "write `normal(0.01)`" if shown == "normal" else rename(shown, INITS)
    message = "`init` is `kaiming` or `normal(std)`" + (f", not `{shown}`" if shown not in ("", *INITS) else "")
    raise Fault("RS603", message, value.span or clause.span, help=help)


def _budget(clause: Clause, numbers: Numbers) -> Budget | None:
    value = clause.value
    if isinstance(value, Name) and value.id in ("none", "nothing"):
        return None
    if not isinstance(value, Call) or value.name not in BUDGETS:
        shown = value.name if isinstance(value, Call) else ""
        raise Fault(
            "RS603",
            f"a budget is {listed(tuple(BUDGETS))}" + (f", not `{shown}`" if shown else ""),
            value.span or clause.span,
            help=rename(shown, BUDGETS) or "write `square(expected / maximum, 0.5, weight = 0.5)`",
        )
    positional = [arg for arg in value.args if arg.name is None]
    faults = Faults()
    wanted = 2 if BUDGETS[value.name].targeted else 1
    try:
        _quantity(value, positional)
        if len(positional) != wanted and all(arg.name != "target" for arg in value.args):
            raise Fault("RS309", f"`{value.name}` takes {wanted} arguments before the named ones", value.span)
    except Fault as fault:
        faults.add(fault)
    shares = {"target": positional[1]} if wanted == 2 and len(positional) == 2 else {}
    for arg in value.args:
        if arg.mode is not None:
            faults.add(Fault("RS602", "a budget cannot be split by mode", arg.span))
        elif arg.name is None:
            continue
        elif arg.name == "target":
            faults.add(named(value.name, arg))
        elif arg.name not in _NAMED:
            help = rename(arg.name, _NAMED) or f"it has {listed(_NAMED)}"
            faults.add(Fault("RS309", f"`{value.name}` has no argument `{arg.name}`", arg.span, help=help))
        elif arg.name in shares:
            others = [(shares[arg.name].span, "first here")]
            faults.add(Fault("RS309", f"`{arg.name}` is given twice", arg.span, others=others))
        else:
            shares[arg.name] = arg
    found = {"target": 0.0, "weight": 1.0, "start": 0.0, "ramp": 0.0}
    for name, arg in shares.items():
        try:
            found[name] = _share(name, arg, numbers)
        except Fault as fault:
            faults.add(numbers.told(fault, {}, arg.value))
    faults.settle()
    return Budget(value.name, **found)


def _share(name: str, arg: Arg, numbers: Numbers) -> float:
    """A number of a budget, in its range."""
    found = float(numbers.number(arg.value, {}))
    if name == "weight":
        if found < 0:
            raise Fault("RS604", f"the weight of a budget is not negative, this is {found:g}", arg.value.span)
    elif not 0 <= found <= 1:
        raise Fault("RS604", f"the {name} of a budget is a fraction from 0 to 1, not {found:g}", arg.value.span)
    return found


def _quantity(value: Call, positional: list[Arg]) -> None:
    match positional[0].value if positional else None:
        case Binary(op="/", left=Name(id="expected"), right=Name(id="maximum")):
            return
    raise Fault(
        "RS603",
        "a budget bounds `expected / maximum`",
        positional[0].span or value.span if positional else value.span,
        help=f"write `{value.name}(expected / maximum, …)`",
    )
