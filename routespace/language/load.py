"""Text → Space: read a file, follow its imports, choose the space, bind its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from routespace.diagnostics import Diagnostic, Findings, Label, RouteError, Span, did_you_mean
from routespace.language.names import check_names
from routespace.language.parser import parse
from routespace.space.expr import (
    Clause,
    Expr,
    File,
    GateDecl,
    ImportDecl,
    Items,
    Name,
    NetDecl,
    Number,
    OpDecl,
    SpaceDecl,
)
from routespace.space.model import Binding, ParameterValue, Space, to_expr
from routespace.space.policies import POLICIES
from routespace.space.registry import OPS

PRELUDE = Path(__file__).with_name("prelude.route")
MOST_FILES = 100
LARGEST_FILE = 4 * 2**20

_prelude: File | None = None


@dataclass
class Library:
    """Everything a file declares or imports, by name."""

    spaces: dict[str, SpaceDecl] = field(default_factory=dict)
    ops: dict[str, OpDecl | GateDecl] = field(default_factory=dict)
    nets: dict[str, NetDecl] = field(default_factory=dict)
    own_spaces: list[str] = field(default_factory=list)


def load(
    path: str | Path, *, space: str | None = None, findings: Findings | None = None, **given: ParameterValue
) -> Space:
    """The space in the `.route` file at `path`.

    `space` chooses one where the file has several. Further arguments are parameters (numbers, yes/no as bool, op
    names as str, lists) or policies (`live="always"`) of the space. Raises `RouteError`; its `str()` is the report.
    """
    found = findings if findings is not None else Findings()
    text = read_text(Path(path), str(path), None, found)
    return _space(text, str(path), Path(path), space, given, found, findings is None)


def loads(
    text: str,
    *,
    path: str = "<text>",
    space: str | None = None,
    findings: Findings | None = None,
    **given: ParameterValue,
) -> Space:
    """The space in `text`; imports are relative to the working directory. Otherwise as `load`.

    >>> space = loads('''space tiny(width = 8) {
    ...   input image: 3
    ...   output y = image | conv(3, width)
    ... }''', width=4)
    >>> space.parameter("width")
    4
    """
    found = findings if findings is not None else Findings()
    return _space(text, path, Path(path), space, given, found, findings is None)


def read_text(path: Path, shown: str, span: Span | None, findings: Findings) -> str:
    """Text of a file; RS151 where it cannot be read as UTF-8."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise OSError(f"it is larger than {LARGEST_FILE} bytes")
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        findings.add("RS151", f"cannot read `{shown}`: {reason}", span)
        raise RouteError(findings.diagnostics, findings.sources) from None


def _space(
    text: str,
    shown: str,
    path: Path,
    wanted: str | None,
    given: Mapping[str, ParameterValue],
    findings: Findings,
    strict: bool,
) -> Space:
    file = parse(text, shown, findings)
    library = Library()
    collect(file, path, library, findings, [path.resolve()])
    if findings.has_errors and not library.spaces:
        findings.raise_errors()
    chosen = _choose(library, wanted, shown, findings)
    space = bind(chosen, library, given, findings)
    check_names(space, library.nets.values(), findings)
    if strict or findings.has_errors:
        findings.raise_errors()
    return space


def collect(file: File, path: Path, library: Library, findings: Findings, open_files: list[Path]) -> None:
    """Add what `file` declares to `library`, imports first."""
    taken: dict[str, Span | None] = {}

    def declare(name: str, span: Span | None) -> bool:
        if name in taken:
            findings.add(
                "RS204", f"`{name}` is declared twice", span, "again here", others=[(taken[name], "first here")]
            )
            return False
        taken[name] = span
        return True

    for item in file.items:
        match item:
            case ImportDecl():
                _import(item, path, library, findings, open_files, declare)
            case SpaceDecl() if declare(item.name, item.span):
                library.spaces[item.name] = item
                library.own_spaces.append(item.name)
            case OpDecl() | GateDecl() if declare(item.name, item.span):
                library.ops[item.name] = item
            case NetDecl() if declare(item.name, item.span):
                library.nets[item.name] = item


