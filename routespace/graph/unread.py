"""What a space makes for nobody, told as warnings: nodes, equations, branches and gates that no output reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from routespace.diagnostics import Findings
from routespace.graph.draft import Draft, Part, Streams
from routespace.graph.walk import names_in
from routespace.space.expr import Choice, Equation


class Unread:
    """Looks through a space whose drafts in `live` some output reads, of those that `exist`.

    `renamed` are the names under which drafts read what other equations only gave another name. What is made for
    nobody is told where the way ends that it is read on: what leads there would exist if that did.
    """

    def __init__(self, streams: Streams, exist: set[str], live: set[str], renamed: Mapping[str, Sequence[str]]) -> None:
        self.streams, self.drafts = streams, streams.drafts
        self.exist, self.live, self.renamed = exist, live, renamed
        self.read = live | set(self._aliases(name for reader in live for name in renamed.get(reader, ())))
        self.nodes = {self.drafts[name].node for name in live} | {name.rpartition(".")[0] for name in self.read - live}

    def _aliases(self, names: Iterable[str]) -> Iterator[str]:
        """The given names of streams that have another one too, and the names on the way there."""
        aliases, seen = self.streams.aliases, set()
        for name in names:
            while name in aliases and name not in seen:
                seen.add(name)
                yield name
                name = aliases[name] or ""

    def tell(self, findings: Findings) -> None:
        """Add a warning for each cause."""
        unread = self._equations()
        told = [*self._nodes(findings), *self._gates(findings), *self._branches(findings, unread)]
        self._conditions(findings)
        self._ends(findings, unread, told)

    def _nodes(self, findings: Findings) -> Iterator[Part]:
        for place in self.streams.places:
            if place.name in self.nodes:
                continue
            made = (f"{place.name}.{stream}" for stream in self.streams.made(place.declaration).all)
            if any(self.streams.resolve(name) in self.exist for name in made):
                message = f"node `{place.name}` does not exist: no output reads what it makes"
                findings.add("RS901", message, place.declaration.span, severity="warning")
                yield from place.declaration.body

    def _gates(self, findings: Findings) -> Iterator[Part]:
        deciding = {draft.gate for draft in self.drafts.values() if draft.gate}
        for name, draft in self.drafts.items():
            if draft.kind == "gate" and name not in deciding:
                message = f"gate `{name.rpartition('.')[2]}` decides nothing: no choice is by it"
                findings.add("RS903", message, draft.span, severity="warning")
                if draft.part is not None:
                    yield draft.part

    def _branches(self, findings: Findings, unread: Mapping[int, Equation]) -> Iterator[Part]:
        """Branches of nodes that are read, themselves read at no place. Those of unread equations go with them."""
        sent: dict[int, list[Draft]] = {}
        for draft in self.drafts.values():
            if draft.kind == "route" and id(draft.part) not in unread:
                sent.setdefault(id(draft.span), []).append(draft)
        for drafts in sent.values():
            first = drafts[0]
            if first.span is None or first.node not in self.nodes or any(draft.name in self.live for draft in drafts):
                continue
            name = first.name.rpartition(".")[2]
            findings.add("RS902", f"route `{name}` does not exist: nothing reads it", first.span, severity="warning")
            if first.part is not None:
                yield first.part

    def _conditions(self, findings: Findings) -> None:
        for branch, holds in self.streams.conditions.values():
            if not holds:
                message = f"route `{branch.name}` does not exist: its condition holds nowhere"
                findings.add("RS902", message, branch.span, severity="warning")

    def _equations(self) -> dict[int, Equation]:
        """Equations of nodes that are read whose own stream exists somewhere and is read nowhere."""
        found: dict[int, Equation] = {}
        read: set[int] = set()
        for place in self.streams.places:
            for part in place.declaration.body:
                if not isinstance(part, Equation) or id(part) in read:
                    continue
                name = f"{place.name}.{part.name}"
                stream = self.streams.resolve(name)
                if stream is None or stream not in self.exist:
                    continue
                if name in self.read or self.drafts[stream].kind == "gate":
                    read.add(id(part))
                elif place.name in self.nodes:
                    found.setdefault(id(part), part)
        return {key: part for key, part in found.items() if key not in read}

    def _ends(self, findings: Findings, unread: Mapping[int, Equation], told: Iterable[Part]) -> None:
        """Tell the equations that nothing unread reads in turn, unless what reads them was told."""
        reads = self._dead_reads()
        explained: set[int] = set()
        _reach((id(part) for part in told), reads, explained)
        inner = {one for key in unread for one in reads.get(key, ())}
        ends = [part for key, part in unread.items() if key not in inner and key not in explained]
        mentioned = self._mentioned() if ends else set()
        for part in ends:
            notes = []
            if part.name in mentioned:
                given = " with these parameters" if self.streams.scope.parameters else ""
                notes.append(f"what reads it in the text makes nothing{given}")
            message = f"stream `{part.name}` does not exist: no output reads it"
            findings.add("RS913", message, part.span, notes=notes, severity="warning")

    def _dead_reads(self) -> dict[int, set[int]]:
        """The statements that each statement reads in what it makes for nobody."""
        reads: dict[int, set[int]] = {}
        for name in self.exist - self.live:
            draft = self.drafts[name]
            for read in (*draft.reads, *self.renamed.get(name, ())):
                self._link(reads, draft.part, read)
        for name, target in self.streams.aliases.items():
            if name not in self.read:
                self._link(reads, self.streams.renames[name], target or "")
        return reads

    def _link(self, reads: dict[int, set[int]], reader: Part | None, read: str) -> None:
        part = self.drafts[read].part if read in self.drafts else self.streams.renames.get(read)
        if reader is not None and part is not None and part is not reader:
            reads.setdefault(id(reader), set()).add(id(part))

    def _mentioned(self) -> set[str]:
        """Names that equations read in the text, wherever that comes to something, each but its own."""
        scope = self.streams.scope
        parts = [part for node in scope.nodes for part in node.body]
        equations = [part for part in parts if isinstance(part, Equation)]
        named = (names_in([part.value]) - {part.name} for part in equations)
        return names_in([*(part for part in parts if isinstance(part, Choice)), *scope.outputs]).union(*named)


def _reach(starts: Iterable[int], edges: Mapping[int, Iterable[int]], found: set[int]) -> None:
    """Add to `found` what is reached from `starts`."""
    waiting = list(starts)
    while waiting:
        for one in edges.get(waiting.pop(), ()):
            if one not in found:
                found.add(one)
                waiting.append(one)
