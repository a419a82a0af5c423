"""Names of a file, checked wherever they stand, whether or not the place is ever expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from routespace.diagnostics import Findings, Span
from routespace.language.imports import Beside, Library
from routespace.language.prelude import prelude_ops
from routespace.space.expr import (
    Call,
    Clause,
    Edge,
    GateDecl,
    Name,
    NetDecl,
    NetPart,
    OpDecl,
    Row,
    SpaceDecl,
    Walk,
    Without,
)
from routespace.space.model import Space
from routespace.space.names import check_legal, read_space
from routespace.space.names.check import Checker
from routespace.space.names.legal import parts_of
from routespace.space.names.table import Named, at_name
from routespace.space.policies import wrong_word
from routespace.space.registry import OPS

_CODES = {
    "a gate": "RS903",
    "an op": "RS904",
    "a `let`": "RS905",
    "an attribute": "RS905",
    "a parameter": "RS906",
    "an input": "RS907",
    "an axis": "RS908",
}
_DECLARING = re.compile(
    r"(?:^|(?<=\r))[ \t]*(?:axis|op|gate|let|input|node|net|space)\b(?P<line>[^\r\n=]*(?:=[^\r\n(|]*)?)"
    r"|\b(?P<name>[A-Za-z_]\w*)[ \t]*[=:]",
    re.MULTILINE,
)
_WORD = re.compile(r"[A-Za-z_]\w*")


def check_names(space: Space, findings: Findings, library: Library) -> None:
    """Report what is declared twice, unknown or, as a warning, never read in `space` and in the nets declared in it.

    `library` is what the file of the space declares and imports. Unknown names are not reported where they may well be
    declared in what could not be read.
    """
    if not check_legal(space, findings, given_only=True):
        return
    is_partial = any(one.code.startswith("RS1") for one in findings.diagnostics)
    excused = library.missing.union(_declared(findings) if is_partial else ())
    checker = read_space(space, findings, frozenset(excused))
    for net in space.nets:
        _net(net, checker)
    others = len(library.own_spaces) > 1
    beside = [] if others else [one for one in library.own if isinstance(one, (OpDecl, GateDecl))]
    used = {id(one.declaration) for one in checker.table.named.values() if one.is_used}
    _captured(checker, library)
    for declared in beside:
        if id(declared) not in used:
            checker.statement(declared)
    checker.report()
    if findings.has_errors:
        _policies(space, findings)
    else:
        space.mark_read()
        _unread(checker, {id(one) for one in (*beside, *space.declaration.body)}, findings)


def _policies(space: Space, findings: Findings) -> None:
    """Wrong words of policies, which the build of a graph would have reported had the names been right."""
    for clause in space.declaration.body:
        wrong = wrong_word(clause) if isinstance(clause, Clause) else None
        if wrong is not None:
            findings.add("RS603", wrong.message, wrong.span, help=wrong.help)


def _declared(findings: Findings) -> Iterator[str]:
    """Every name that the texts seem to declare."""
    for source in findings.sources.values():
        for match in _DECLARING.finditer(source.text):
            if match["name"] is not None:
                yield match["name"]
            else:
                yield from _WORD.findall(match["line"])


def _net(net: NetDecl, checker: Checker) -> None:
    for part in net.parts:
        _part(part, net, checker)


def _part(part: NetPart, net: NetDecl, checker: Checker) -> None:
    match part:
        case Walk():
            checker.stream(part.start)
            for step in part.steps:
                _route(step.route, step.span, net, checker)
                if step.times is not None:
                    checker.number(step.times)
        case Row():
            for index in part.routes:
                _route(index.name, index.span, net, checker)
                for at in index.at:
                    checker.number(at)
            if part.weight is not None:
                checker.number(part.weight)
        case Edge():
            for index in part.nodes:
                checker.stream(index)
        case Without():
            _part(part.part, net, checker)


def _route(name: str, span: Span | None, net: NetDecl, checker: Checker) -> None:
    if name not in checker.table.routes | checker.table.equations:
        message = f"no node of space `{net.space}` has a route `{name}`"
        checker.unknown("RS702", message, name, span, (), checker.table.routes)


def _captured(checker: Checker, library: Library) -> None:
    """Report ops from beside the space, and a space from another file, whose names mean another op here than where they
    were written."""
    table = checker.table
    for one in list(table.named.values()):
        declared = one.declaration
        if not one.is_own and one.is_used and isinstance(declared, (OpDecl, GateDecl)):
            for name, here, span, meant in _others(declared, checker, library):
                is_ours = id(declared) in library.homes
                help = f", or make `{name}` a parameter of `{one.name}`" if is_ours else ""
                message = f"`{one.name}` uses another `{name}` than this space would give it"
                _tell_captured(checker, message, name, here, span, meant, help)
    space = checker.table.space.declaration
    if all(space is not one for one in library.own):
        for name, here, span, meant in _others(space, checker, library):
            if not here.is_own:
                message = f"space `{space.name}` uses another `{name}` than this file would give it"
                _tell_captured(checker, message, name, here, span, meant)


def _others(
    declared: Beside | SpaceDecl, checker: Checker, library: Library
) -> Iterator[tuple[str, Named, Span | None, object]]:
    """Names in `declared` that mean something else here, each once: what here, where they stand, what was meant."""
    home = library.homes.get(id(declared), {})
    local = {parameter.name for parameter in declared.params}
    for name, span in dict(reversed(list(_names_in(declared)))).items():
        meant: object = home.get(name) or prelude_ops().get(name) or OPS.get(name)
        here = checker.table.named.get(name)
        if name not in local and meant is not None and here is not None and here.declaration not in (meant, None):
            yield name, here, span, meant


def _tell_captured(
    checker: Checker, message: str, name: str, here: Named, span: Span | None, meant: object, help: str = ""
) -> None:
    checker.findings.add(
        "RS216",
        message,
        at_name(checker.findings, here.span, name),
        "it would use this one",
        others=[(at_name(checker.findings, span, name), f"it was written for {_origin(name, meant)}")],
        help=f"give this `{name}` a name of its own{help}",
    )


def _names_in(declared: Beside | SpaceDecl) -> Iterator[tuple[str, Span | None]]:
    for part in parts_of(declared):
        if isinstance(part, Name):
            yield part.id, part.span
        elif isinstance(part, Call):
            yield part.name, part.span


def _origin(name: str, meant: object) -> str:
    return f"the `{name}` beside it" if isinstance(meant, (OpDecl, GateDecl)) else f"the `{name}` every file knows"


def _unread(checker: Checker, beside: set[int], findings: Findings) -> None:
    for one in checker.table.named.values():
        if not one.is_used and one.kind in _CODES and (one.is_own or id(one.declaration) in beside):
            _warn(one, findings)
    for declared, parameter in checker.unread:
        if id(declared) in beside:
            _warn(Named(parameter.name, "a parameter", parameter.span), findings)


def _warn(one: Named, findings: Findings) -> None:
    if one.kind == "an attribute" and one.name == "stride":
        return
    what = one.kind.split(maxsplit=1)[1]
    verb = "uses" if one.kind in ("an op", "a gate", "an axis") else "reads"
    place = at_name(findings, one.span, one.name)
    findings.add(_CODES[one.kind], f"unused {what} `{one.name}`", place, f"nothing {verb} it", severity="warning")
