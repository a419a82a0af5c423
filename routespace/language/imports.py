"""Everything that a file declares or imports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from routespace.diagnostics import Findings, RouteError, Span, quoted, rename
from routespace.files import read_file
from routespace.language.parser import parse
from routespace.space.expr import File, GateDecl, ImportDecl, NetDecl, OpDecl, SpaceDecl, TopLevel, Union, Without
from routespace.space.names.table import at_name

MOST_OPEN = 100
MOST_FILES = 1000
LARGEST_FILE = 4 * 2**20

Beside: TypeAlias = OpDecl | GateDecl


@dataclass
class Library:
    """What a file can use, by name.

    `ops` are ops and gates. What an imported op needs comes along unless its name is taken; `homes` tells what the
    names of a file meant where an op was written. `missing` are names whose file could not be read, and `is_partial`
    says that part of this file could not.
    """

    spaces: dict[str, SpaceDecl] = field(default_factory=dict)
    ops: dict[str, Beside] = field(default_factory=dict)
    nets: dict[str, NetDecl] = field(default_factory=dict)
    own_spaces: list[str] = field(default_factory=list)
    own: tuple[TopLevel, ...] = ()
    homes: dict[int, dict[str, Beside]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    is_partial: bool = False


def read_text(path: Path, shown: str, span: Span | None, findings: Findings) -> str:
    """Text of a file; RS151 where it cannot be read as UTF-8."""
    try:
        return read_file(path, LARGEST_FILE).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        findings.add("RS151", f"cannot read {quoted(shown)}: {reason}", span)
        raise RouteError(findings.diagnostics, findings.sources) from None


def collect(file: File, path: Path, library: Library, findings: Findings, open_files: list[Path]) -> None:
    """Add what `file` declares and imports to `library`. `open_files` are the files that led here, itself the last."""
    _Collector(findings, open_files, {}).collect(file, path, library)


class _Collector:
    """Reads each file once. `ways` are the imports that opened the last of `open_files`."""

    def __init__(
        self,
        findings: Findings,
        open_files: list[Path],
        known: dict[Path, Library],
        ways: tuple[Span | None, ...] = (),
    ) -> None:
        self.findings = findings
        self.open_files, self.ways = open_files, ways
        self.known = known
        self.taken: dict[str, Span | None] = {}

    def collect(self, file: File, path: Path, library: Library) -> None:
        library.own = file.items
        along: list[Library] = []
        for item in file.items:
            match item:
                case ImportDecl():
                    inner = self.imported(item, path)
                    if inner is None:
                        library.missing.update(item.names)
                    else:
                        self.take(item, inner, library)
                        along.append(inner)
                case SpaceDecl() if self.declare(item.name, item.span):
                    library.spaces[item.name] = item
                    library.own_spaces.append(item.name)
                case OpDecl() | GateDecl() if self.declare(item.name, item.span):
                    library.ops[item.name] = item
                case NetDecl() if self.declare(item.name, item.span):
                    library.nets[item.name] = item
        home = dict(library.ops)
        library.homes.update((id(one), home) for one in file.items if isinstance(one, (SpaceDecl, OpDecl, GateDecl)))
        for inner in along:
            library.homes.update(inner.homes)
            library.missing |= inner.missing
            for name, op in inner.ops.items():
                library.ops.setdefault(name, op)
            for net in [net for net in library.nets.values() if inner.nets.get(net.name) is net]:
                self.along(net, inner, library)
        if not self.findings.has_errors:
            self.nets(file, library)

    def nets(self, file: File, library: Library) -> None:
        for item in file.items:
            if isinstance(item, NetDecl) and item.space not in {*library.spaces, *library.missing}:
                place = at_name(self.findings, item.span, item.space)
                message = f"net `{item.name}` is in an unknown space `{item.space}`"
                there = f"the spaces here are {', '.join(library.spaces)}" if library.spaces else None
                help = rename(item.space, library.spaces) or there or "import the space, or write it here"
                self.findings.add("RS201", message, place, help=help)

    def declare(self, name: str, span: Span | None) -> bool:
        if name in self.taken:
            others = [(at_name(self.findings, self.taken[name], name), "first here")]
            place = at_name(self.findings, span, name)
            self.findings.add("RS204", f"`{name}` is declared twice", place, "again here", others=others)
            return False
        self.taken[name] = span
        return True

    def take(self, item: ImportDecl, inner: Library, library: Library) -> None:
        """The names that an import asks for."""
        known = {**inner.spaces, **inner.ops, **inner.nets}
        for name in item.names:
            found = known.get(name)
            if found is None:
                if name not in inner.missing and not inner.is_partial:
                    help = rename(name, known)
                    place = at_name(self.findings, item.span, name)
                    self.findings.add("RS154", f"`{item.path}` declares no `{name}`", place, help=help)
                library.missing.add(name)
            elif self.declare(name, item.span):
                if isinstance(found, SpaceDecl):
                    library.spaces[name] = found
                elif isinstance(found, NetDecl):
                    library.nets[name] = found
                else:
                    library.ops[name] = found

    def along(self, net: NetDecl, inner: Library, library: Library) -> None:
        """The nets that an imported one is made of; a name that is another net here would change its meaning."""
        for name in made_of(net):
            found = inner.nets.get(name)
            if found is None or library.nets.get(name) is found:
                continue
            if name in library.nets:
                message = f"`{net.name}` is made of another net `{name}` than the one that is here"
                others = [(at_name(self.findings, library.nets[name].span, name), "here")]
                self.findings.add("RS204", message, at_name(self.findings, found.span, name), "it means", others=others)
                continue
            library.nets[name] = found
            self.along(found, inner, library)

    def imported(self, item: ImportDecl, path: Path) -> Library | None:
        """The library of an imported file; None, with a finding, where there is none."""
        span = _at_path(self.findings, item)
        if Path(item.path).is_absolute():
            message = f"`{item.path}` is not a relative path"
            self.findings.add("RS152", message, span, help="paths are relative to the file that imports")
            return None
        target = path.parent / item.path
        try:
            resolved = target.resolve()
        except (OSError, ValueError, RuntimeError) as error:
            self.findings.add("RS151", f"cannot read `{item.path}`: {error}", span)
            return None
        if resolved in self.open_files:
            circle = [*self.open_files[self.open_files.index(resolved) :], resolved]
            note = " → ".join(one.name for one in circle)
            between = self.ways[len(self.ways) - len(circle) + 2 :] if len(circle) > 2 else ()
            others = [(way, "by way of this") for way in between]
            message = f"`{item.path}` imports itself"
            self.findings.add("RS153", message, span, others=others, notes=[f"the circle is {note}"])
            return None
        if resolved in self.known:
            return self.known[resolved]
        if len(self.open_files) > MOST_OPEN or len(self.known) >= MOST_FILES:
            message = f"imports lead through more than {MOST_OPEN} files in a row, or {MOST_FILES} in all"
            self.findings.add("RS157", message, span)
            return None
        inner = Library()
        try:
            text = read_text(target, str(target), span, self.findings)
        except RouteError:
            return None
        self.known[resolved] = inner
        reader = _Collector(self.findings, [*self.open_files, resolved], self.known, (*self.ways, span))
        syntax = Findings()
        file = parse(text, str(target), syntax)
        self.findings.sources.update(syntax.sources)
        self.findings.extend(syntax.diagnostics)
        inner.is_partial = syntax.has_errors
        reader.collect(file, target, inner)
        return inner


def made_of(net: NetDecl) -> Iterator[str]:
    """Names of the nets that `net` takes in or leaves out."""
    for part in net.parts:
        inner = part.part if isinstance(part, Without) else part
        if isinstance(inner, Union):
            yield from inner.nets


def _at_path(findings: Findings, item: ImportDecl) -> Span | None:
    """Where the path of an import stands."""
    source = findings.sources.get(item.span.path) if item.span else None
    at = source.text.find(f'"{item.path}"', item.span.start, item.span.end) if source and item.span else -1
    return Span(item.span.path, at, at + len(item.path) + 2) if item.span and at >= 0 else item.span
