"""Space → RouteGraph: expand the declarations, drop what nobody reads, make every op concrete."""

from __future__ import annotations

from routespace.diagnostics import Findings, RouteError
from routespace.diagnostics.collector import collector_paused
from routespace.graph.arguments import stride_at
from routespace.graph.draft import Draft, Streams
from routespace.graph.expand import PlaceBuilder, output_drafts
from routespace.graph.ir import Node, RouteGraph, Value
from routespace.graph.places import Place, check_attributes, places_of, resolve_axes
from routespace.graph.policies import resolve_policies
from routespace.graph.probes import at_some_size
from routespace.graph.settle import settle
from routespace.graph.shapes import IMAGE_STRIDE
from routespace.space.conventions import CONVENTIONS
from routespace.space.expr import Binary, Expr, Index, InputDecl, Name, Sum
from routespace.space.fault import Fault, head_of
from routespace.space.model import Space
from routespace.space.names import check_space
from routespace.space.numbers import Numbers
from routespace.space.scope import Axis, Scope
from routespace.space.values import Values

MOST_LEVELS = 100


def build(space: Space, findings: Findings | None = None) -> RouteGraph:
    """The graph of `space`.

    Everything wrong with the space is added to `findings`; with errors, or without `findings` given, they are raised
    as `RouteError`. `TypeError` for what is no `Space`.
    """
    if not isinstance(space, Space):
        raise TypeError(f"a space is built, not a {type(space).__name__}; `load(path)` and `loads(text)` read one")
    if findings is None and isinstance(space.remembered, RouteGraph):
        return space.remembered
    found = findings if findings is not None else Findings({source.path: source for source in space.sources})
    with collector_paused():
        try:
            return _build(space, found)
        except RecursionError:
            found.add("RS805", f"space `{space.name}` is nested too deeply to be built", space.declaration.span)
        raise RouteError(found.diagnostics, found.sources)


def _build(space: Space, found: Findings) -> RouteGraph:
    if not space.is_read:
        check_space(space, found)
        found.raise_errors()
    scope = Scope.of(space)
    numbers = Numbers(scope)
    resolve_axes(scope, numbers, found)
    found.raise_errors()
    aside = Findings(found.sources)  # what does not stand in the way of anything else
    try:
        check_attributes(scope, numbers, aside)
        Values(scope, numbers).check(aside)
        policies = resolve_policies(scope.clauses, space.overrides, numbers, aside, space.declaration.span)
        _refuse_shares(scope, aside)
        unread = CONVENTIONS[policies.cost].unread if policies.cost in CONVENTIONS else False
        places, values, probe = _values(space, scope, numbers, unread, found)
    except RouteError:
        _join(found, aside)
        raise RouteError(found.diagnostics, found.sources) from None
    _join(found, aside)
    found.raise_errors()
    alive = {value.node for value in values}
    nodes = tuple(
        Node(place.name, tuple(zip(place.declaration.axes, place.index, strict=True)), place.declaration.span)
        for place in places
        if place.name in alive
    )
    return RouteGraph(space.name, tuple(values), nodes, policies, probe, space=space)


def _join(found: Findings, aside: Findings) -> None:
    """Add what was kept aside, unless the same was found at the same place."""
    known = {(one.code, one.span) for one in found.diagnostics}
    found.extend(one for one in aside.diagnostics if (one.code, one.span) not in known)


def _values(
    space: Space, scope: Scope, numbers: Numbers, unread: bool, found: Findings
) -> tuple[list[Place], list[Value], tuple[int, int]]:
    """Expand, name, settle, make concrete; each stage needs the one before it to be whole."""
    if not scope.outputs:
        help = "write `output NAME = STREAM`"
        found.add("RS509", f"space `{space.name}` has no output", space.declaration.span, help=help)
    places = places_of(scope, numbers, found)
    found.raise_errors()
    try:
        streams = Streams(scope, numbers, places)
    except Fault as fault:
        fault.report(found)
        raise
    _inputs(streams, found)
    for place in places:
        PlaceBuilder(streams, place).build(found)
    for declared in scope.outputs:
        try:
            output_drafts(streams, declared)
        except Fault as fault:
            fault.report(found)
    _never_hit(streams, found)
    found.raise_errors()
    try:
        drafts = settle(streams, found, unread)
    except Fault as fault:
        fault.report(found)
        drafts = []
    found.raise_errors()
    values, probe = at_some_size(scope, numbers, places, drafts, found)
    return places, values, probe


