"""Second half of naming: drop what never exists or is never read, and put the rest in order."""

from __future__ import annotations

from routespace.diagnostics import Findings
from routespace.graph.draft import Draft, Ref, Streams, of_nothing
from routespace.graph.unread import Unread
from routespace.space.fault import Fault


def settle(streams: Streams, findings: Findings, unread: bool = False) -> list[Draft]:
    """Drafts that exist and are read by some output, each after what it reads; with `unread`, what leaves a node per
    position too, read or not.

    A merge forgets arguments that are nothing; anything else that reads nothing is nothing. Cycles, nodes that no
    stream reaches and outputs of nothing are reported.
    """
    renamed = _rename(streams)
    order = _sorted(streams)
    exists = _existing(streams, order, unread, findings)
    live = _live(streams.drafts, exists, unread)
    Unread(streams, exists, live, renamed).tell(findings)
    return [streams.drafts[name] for name in order if name in live]


def _rename(streams: Streams) -> dict[str, list[str]]:
    """Let every draft name the values it reads, "" for nothing; what they were called instead, by the draft's name."""
    drafts, aliases = streams.drafts, streams.aliases
    renamed: dict[str, list[str]] = {}
    for draft in drafts.values():
        for place, arg in enumerate(draft.args):
            if arg in aliases or arg not in drafts:
                renamed.setdefault(draft.name, []).append(arg)
                draft.args[place] = _known(streams, arg) or ""
        if draft.head:
            draft.head = _known(streams, draft.head) or ""
        if draft.closed is not None:
            renamed.setdefault(draft.name, []).append(draft.closed)
            draft.closed = _known(streams, draft.closed)
    return renamed


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
        help="let one of them read the other at an earlier index",
    )


def _existing(streams: Streams, order: list[str], unread: bool, findings: Findings) -> set[str]:
    """Drafts whose streams exist; of those that do not, what is asked for by some output is reported."""
    exists: set[str] = set()
    asked: set[str] | None = None
    drafts = streams.drafts
    for name in order:
        draft = drafts[name]
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
            of_nothing(draft.key, draft.span).report(findings)
        elif draft.kind == "gate":
            asked = _live(drafts, set(drafts), unread) if asked is None else asked
            if name in asked:
                message = f"node `{draft.node}` can never be reached: nothing arrives at its gate"
                help = "restrict the node's `where`, or add a route that reaches it"
                findings.add("RS506", message, draft.span, help=help)
    return exists


def _live(drafts: dict[str, Draft], exists: set[str], unread: bool) -> set[str]:
    waiting = [name for name, draft in drafts.items() if draft.kind == "output" and name in exists]
    if unread:
        waiting += [name for name, draft in drafts.items() if name in exists and _leaves_per_position(draft, drafts)]
    live = set(waiting)
    live.add("")
    while waiting:
        new = [read for read in drafts[waiting.pop()].reads if read not in live]
        live.update(new)
        waiting += new
    live.discard("")
    return live


def _leaves_per_position(draft: Draft, drafts: dict[str, Draft]) -> bool:
    template = drafts[draft.gate].template if draft.kind == "route" and draft.sends else None
    return template is not None and template.granularity == "position"
