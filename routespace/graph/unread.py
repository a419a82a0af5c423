"""What a space makes for nobody, told as warnings: nodes, equations, branches and gates that no output reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from routespace.diagnostics import Findings
from routespace.graph.draft import Draft, Part, Streams
from routespace.space.expr import Choice, Equation
from routespace.space.walk import name_of, names_in

Key: TypeAlias = "tuple[str, object]"


@dataclass(frozen=True, slots=True)
class _Unit:
    """Something that is there for nobody: a node that is not read, or a statement or branch of nodes that are."""

    node: str
    part: Part
    branch: str = ""
    draft: Draft | None = None


class Unread:
    """Looks through a space whose drafts in `live` some output reads, of those that `exist`.

    `renamed` are the names under which drafts read what other equations only gave another name. What is made for
    nobody is told where the way ends that it is read on: what leads there would exist if that did.
    """

    def __init__(self, streams: Streams, exist: set[str], live: set[str], renamed: Mapping[str, Sequence[str]]) -> None:
        self.streams, self.drafts, self.aliases = streams, streams.drafts, streams.aliases
        self.exist, self.live, self.renamed = exist, live, renamed
        self.seconds = set(self._named(name for reader in renamed if reader in live for name in renamed[reader]))
        self.nodes = {draft.node for name, draft in self.drafts.items() if name in live}
        self.nodes.update(map(_node_of, self.seconds))

    def _named(self, names: Iterable[str]) -> Iterator[str]:
        """The names, of those given and on the way from there, that are second names of other streams."""
        seen: set[str] = set()
        for name in names:
            while name in self.aliases and name not in seen:
                seen.add(name)
                yield name
                name = self.aliases[name] or ""

    def tell(self, findings: Findings) -> None:
        """Add a warning for each cause."""
        units = self._units()
        ends, circles = _ends(units, self._reads(units))
        rules = {place.name: place.declaration for place in self.streams.places} if units else {}
        for key in (*ends, *circles):
            unit = units[key]
            if unit.node in self.nodes:
                self._tell(unit, findings, key in ends)
            else:
                rule = rules[unit.node]
                message = f"node `{unit.node}` is dropped: no output reads what it makes"
                findings.add("RS901", message, rule.span, severity="warning", key=id(rule))
        for one in self.streams.conditions.values():
            if not one.holds and not self.nodes.isdisjoint(one.fails):
                message = f"route `{one.branch.name}` is dropped: its condition holds nowhere"
                findings.add("RS902", message, one.branch.span, severity="warning")

    def _units(self) -> dict[Key, _Unit]:
        """What exists somewhere and is read nowhere."""
        found: dict[Key, _Unit] = {}
        read: set[Key] = set()
        dead = self.exist - self.live
        for name, draft in self.drafts.items() if dead else ():
            if draft.part is None:
                continue
            branch = _last(name) if draft.kind == "route" and draft.sends else ""
            if name in self.live:
                read.add((branch, id(draft.part)))
            elif name in dead:
                key = self._key(name)
                assert key is not None
                found.setdefault(key, _Unit(draft.node, draft.part, branch, draft))
        for name, part in self.streams.renames.items():
            key = self._key(name)
            if key is not None and self.streams.resolve(name) in self.exist:
                if name in self.seconds:
                    read.add(key)
                else:
                    found.setdefault(key, _Unit(_node_of(name), part))
        return {key: unit for key, unit in found.items() if key not in read}

    def _key(self, name: str) -> Key | None:
        """What a stream stands or falls with; None for those of outputs and inputs."""
        draft = self.drafts.get(name)
        if draft is None:
            part: Part | None = self.streams.renames.get(name)
            node = _node_of(name)
        else:
            part, node = draft.part, draft.node
        if part is None:
            return None
        if node not in self.nodes:
            return "node", node
        if draft is not None and draft.kind == "route" and draft.sends:
            return _last(name), id(part)
        return "", id(part)

    def _reads(self, units: Mapping[Key, _Unit]) -> dict[Key, set[Key]]:
        """The units that each unit reads."""
        found: dict[Key, set[Key]] = {key: set() for key in units}
        for name in self.exist - self.live:
            reader = self._key(name)
            if reader in found:
                for read in (*self.drafts[name].reads, *self.renamed.get(name, ())):
                    found[reader].add(self._key(read) or reader)
        for name, target in self.aliases.items():
            reader = self._key(name)
            if reader in found and name not in self.seconds:
                found[reader].add(self._key(target or "") or reader)
        return {reader: {read for read in reads if read != reader and read in units} for reader, reads in found.items()}

    def _tell(self, unit: _Unit, findings: Findings, is_end: bool) -> None:
        part = unit.part
        if unit.branch:
            span = unit.draft.span if unit.draft is not None else None
            message = f"route `{unit.branch}` is dropped: nothing reads it"
            findings.add("RS902", message, span, severity="warning")
        elif isinstance(part, Choice):
            return
        elif unit.draft is not None and unit.draft.kind == "gate" and name_of(part.value) in self.streams.scope.gates:
            message = f"gate `{part.name}` decides nothing: no choice is by it"
            findings.add("RS903", message, unit.draft.span, severity="warning")
        else:
            notes = []
            if is_end and part.name in self._mentioned:
                given = " with these parameters" if self.streams.scope.parameters else ""
                notes.append(f"what reads it in the text makes nothing{given}")
            message = f"stream `{part.name}` is dropped: no output reads it"
            findings.add("RS913", message, part.span, notes=notes, severity="warning")

    @cached_property
    def _mentioned(self) -> set[str]:
        """Names that equations read in the text, wherever that comes to something, each but its own."""
        scope = self.streams.scope
        parts = [part for node in scope.nodes for part in node.body]
        equations = [part for part in parts if isinstance(part, Equation)]
        named = (names_in([part.value]) - {part.name} for part in equations)
        return names_in([*(part for part in parts if isinstance(part, Choice)), *scope.outputs]).union(*named)


def _ends(units: Mapping[Key, _Unit], reads: Mapping[Key, set[Key]]) -> tuple[dict[Key, None], list[Key]]:
    """Units that no other unit reads, and one of each circle that nothing outside of it reads."""
    inner = {read for found in reads.values() for read in found}
    ends = dict.fromkeys(key for key in units if key not in inner)
    circles: list[Key] = []
    seen = set(ends)
    _reach(ends, reads, seen)
    for key, unit in units.items():
        if key not in seen and (unit.branch or isinstance(unit.part, Equation)):
            circles.append(key)
            seen.add(key)
            _reach([key], reads, seen)
    return ends, circles


def _reach(starts: Iterable[Key], edges: Mapping[Key, Iterable[Key]], found: set[Key]) -> None:
    """Add to `found` what is reached from `starts`."""
    waiting = list(starts)
    while waiting:
        for one in edges[waiting.pop()]:
            if one not in found:
                found.add(one)
                waiting.append(one)


def _node_of(name: str) -> str:
    return name.rpartition(".")[0]


def _last(name: str) -> str:
    return name.rpartition(".")[2]