def _import(
    item: ImportDecl,
    path: Path,
    library: Library,
    findings: Findings,
    open_files: list[Path],
    declare: object,
) -> None:
    assert callable(declare)
    target = path.parent / item.path
    if target.is_absolute() != path.parent.is_absolute() and Path(item.path).is_absolute():
        findings.add(
            "RS152", f"`{item.path}` is not a relative path", item.span, help="imports are relative to the file"
        )
        return
    resolved = target.resolve()
    if resolved in open_files:
        findings.add(
            "RS153",
            f"`{item.path}` imports itself",
            item.span,
            notes=[" → ".join(p.name for p in [*open_files, resolved])],
        )
        return
    if len(open_files) > MOST_FILES:
        findings.add("RS153", "imports are nested too deeply", item.span)
        return
    inner = Library()
    shown = str(target)
    try:
        text = read_text(target, shown, item.span, findings)
        collect(parse(text, shown, findings), target, inner, findings, [*open_files, resolved])
    except RouteError:
        return
    known = {**inner.spaces, **inner.ops, **inner.nets}
    for name in item.names:
        if name not in known:
            findings.add("RS154", f"`{item.path}` declares no `{name}`", item.span, help=did_you_mean(name, known))
            continue
        if declare(name, item.span):
            found = known[name]
            if isinstance(found, SpaceDecl):
                library.spaces[name] = found
            elif isinstance(found, NetDecl):
                library.nets[name] = found
    for name, op in inner.ops.items():
        library.ops.setdefault(name, op)


def _choose(library: Library, wanted: str | None, shown: str, findings: Findings) -> SpaceDecl:
    if wanted is not None:
        if wanted in library.spaces:
            return library.spaces[wanted]
        findings.add("RS155", f"`{shown}` has no space `{wanted}`", help=did_you_mean(wanted, library.spaces))
    elif len(library.own_spaces) == 1:
        return library.spaces[library.own_spaces[0]]
    elif not library.own_spaces and len(library.spaces) == 1:
        return next(iter(library.spaces.values()))
    elif not library.spaces:
        findings.add("RS156", f"`{shown}` declares no space", help="write `space NAME { … }`")
    else:
        names = ", ".join(library.own_spaces or library.spaces)
        findings.add("RS155", f"`{shown}` has several spaces: {names}", help="choose one by name")
    raise RouteError(findings.diagnostics, findings.sources)


def bind(declared: SpaceDecl, library: Library, given: Mapping[str, ParameterValue], findings: Findings) -> Space:
    """`declared` with its parameters bound to what is given, else to their defaults."""
    names = {parameter.name: parameter for parameter in declared.params}
    if len(names) < len(declared.params):
        findings.add("RS204", "a parameter is declared twice", declared.span)
    values: dict[str, Expr] = {}
    overrides: list[Clause] = []
    for name, value in given.items():
        try:
            expr = to_expr(value)
        except TypeError:
            findings.add("RS211", f"`{name}` cannot be {value!r}")
            continue
        if name in names:
            values[name] = expr
            _same_kind(name, names[name].default, expr, names[name].span, findings)
        elif name in POLICIES:
            overrides.append(Clause(name, expr))
        else:
            findings.add(
                "RS210",
                f"space `{declared.name}` has no parameter `{name}`",
                help=did_you_mean(name, [*names, *POLICIES]) or f"it has {', '.join(names) or 'none'}",
            )
    bound: list[Binding] = []
    for parameter in declared.params:
        chosen = values.get(parameter.name, parameter.default)
        if chosen is None:
            findings.add("RS212", f"parameter `{parameter.name}` needs a value", parameter.span)
            chosen = Number(1)
        bound.append(Binding(parameter.name, chosen))
    ops = {item.name: item for item in prelude().items if isinstance(item, OpDecl)}
    nets = tuple(net for net in library.nets.values() if net.space == declared.name)
    return Space(
        declared,
        tuple(bound),
        tuple(overrides),
        tuple({**ops, **library.ops}.values()),
        nets,
        tuple(findings.sources.values()),
    )


def prelude() -> File:
    """The declarations every file can use."""
    global _prelude
    if _prelude is None:
        findings = Findings()
        _prelude = parse(PRELUDE.read_text("utf-8"), PRELUDE.name, findings)
        findings.raise_errors()
    return _prelude


def _same_kind(name: str, default: Expr | None, value: Expr, span: Span | None, findings: Findings) -> None:
    if default is None:
        return
    kinds = (_kind(default), _kind(value))
    if kinds[0] == kinds[1] or (kinds[0] in ("an op", "a list") and kinds[1] in ("an op", "a list")):
        return
    if isinstance(default, (Number, Name, Items)):
        findings.add("RS211", f"parameter `{name}` is {kinds[0]}, not {kinds[1]}", span, "declared here")


def _kind(value: Expr) -> str:
    match value:
        case Name(id="yes" | "no"):
            return "yes or no"
        case Name():
            return "an op"
        case Items():
            return "a list"
    return "a number"


def diagnostic_label(span: Span | None, text: str) -> Label:
    return Label(span, text)


__all__ = ["OPS", "Diagnostic", "Library", "bind", "collect", "load", "loads", "prelude", "read_text"]
