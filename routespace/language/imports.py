"""Everything that a file declares or imports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from routespace.diagnostics import Findings, Span, listed, quoted, rename
from routespace.language.parser import parse
from routespace.language.texts import reason_of, resolved, root_of, short_path, text_at
from routespace.space.expr import File, GateDecl, ImportDecl, NetDecl, OpDecl, SpaceDecl, TopLevel, Union, Without
from routespace.space.names.table import at_name

MOST_OPEN = 100
MOST_FILES = 1000
MOST_PATHS = 10_000
MOST_PATH = 1000
MOST_TEXT = 4 * 2**20
MOST_CARRIED = 1_000_000
MOST_SUGGESTIONS = 60

OUTSIDE = "it is outside of the folder that imports may read from"

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


def collect(file: File, path: Path, library: Library, findings: Findings, root: Path | str | None = None) -> None:
    """Add what `file`, which stands at `path`, declares and imports to `library`. Imports read nothing outside of
    `root`; without one, of that of the file."""
    reading = _Reading(root_of(path) if root is None else resolved(Path(root)))
    _Collector(findings, reading, [resolved(path)]).collect(file, path, library)


@dataclass
class _Reading:
    """What was read for one space so far. `paths` are where the imports lead, by what they say; `known` the libraries
    of the files that were looked at, None where one could not be read."""

    root: Path
    paths: dict[str, Path | str] = field(default_factory=dict)
    known: dict[Path, Library | None] = field(default_factory=dict)
    size: int = 0
    carried: int = 0
    is_full: bool = False

    def follow(self, target: Path) -> Path | str:
        """The file that `target` is, or why it cannot be read."""
        found = self.paths.get(str(target))
        if found is None:
            found = self.paths[str(target)] = self._followed(target)
        return found

    def _followed(self, target: Path) -> Path | str:
        try:
            found = target.resolve()
            if not found.is_relative_to(self.root):
                return OUTSIDE
            if found.suffix.lower() != ".route" and not found.is_dir():
                return "imports read files whose names end in `.route`"
            return found
        except (OSError, ValueError, RuntimeError) as error:
            return reason_of(error)


class _Collector:
    """Reads each file once. `open_files` led here, the one that is read the last; `ways` are the imports between."""

    def __init__(
        self, findings: Findings, reading: _Reading, open_files: list[Path], ways: tuple[Span | None, ...] = ()
    ) -> None:
        self.findings, self.reading = findings, reading
        self.open_files, self.ways = open_files, ways
        self.taken: dict[str, Span | None] = {}

    def collect(self, file: File, path: Path, library: Library) -> None:
        library.own = file.items
        along: dict[int, Library] = {}
        for item in file.items:
            match item:
                case ImportDecl():
                    inner = self.imported(item, path)
                    if inner is None:
                        library.missing.update(item.names)
                    else:
                        self.take(item, inner, library)
                        along[id(inner)] = inner
                case SpaceDecl() if self.declare(item.name, item.span):
                    library.spaces[item.name] = item
                    library.own_spaces.append(item.name)
                case OpDecl() | GateDecl() if self.declare(item.name, item.span):
                    library.ops[item.name] = item
                case NetDecl() if self.declare(item.name, item.span):
                    library.nets[item.name] = item
        home = dict(library.ops)
        library.homes.update((id(one), home) for one in file.items if isinstance(one, (SpaceDecl, OpDecl, GateDecl)))
        for inner in along.values():
            if self.is_too_much(len(inner.homes) + len(inner.ops) + len(library.nets)):
                break
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
            if not isinstance(item, NetDecl) or item.space in library.spaces or item.space in library.missing:
                continue
            help = None
            if self.findings.count < MOST_SUGGESTIONS:
                there = f"the spaces here are {listed(library.spaces)}" if library.spaces else None
                help = rename(item.space, library.spaces) or there or "import the space, or write it here"
            place = at_name(self.findings, item.span, item.space)
            self.findings.add("RS201", f"net `{item.name}` is in an unknown space `{item.space}`", place, help=help)

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
        for name in item.names:
            found = inner.spaces.get(name) or inner.ops.get(name) or inner.nets.get(name)
            if found is None:
                if name not in inner.missing and not inner.is_partial:
                    known = (*inner.spaces, *inner.ops, *inner.nets)
                    help = rename(name, known) if self.findings.count < MOST_SUGGESTIONS else None
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
        reading = self.reading
        if reading.is_full:
            return None
        span = _at_path(self.findings, item)
        if len(item.path) > MOST_PATH:
            self.unread(item, span, f"its path has {len(item.path)} characters; at most {MOST_PATH} are possible")
            return None
        if Path(item.path).is_absolute():
            message = f"`{short_path(item.path)}` is not a relative path"
            self.findings.add("RS152", message, span, help="paths are relative to the file that imports")
            return None
        target = path.parent / item.path
        found = reading.follow(target)
        if isinstance(found, Path) and found in self.open_files:
            self.circle(item, span, found)
        elif isinstance(found, Path) and found in reading.known:
            known = reading.known[found]
            if known is None:
                self.unread(item, span, "it could not be read before")
            return known
        elif len(self.open_files) > MOST_OPEN or len(reading.known) >= MOST_FILES or len(reading.paths) > MOST_PATHS:
            self.full(span)
        elif isinstance(found, Path):
            return self.read(item, span, target, found)
        else:
            self.unread(item, span, found)
        return None

    def read(self, item: ImportDecl, span: Span | None, target: Path, found: Path) -> Library | None:
        reading = self.reading
        reading.known[found] = None
        try:
            text = text_at(found)
        except (OSError, ValueError) as error:
            self.unread(item, span, reason_of(error))
            return None
        reading.size += len(text)
        if reading.size > MOST_TEXT:
            self.full(span)
            return None
        inner = reading.known[found] = Library()
        reader = _Collector(self.findings, reading, [*self.open_files, found], (*self.ways, span))
        syntax = Findings()
        file = parse(text, str(target), syntax)
        self.findings.sources.update(syntax.sources)
        self.findings.extend(syntax.diagnostics)
        inner.is_partial = syntax.has_errors
        reader.collect(file, target, inner)
        return inner

    def unread(self, item: ImportDecl, span: Span | None, reason: str) -> None:
        help = "name a folder that holds both: `root = …` from Python, `--root …` on the command line"
        message = f"cannot read {quoted(short_path(item.path))}: {reason}"
        self.findings.add("RS151", message, span, help=help if reason is OUTSIDE else None)

    def circle(self, item: ImportDecl, span: Span | None, found: Path) -> None:
        circle = [*self.open_files[self.open_files.index(found) :], found]
        note = " → ".join(one.name for one in circle)
        between = self.ways[len(self.ways) - len(circle) + 2 :] if len(circle) > 2 else ()
        others = [(way, "by way of this") for way in between]
        notes = [f"the circle is {note}"]
        self.findings.add("RS153", f"`{item.path}` imports itself", span, others=others, notes=notes)

    def full(self, span: Span | None) -> None:
        """Report that no more is read."""
        self.reading.is_full = len(self.open_files) <= MOST_OPEN
        message = (
            f"imports lead through more than {MOST_OPEN} files in a row, {MOST_FILES} in all, or {MOST_TEXT} characters"
        )
        self.findings.add("RS157", message, span)

    def is_too_much(self, declarations: int) -> bool:
        """Count declarations that an import brings along; whether they are too many."""
        self.reading.carried += declarations
        if self.reading.carried > MOST_CARRIED and not self.reading.is_full:
            self.full(None)
        return self.reading.is_full


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
