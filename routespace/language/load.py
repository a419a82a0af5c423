"""Text → Space: read a file, follow its imports, choose the space, bind its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from routespace.diagnostics import Findings, RouteError, Span, did_you_mean, listed
from routespace.language.imports import Library, collect
from routespace.language.names import check_names
from routespace.language.parser import parse
from routespace.language.prelude import prelude_ops, prelude_source
from routespace.language.texts import read_text
from routespace.space.expr import Binary, Clause, Expr, Items, Name, Number, OpDecl, SpaceDecl
from routespace.space.model import Binding, ParameterValue, Space, to_expr
from routespace.space.names import problem_of
from routespace.space.names.lookup import MOST_PLACES
from routespace.space.names.table import at_name
from routespace.space.policies import POLICIES
from routespace.space.registry import OPS

RESERVED = ("text", "path", "space", "root", "findings")
"""What `loads` itself is given by name, and so no parameter can be."""


def load(
    path: str | Path,
    *,
    space: str | None = None,
    root: str | Path | None = None,
    findings: Findings | None = None,
    **given: ParameterValue,
) -> Space:
    """The space in the `.route` file at `path` with its names looked up, and nothing computed or built yet.

    Arguments and errors are those of `routespace.load`, which goes on from here.
    """
    found = findings if findings is not None else Findings()
    try:
        text = read_text(Path(path), str(path))
    except RouteError as error:
        found.extend(error.diagnostics)
        raise RouteError(found.diagnostics, found.sources) from None
    return _space(text, str(path), Path(path), space, root, given, found, findings is None)


def loads(
    text: str,
    *,
    path: str = "<text>",
    space: str | None = None,
    root: str | Path | None = None,
    findings: Findings | None = None,
    **given: ParameterValue,
) -> Space:
    """The space in `text`; imports are relative to the working directory. Otherwise as `load`."""
    found = findings if findings is not None else Findings()
    return _space(text, path, Path(path), space, root, given, found, findings is None)


def _space(
    text: str,
    shown: str,
    path: Path,
    wanted: str | None,
    root: str | Path | None,
    given: Mapping[str, ParameterValue],
    findings: Findings,
    strict: bool,
) -> Space:
    library = read_library(text, shown, path, findings, root)
    if findings.has_errors and not library.spaces:
        findings.raise_errors()
    chosen = _choose(library, wanted, shown, findings)
    space = space_of(chosen, library, given, findings)
    if strict or findings.has_errors:
        findings.raise_errors()
    return space


def read_library(text: str, shown: str, path: Path, findings: Findings, root: str | Path | None = None) -> Library:
    """Everything that `text` declares or imports; `path` is where its imports start from, `shown` its name, and `root`
    the folder that they may not leave."""
    library = Library()
    collect(parse(text, shown, findings), path, library, findings, root)
    return library


def space_of(declared: SpaceDecl, library: Library, given: Mapping[str, ParameterValue], findings: Findings) -> Space:
    """A space of `library` with its parameters bound and its names checked; what is wrong goes to `findings`."""
    space = bind(declared, library, given, findings)
    check_names(space, findings, library)
    return space


_CHOOSE = 'choose one by its name: `space="NAME"` from Python, `--space NAME` on the command line'


def _choose(library: Library, wanted: str | None, shown: str, findings: Findings) -> SpaceDecl:
    names = library.own_spaces or list(library.spaces)
    told = names[: MOST_PLACES + 1]
    places = [(at_name(findings, library.spaces[name].span, name), f"space `{name}`") for name in told]
    here, *others = places or [(None, "")]
    if wanted is not None:
        if wanted in library.spaces:
            return library.spaces[wanted]
        help = did_you_mean(wanted, library.spaces)
        findings.add("RS155", f"`{shown}` has no space `{wanted}`", *here, others=others, help=help)
    elif len(library.own_spaces) == 1:
        return library.spaces[library.own_spaces[0]]
    elif not library.own_spaces and len(library.spaces) == 1:
        return next(iter(library.spaces.values()))
    elif not library.spaces:
        findings.add("RS156", f"`{shown}` declares no space", Span(shown, 0, 0), help="write `space NAME { … }`")
    else:
        findings.add("RS155", f"`{shown}` has several spaces: {listed(names)}", *here, others=others, help=_CHOOSE)
    raise RouteError(findings.diagnostics, findings.sources)


def bind(declared: SpaceDecl, library: Library, given: Mapping[str, ParameterValue], findings: Findings) -> Space:
    """`declared` with its parameters bound to what is given, else to their defaults."""
    binder = _Binder(declared, library, findings)
    for name, value in given.items():
        binder.give(name, value)
    sources = {**findings.sources, prelude_source().path: prelude_source()}
    findings.sources.update(sources)
    return Space(
        declared,
        tuple(binder.bound()),
        tuple(binder.overrides),
        tuple({**prelude_ops(), **library.ops}.values()),
        tuple(net for net in library.nets.values() if net.space == declared.name),
        tuple(sources.values()),
    )


class _Binder:
    """Values for the parameters of one space."""

    def __init__(self, declared: SpaceDecl, library: Library, findings: Findings) -> None:
        self.declared, self.findings = declared, findings
        self.params = {parameter.name: parameter for parameter in declared.params}
        own = (item.name for item in declared.body if isinstance(item, OpDecl))
        self.ops = {*prelude_ops(), *library.ops, *own, *OPS}
        self.values: dict[str, Expr] = {}
        self.overrides: list[Clause] = []

    def give(self, name: str, value: ParameterValue) -> None:
        """Take a value given from outside for a parameter or a policy."""
        try:
            expr = to_expr(value)
            problem = problem_of(expr)
        except (TypeError, RecursionError):
            problem = "a value is a number, yes or no, the name of an op, or a list of them"
        head = at_name(self.findings, self.declared.span, self.declared.name)
        if name not in self.params and name not in POLICIES:
            near = did_you_mean(name, [*self.params, *POLICIES])
            help = near or f"its parameters are {listed(self.params) or 'none'}"
            message = f"space `{self.declared.name}` has no parameter `{name}`"
            self.findings.add("RS210", message, head, f"`{name}` is given from outside", help=help, key=name)
        elif problem is not None:
            place = self.params[name].span if name in self.params else head
            message = f"`{name}` cannot be {_shown(value)}: {problem}"
            self.findings.add("RS211", message, place, "given from outside", key=name)
        elif name in self.params:
            if self.is_same_kind(name, expr):
                self.values[name] = expr
        else:
            self.overrides.append(Clause(name, expr))

    def bound(self) -> list[Binding]:
        bindings: list[Binding] = []
        for parameter in self.declared.params:
            chosen = self.values.get(parameter.name, parameter.default)
            if chosen is None:
                help = f"give it a default, or a value from outside: `{parameter.name} = …`"
                self.findings.add("RS212", f"parameter `{parameter.name}` needs a value", parameter.span, help=help)
                chosen = Number(1)
            bindings.append(Binding(parameter.name, chosen))
        return bindings

    def is_same_kind(self, name: str, value: Expr) -> bool:
        """Whether a value is of the kind that the default is; reported where it is not."""
        default, kind = self.kind(self.params[name].default), self.kind(value)
        if isinstance(value, Name) and kind is None and default not in ("an op", "a list", None):
            kind = f"`{value.id}`"
        if default is None or kind is None or default == kind or {default, kind} == {"an op", "a list"}:
            return True
        place = at_name(self.findings, self.params[name].span, name)
        self.findings.add("RS211", f"parameter `{name}` is {default}, not {kind}", place, "declared here")
        return False

    def kind(self, value: Expr | None) -> str | None:
        """What `value` is, in words; None where that cannot be told from it alone."""
        match value:
            case None:
                return None
            case Name(id="yes" | "no"):
                return "yes or no"
            case Name():
                return "an op" if value.id in self.ops else None
            case Items():
                return "a list"
            case Number() | Binary(op="-" | "*" | "/" | "^"):
                return "a number"
        return None


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # a value of any class, whose repr may do anything
        text = type(value).__name__
    return f"`{text}`" if len(text) <= 60 else f"`{text[:56]} …`"


__all__ = ["Library", "bind", "collect", "load", "loads"]
