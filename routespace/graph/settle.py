"""Second half of naming: drop what never exists or is never read, and put the rest in order."""

from __future__ import annotations

from routespace.diagnostics import Findings, Span
from routespace.graph.draft import Draft, Ref, Streams
from routespace.graph.fault import Fault
from routespace.space.expr import Equation


def settle(streams: Streams, findings: Findings, unread: bool = False) -> list[Draft]:
    """Drafts that exist and are read by some output, each after what it reads; with `unread`, what leaves a node per
    position too, read or not.

    A merge forgets arguments that are nothing; anything else that reads nothing is nothing. Cycles, nodes that no
    stream reaches and outputs of nothing are reported.
    """
    _rename(streams)
    order = _sorted(streams)
    asked = _live(streams.drafts, set(streams.drafts), unread)
    exists = _existing(streams, order, asked, findings)
    live = _live(streams.drafts, exists, unread)
    _warn_unread(streams, exists, live, findings)
    return [streams.drafts[name] for name in order if name in live]


def _rename(streams: Streams) -> None:
    """Let every draft name the values it reads, whatever they were called on the way; "" is nothing."""
    drafts, aliases = streams.drafts, streams.aliases
    for draft in drafts.values():
        for place, arg in enumerate(draft.args):
            if arg in aliases or arg not in drafts:
                draft.args[place] = _known(streams, arg) or ""
        if draft.head:
            draft.head = _known(streams, draft.head) or ""
        if draft.closed is not None:
            draft.closed = _known(streams, draft.closed)


def _known(streams: Streams, name: str) -> Ref:
    ref = streams.resolve(name)
    return ref if ref is not None and ref in streams.drafts else None


def _sorted(streams: Streams) -> list[str]:
    """Depth-first order of all drafts, without recursion."""
    order: list[str] = []
    done: dict[str, bool] = {"": True}
    drafts = streams.drafts
    for root, draft in drafts.items():
        if root in done:
            continue
        if all(map(done.get, draft.reads)):
            done[root] = True
            order.append(root)
            continue
        stack = [(root, iter(draft.reads))]
        done[root] = False
        while stack:
            name, reads = stack[-1]
            for read in reads:
                finished = done.get(read)
                if finished is None:
                    done[read] = False
                    stack.append((read, iter(drafts[read].reads)))
                    break
                if finished is False:
                    raise _circle(streams, [entry[0] for entry in stack], read)
            else:
                done[name] = True
                order.append(name)
                stack.pop()
    return order


def _circle(streams: Streams, chain: list[str], read: str) -> Fault:
    cycle = chain[chain.index(read) :]
    return Fault(
        "RS505",
        f"streams read each other in a circle: {' ← '.join([*cycle[:4], read])}",
        streams.drafts[read].span,
        f"`{read}` is made here",
        others=[(streams.drafts[chain[-1]].span, f"`{chain[-1]}` reads it")],
    )


def _existing(streams: Streams, order: list[str], asked: set[str], findings: Findings) -> set[str]:
    """Drafts whose streams exist; of those that do not, what is `asked` for by some output is reported."""
    exists: set[str] = set()
    for name in order:
        draft = streams.drafts[name]
        if draft.closed is not None and draft.closed not in exists:
            draft.closed = None
        there = exists.issuperset(draft.args) and (not draft.gate or draft.gate in exists)
        if not there and draft.kind in ("merge", "gather"):
            keep = [arg in exists for arg in draft.args]
            if draft.spans:
                draft.spans = [span for span, kept in zip(draft.spans, keep, strict=True) if kept]
            draft.args = [arg for arg, kept in zip(draft.args, keep, strict=True) if kept]
            there = bool(draft.args)
        if there:
            exists.add(name)
        elif draft.kind == "output":
            findings.add("RS507", f"output `{draft.key}` reads nothing: its stream never exists", draft.span)
        elif draft.kind == "gate" and name in asked:
            findings.add(
                "RS506",
                f"node `{draft.node}` can never be reached: nothing arrives at its gate",
                draft.span,
                help="restrict the node's `where`, or add a route that reaches it",
            )
    return exists


def _live(drafts: dict[str, Draft], exists: set[str], unread: bool) -> set[str]:
    waiting = [name for name, draft in drafts.items() if draft.kind == "output" and name in exists]
    if unread:
        waiting += [name for name, draft in drafts.items() if name in exists and _leaves_per_position(draft, drafts)]
    live = set(waiting)
    while waiting:
        for read in drafts[waiting.pop()].reads:
            if read and read not in live:
                live.add(read)
                waiting.append(read)
    return live


def _leaves_per_position(draft: Draft, drafts: dict[str, Draft]) -> bool:
    template = drafts[draft.gate].template if draft.kind == "route" and draft.sends else None
    return template is not None and template.granularity == "position"


def _warn_unread(streams: Streams, exists: set[str], live: set[str], findings: Findings) -> None:
    """Warn about node rules of which nothing is read, and declared routes that nobody reads anywhere."""
    read_nodes = {streams.drafts[name].node for name in live}
    for place in streams.places:
        if place.name not in read_nodes and any(f"{place.name}.{s}" in exists for s in streams.by_stream):
            findings.add(
                "RS901",
                f"node `{place.name}` does not exist: no output reads what it makes",
                place.declaration.span,
                severity="warning",
            )
    deciding = {draft.gate for draft in streams.drafts.values() if draft.gate}
    for name, draft in streams.drafts.items():
        if draft.kind == "gate" and name not in deciding:
            message = f"gate `{name.rpartition('.')[2]}` decides nothing: no choice is by it"
            findings.add("RS903", message, draft.span, severity="warning")
    unread = _unread_equations(streams, exists, live, read_nodes)
    for equation in unread:
        message = f"stream `{equation.name}` does not exist: no output reads it"
        findings.add("RS913", message, equation.span, severity="warning")
    sent: dict[int, list[Draft]] = {}
    for draft in streams.drafts.values():
        if draft.kind == "route" and not any(_within(draft.span, equation.span) for equation in unread):
            sent.setdefault(id(draft.span), []).append(draft)
    for drafts in sent.values():
        first = drafts[0]
        if first.span is not None and first.node in read_nodes and not any(draft.name in live for draft in drafts):
            name = first.name.rsplit(".", 1)[-1]
            findings.add("RS902", f"route `{name}` does not exist: nothing reads it", first.span, severity="warning")


def _unread_equations(streams: Streams, exists: set[str], live: set[str], read_nodes: set[str]) -> list[Equation]:
    """Equations of nodes that are read whose own stream exists somewhere and is read nowhere."""
    found: dict[int, Equation] = {}
    read: set[int] = set()
    for place in streams.places:
        for part in place.declaration.body:
            if not isinstance(part, Equation) or id(part) in read:
                continue
            stream = streams.resolve(f"{place.name}.{part.name}")
            if stream in live or (stream in exists and streams.drafts[stream].kind == "gate"):
                read.add(id(part))
            elif stream in exists and place.name in read_nodes:
                found.setdefault(id(part), part)
    return [part for key, part in found.items() if key not in read]


def _within(inner: Span | None, outer: Span | None) -> bool:
    return (
        inner is not None
        and outer is not None
        and inner.path == outer.path
        and outer.start <= inner.start
        and inner.end <= outer.end
    )