def _refuse_shares(scope: Scope, findings: Findings) -> None:
    for share in scope.shares:
        if share.exceptions:
            findings.add("RS602", "exceptions from sharing are not supported yet", share.span)


def _inputs(streams: Streams, findings: Findings) -> None:
    scope, numbers = streams.scope, streams.numbers
    for second in list(scope.inputs.values())[1:]:
        findings.add("RS602", "a second input is not supported yet", second.span)
    for declared in scope.inputs.values():
        try:
            channels = numbers.integer(declared.channels, {})
            if not 1 <= channels <= 2**16:
                raise Fault(
                    "RS311", f"an input of {channels} channels; 1 to 65536 are possible", declared.channels.span
                )
        except Fault as fault:
            numbers.told(fault, {}, declared.channels).report(findings)
            continue
        if declared.index:
            try:
                _pyramid(streams, declared, channels)
            except Fault as fault:
                fault.report(findings)
            continue
        env = {"channels": channels, "stride": IMAGE_STRIDE}
        streams.drafts[declared.name] = Draft("input", declared.name, "", [], env, declared.span)


def _pyramid(streams: Streams, declared: InputDecl, channels: int) -> None:
    """An input per index of the axis that has strides."""
    scope, numbers = streams.scope, streams.numbers
    attribute = scope.attributes.get("stride")
    if attribute is None or declared.index != (attribute[0].name,):
        help = "declare the axis `with stride = …` and give the input this one index"
        raise Fault("RS312", "an input with an index needs one axis with a stride", declared.span, help=help)
    axis = scope.axis(declared.index[0], declared.span)
    if len(axis.labels) > MOST_LEVELS:
        message = f"input `{declared.name}` has {len(axis.labels)} levels; at most {MOST_LEVELS}"
        raise Fault("RS801", message, declared.span)
    for ordinal in range(axis.low, axis.high + 1):
        name = f"{declared.name}.{axis.label(ordinal)}"
        stride = stride_at(axis, ordinal, attribute[1], numbers)
        env = {"channels": channels, "stride": stride}
        streams.drafts[name] = Draft("input", name, "", [], env, declared.span)


def _never_hit(streams: Streams, findings: Findings) -> None:
    """Reads that never fall on a node: off the axes, or written out, they are errors; else nothing, with a warning."""
    for key, falls in streams.falls.items():
        expr = streams.reads[key]
        if falls == "off" or (falls == "between" and not _moves(expr, streams.scope)):
            findings.add(
                "RS508",
                f"this read of `{expr.name}` never falls on a node",
                expr.span,
                "off the grid wherever it stands",
                others=[(head_of(axis.declaration), _runs(axis)) for axis in _axes_of(expr, streams.scope)[:2]],
            )
        elif falls == "between":
            findings.add(
                "RS909",
                f"this read of `{expr.name}` is nothing: no node stands where it falls",
                expr.span,
                severity="warning",
            )


def _axes_of(read: Index, scope: Scope) -> list[Axis]:
    """The axes that a read has an index on."""
    declared = scope.inputs.get(read.name)
    names = declared.index if declared else scope.stream_axes.get(read.name, ())
    return [scope.axes[name] for name in names if name in scope.axes]


def _runs(axis: Axis) -> str:
    return f"it runs from {axis.label(axis.low)} to {axis.label(axis.high)}"


def _moves(index: Index, scope: Scope) -> bool:
    """Whether where a read falls depends on where it stands."""
    waiting: list[Expr] = list(index.at)
    while waiting:
        part = waiting.pop()
        if isinstance(part, Name) and part.id in scope.axes:
            return True
        if isinstance(part, Sum):
            waiting.extend(part.terms)
        elif isinstance(part, Binary):
            waiting.extend((part.left, part.right))
    return False
