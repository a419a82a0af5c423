"""The check of one space before it is built."""

from __future__ import annotations

from dataclasses import dataclass, field

from routespace.diagnostics import Findings
from routespace.space.expr import (
    AxisDecl,
    Call,
    Choice,
    Clause,
    Equation,
    Expr,
    GateDecl,
    InputDecl,
    LetDecl,
    Name,
    NodeDecl,
    OpDecl,
    OutputDecl,
    Param,
    Range,
    ShareDecl,
    Statement,
)
from routespace.space.model import Space
from routespace.space.names.legal import check_legal
from routespace.space.names.lookup import NONE, Local
from routespace.space.names.table import Table
from routespace.space.names.uses import Uses
from routespace.space.policies import GATE_CLAUSES, POLICIES, listed, wrong_word
from routespace.space.registry import ACTIVATIONS

GRANULARITIES = ("image", "position", "region", "token")


def check_space(space: Space, findings: Findings) -> None:
    """Report everything that makes `space` one that no text could describe, and its unknown and double names.

    Ops and gates declared beside the space are looked at where something of it uses them.
    """
    if check_legal(space, findings):
        read_space(space, findings).report()


def read_space(space: Space, findings: Findings, excused: frozenset[str] = NONE) -> Checker:
    """Look up every name that `space` reads; the result knows what was used and what is unknown.

    `excused` names are never unknown.
    """
    checker = Checker(Table.of(space, findings), findings, excused=excused)
    for declared, binding in zip(space.declaration.params, space.parameters, strict=False):
        checker.place = declared.span
        checker.anything(binding.value)
    checker.place = None
    for statement in space.declaration.body:
        checker.statement(statement)
    while checker.waiting:
        beside = checker.waiting.pop().declaration
        assert isinstance(beside, (OpDecl, GateDecl))
        checker.statement(beside)
    return checker


@dataclass
class Checker(Uses):
    """Reads the declarations of a space, and keeps the parameters of ops and gates that nothing reads."""

    unread: list[tuple[OpDecl | GateDecl, Param]] = field(default_factory=list)

    def statement(self, statement: Statement) -> None:
        match statement:
            case NodeDecl():
                self.node(statement)
            case LetDecl():
                self.number(statement.value, frozenset(statement.index))
            case OpDecl():
                self.op_declaration(statement)
            case GateDecl():
                self.gate_declaration(statement)
            case AxisDecl():
                self.axis(statement)
            case InputDecl():
                self.axes(statement.index, statement)
                self.number(statement.channels)
            case OutputDecl():
                self.axes(statement.index, statement)
                self.stream(statement.value)
            case ShareDecl():
                self.axes(statement.axes, statement)
                for name in statement.exceptions:
                    self.op_name(name, statement.span, NONE)
            case Clause():
                self.policy(statement)

    def axes(self, names: tuple[str, ...], statement: Statement) -> None:
        """Names of axes that a statement stands on."""
        self.table.once([(name, statement.span) for name in names], "axis `{}`")
        for name in names:
            if self.table.is_(name, "an axis"):
                self.use(name)
            else:
                self.unknown("RS205", f"unknown axis `{name}`", name, statement.span, ("an axis",))

    def axis(self, axis: AxisDecl) -> None:
        if isinstance(axis.values, Range):
            self.number(axis.values)
        for attribute in axis.attributes:
            self.number(attribute.value)

    def node(self, node: NodeDecl) -> None:
        self.axes(node.axes, node)
        if node.where is not None:
            self.number(node.where)
        self.here = frozenset(
            one.name for part in node.body for one in ([part] if isinstance(part, Equation) else part.branches)
        )
        self.instances = frozenset(
            part.name
            for part in node.body
            if isinstance(part, Equation) and isinstance(part.value, Call) and self.table.is_(part.value.name, "a gate")
        )
        for part in node.body:
            if isinstance(part, Choice):
                self.choice(part, NONE)
            else:
                self.stream(part.value)
        self.here = self.instances = NONE

    def op_declaration(self, op: OpDecl) -> None:
        local = self.signature(op.params)
        self.op(op.value, local)
        self.keep_unread(op)

    def gate_declaration(self, gate: GateDecl) -> None:
        if gate.granularity not in GRANULARITIES:
            known = f"{', '.join(GRANULARITIES[:-1])} or {GRANULARITIES[-1]}"
            message = f"a gate decides per {known}, not per `{gate.granularity}`"
            self.unknown("RS215", message, gate.granularity, gate.span, (), GRANULARITIES)
        local = self.signature(gate.params)
        self.table.once([(one.name, one.span) for one in gate.clauses if one.mode is None], "clause `{}`")
        for clause in gate.clauses:
            self.gate_clause(clause, local)
        self.keep_unread(gate)

    def gate_clause(self, clause: Clause, local: Local) -> None:
        if clause.name == "body":
            self.op(clause.value, local)
        elif clause.name == "activation":
            self.activation(clause.value, local)
        elif clause.name == "start":
            self.values(clause.value, local)
        elif clause.name == "gradient":
            wrong = wrong_word(clause)
            if wrong is not None:
                self.findings.add("RS322", wrong.message, wrong.span, help=wrong.help)
        else:
            message = f"a gate has no clause `{clause.name}`"
            help = f"it has {listed(GATE_CLAUSES, 'and')}"
            self.unknown("RS318", message, clause.name, clause.span, (), GATE_CLAUSES, help=help)

    def activation(self, value: Expr, local: Local) -> None:
        if not isinstance(value, (Name, Call)):
            return
        name = value.id if isinstance(value, Name) else value.name
        entry = ACTIVATIONS.get(name)
        if entry is None:
            help = f"there are {', '.join(ACTIVATIONS)}"
            self.unknown("RS209", f"unknown activation `{name}`", name, value.span, (), ACTIVATIONS, help=help)
        elif isinstance(value, Call):
            self.arguments(value, [one.name for one in entry.parameters])
        self.values(value, local)

    def policy(self, clause: Clause) -> None:
        if clause.name not in POLICIES:
            help = f"a space has {', '.join(POLICIES[:-1])} and {POLICIES[-1]}; a number is a `let`"
            self.unknown("RS601", f"unknown policy `{clause.name}`", clause.name, clause.span, (), POLICIES, help=help)
        elif clause.name == "budget" and isinstance(clause.value, Call):
            self.values(Call(clause.value.name, clause.value.args[1:]), NONE)
        elif clause.name == "require":
            self.requirement(clause.value)
        elif clause.name == "init" and not (isinstance(clause.value, Call) and clause.value.name == "kaiming"):
            self.values(clause.value, NONE)

    def values(self, value: Expr, local: Local) -> None:
        """The arguments of a call whose name is a word of its clause."""
        if isinstance(value, Call):
            for arg in value.args:
                self.number(arg.value, local)

    def signature(self, params: tuple[Param, ...]) -> Local:
        self.table.parameters(params)
        for one in params:
            if one.default is not None:
                self.anything(one.default)
        self.used_locals.clear()
        return frozenset(one.name for one in params)

    def keep_unread(self, declared: OpDecl | GateDecl) -> None:
        self.unread += [(declared, one) for one in declared.params if one.name not in self.used_locals]
