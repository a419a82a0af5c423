"""What gates did over a set of images: for how many of them each route was open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from routespace.diagnostics import Diagnostic, Findings, RouteError
from routespace.graph.dropped import no_gate, no_route
from routespace.graph.ir import RouteGraph
from routespace.plain_json import read_json
from routespace.space.fault import Fault

MOST_IMAGES = 2**53

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Profile:
    """For how many of `images` each route was open, by node and route.

    >>> profile = Profile(4, {"layer0": {"keep": 4, "down": 1}})
    >>> profile.shares()
    {'layer0': {'keep': 1.0, 'down': 0.25}}
    """

    images: int
    opened: Counts

    def shares(self) -> dict[str, dict[str, float]]:
        """The share of the images each route was open for, by node and route."""
        number = max(self.images, 1)
        return {node: {name: count / number for name, count in each.items()} for node, each in self.opened.items()}

    def __add__(self, other: Profile) -> Profile:
        """Both sets of images together."""
        opened = {node: dict(each) for node, each in self.opened.items()}
        for node, each in other.opened.items():
            mine = opened.setdefault(node, {})
            for name, count in each.items():
                mine[name] = mine.get(name, 0) + count
        return Profile(self.images + other.images, opened)

    def usual(self, graph: RouteGraph, share: float | Fraction) -> frozenset[str]:
        """Names of the routes of `graph` that were open for at least `share` of the images, and for some image.

        A `share` is taken as it is written in decimals: 0.14 of 100 images are 14.

        Raises `RouteError` RS702 where this is the profile of another space, RS715 for one of no images.
        """
        if not self.images:
            raise RouteError([Diagnostic("RS715", "the profile is of no images")])
        wanted = Fraction(str(share)) * self.images
        known: dict[str, dict[str, list[str]]] = {gate.node: {} for gate in graph.gates}
        for gate in graph.gates:
            for route in graph.routes_of[gate.name]:
                known[gate.node].setdefault(gate.routes[route.index], []).append(route.name)
            for name in gate.routes:
                known[gate.node].setdefault(name, [])
        found: list[str] = []
        for node, each in self.opened.items():
            if node not in known:
                raise _stranger(no_gate(graph, node, known), graph)
            for name, count in each.items():
                if name not in known[node]:
                    raise _stranger(no_route(graph, node, name, known[node]), graph)
                if count and count >= wanted:
                    found += known[node][name]
        return frozenset(found)

    def to_json(self) -> str:
        return json.dumps({"images": self.images, "opened": self.opened}, indent=1)

    @staticmethod
    def from_json(text: str) -> Profile:
        """What `to_json` wrote. Raises `RouteError` RS715."""
        try:
            found = read_json(text)
        except ValueError as error:
            raise _unread(f"it is not JSON: {error}") from None
        if not isinstance(found, dict) or found.keys() != {"images", "opened"} or not isinstance(found["opened"], dict):
            raise _unread("it does not say `images` and `opened`")
        images, opened = found["images"], found["opened"]
        if not _is_count(images):
            raise _unread(f"it is of `{json.dumps(images)[:40]}` images")
        for node, each in opened.items():
            if not isinstance(each, dict):
                raise _unread(f"at node `{node}` it does not say `route: count`")
            for name, count in each.items():
                if not _is_count(count) or count > images:
                    message = f"route `{name}` of `{node}` was open for `{json.dumps(count)[:40]}` of {images} images"
                    raise _unread(message)
        return Profile(images, opened)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_IMAGES


def _stranger(fault: Fault, graph: RouteGraph) -> RouteError:
    fault.message = f"this is the profile of another space: {fault.message}"
    findings = Findings({source.path: source for source in graph.space.sources} if graph.space else {})
    fault.report(findings)
    return RouteError(findings.diagnostics, findings.sources)


def _unread(why: str) -> RouteError:
    return RouteError([Diagnostic("RS715", f"this profile cannot be read: {why}")])
