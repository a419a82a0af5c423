"""The net of the routes that most images used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from routespace.diagnostics import Diagnostic
from routespace.graph.ir import Gate, Input, Output, Route, RouteGraph
from routespace.graph.profile import Profile
from routespace.questions.nets import Nets


@dataclass(frozen=True)
class Extracted:
    """A net of a space, and the routes that were used as often but lie on no path of such routes."""

    routes: frozenset[str]
    trimmed: tuple[str, ...]


def extract(nets: Nets, profile: Profile, share: float | Fraction = 0.5) -> Extracted:
    """The net of the routes that were open for at least `share` of the images of `profile`, 0 to 1.

    These are the common nets of Li et al., CVPR 2020, where `share` is 0.95. What lies on no path from an input to an
    output is trimmed. Raises `RouteError`: RS711 where nothing is left, or what is left breaks a requirement; RS702
    where the profile is of another space; RS715 where it is of no images.

    >>> import routespace as rs
    >>> nets = Nets(rs.build(rs.load(rs.example("small"), depth=1)))
    >>> used = {"layer0.s4": {"keep": 9, "down": 2}, "layer1.s4": {"keep": 10}, "layer1.s8": {"keep": 6}}
    >>> found = extract(nets, Profile(10, used))
    >>> sorted(found.routes), found.trimmed
    (['layer0.s4.keep', 'layer1.s4.keep'], ('layer1.s8.keep',))
    """
    usual = profile.usual(nets.graph, share)
    kept = proper(nets.graph, usual)
    if not kept:
        of_images = f"{100 * float(share):g}% of {profile.images:,} images"
        message = f"routes open for {of_images}: no path leads from an input to an output"
        nets.report(Diagnostic("RS711", message, help="ask for routes that fewer images used"))
    verdict = nets.contains(kept)
    if verdict.misfit is not None:
        nets.report(verdict.misfit)
    return Extracted(kept, tuple(nets.names(usual - kept)))


def proper(graph: RouteGraph, routes: Iterable[str]) -> frozenset[str]:
    """Those of `routes` that lie on a path of them from an input to an output."""
    opened = frozenset(routes)
    reached: set[str] = set()
    for value in graph.values:
        match value:
            case Input():
                reached.add(value.name)
            case Route():
                if value.name in opened and value.source in reached:
                    reached.add(value.name)
            case _:
                if any(arg in reached for arg in value.args):
                    reached.add(value.name)
    leading: set[str] = set()
    for value in reversed(graph.values):
        if isinstance(value, Output):
            leading.update(value.args)
        elif isinstance(value, Route):
            if value.name in leading and value.name in opened:
                leading.add(value.source)
        elif value.name in leading and not isinstance(value, Gate):
            leading.update(value.args)
    return opened & reached & leading
