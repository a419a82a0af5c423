"""`prune`: a space without the routes that a profile did not open, behind a guard that misses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from routespace.compiler import graph_of
from routespace.emit import emit
from routespace.graph.ir import Route, RouteGraph
from routespace.graph.ledger import ledger, price
from routespace.graph.params import count_parameters
from routespace.graph.passes.guard import guard
from routespace.graph.passes.prune import prune as prune_graph
from routespace.graph.profile import Profile
from routespace.graph.verify import verify
from routespace.graph_module import as_leaf
from routespace.runtime import sparse, sparse_maps
from routespace.runtime.aside import aside
from routespace.runtime.control import among
from routespace.runtime.leaves import GateLeaf
from routespace.runtime.result import ByRoute, Cost, Outcome, Routing
from routespace.runtime.tree import Tree
from routespace.runtime.wrapped import inside
from routespace.space.conventions import CONVENTIONS
from routespace.targets import BEGIN

_LEAVES = (sparse.Apply, sparse.Gather, sparse.Route, sparse_maps.Route, GateLeaf)


@dataclass(frozen=True)
class Pruning:
    """What was pruned of a space: names of routes and trained parameters.

    `guards` are the gates that decide on a pruned route and are still asked, those that decide on nothing else first.
    """

    routes: tuple[str, ...]
    parameters: int
    parameters_kept: int
    guards: tuple[str, ...]


def prune(module: nn.Module, profile: Profile, at_least: float | Fraction = 0.0) -> Pruned:
    """`module`, compiled as sparse, without the routes that were open for less than `at_least` of a profile's images.

    `at_least` is a share, 0 to 1; at 0 those go that were never open. Gates are asked as before. An image for which a
    pruned route opens is found out by that and run through the whole module: outputs, routing, and expected and hard
    costs are those of `module` for every image, whatever the others of its batch do. Its executed cost is that of both
    runs. The weights are those of `module`, under the same names; in training the whole module is run. Raises
    `TypeError` for another form, `RouteError` RS702 for the profile of another space and RS715 for one of no images.

    >>> import routespace as rs, torch
    >>> module = rs.compile(rs.load(rs.example("small"), depth=2, width=4), form="sparse")
    >>> images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> with rs.forcing(module, {"layer1.s8": "closed"}):
    ...     pruned = prune(module, rs.record(module, [images]))
    >>> pruned.pruning.routes
    ('layer1.s8.keep', 'layer1.s8.up', 'layer1.s8.down', 'layer2.s16.keep')
    >>> sorted(pruned(images).missed)
    [0, 1]
    """
    graph, full = graph_of(module), inside(module)
    if isinstance(full, Pruned):
        full = full.whole
    if not any(isinstance(part, sparse.Source) for part in full.modules()):
        raise TypeError("only the sparse form can be pruned")
    used = profile.usual(graph, at_least)
    gone = [value.name for value in graph.values if isinstance(value, Route) and value.name not in used]
    kept = verify(guard(verify(prune_graph(graph, frozenset(gone)))))
    return Pruned(full, kept, emit(kept, "sparse"))


class Pruned(nn.Module):
    """What `prune` makes. `graph` is the pruned graph, whose ledger has rows of gates that only guard."""

    def __init__(self, full: nn.Module, graph: RouteGraph, kept: nn.Module) -> None:
        super().__init__()
        for name, child in full.named_children():
            self.add_module(name, child)
        _share(kept.eval(), full)
        self.graph = graph
        self._forms = (full, kept)
        self.training = full.training

    @property
    def whole(self) -> nn.Module:
        """The module that nothing was pruned of."""
        return self._forms[0]

    @property
    def meta(self) -> dict[str, Any]:
        """What is noted of the whole module."""
        return self.whole.meta  # type: ignore[return-value]

    @property
    def pruning(self) -> Pruning:
        graph, (full, _) = self.graph, self._forms
        routes = [value for value in graph.values if isinstance(value, Route) and value.pruned]
        guards = dict.fromkeys(route.gate for route in routes)
        first = sorted(guards, key=lambda gate: not all(route.pruned for route in graph.routes_of[gate]))
        names = tuple(route.name for route in routes)
        return Pruning(names, count_parameters(graph_of(full)).total, count_parameters(graph).total, tuple(first))

    def guard_cost(self, size: tuple[int, int], convention: str | None = None) -> float:
        """What gates cost for an image of `size` (height, width) that are asked for no other reason than to guard."""
        chosen = CONVENTIONS[convention or self.graph.policies.cost]
        return sum(price(row, chosen).executed for row in ledger(self.graph, size) if row.part == "guard")

    @as_leaf
    @aside
    def forward(self, images: Any) -> Outcome:
        full, kept = self._forms
        if self.training:
            return full(images)  # type: ignore[no-any-return]
        outcome: Outcome = kept(images)
        if not outcome.missed:
            return outcome
        places = sorted(outcome.missed)
        with among(self, places):
            served: Outcome = full(_rows(images, places))
        return _joined(outcome, served, places)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Pruned:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._forms[1]._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _share(kept: nn.Module, full: nn.Module) -> None:
    """Let the leaves of `kept` run the ops, and obey the controls, of the leaves of `full` that stand where they do,
    whatever is put in the place of these ops later."""
    for path, leaf in list(kept.named_modules()):
        if not isinstance(leaf, _LEAVES):
            continue
        other = full.get_submodule(path)
        leaf._modules = other._modules
        if isinstance(leaf, GateLeaf):
            assert isinstance(other, GateLeaf)
            leaf.control = other.control
        if isinstance(leaf, sparse_maps.Route):
            assert isinstance(other, sparse_maps.Route)
            leaf.kernels = other.kernels
    owned = [path for path, part in kept.named_modules() if isinstance(part, Tree) and not _is_inside(kept, path)]
    for path in owned:
        parent, _, name = path.rpartition(".")
        setattr(kept.get_submodule(parent), name, full.get_submodule(path))
    begin, other = kept.get_submodule(BEGIN), full.get_submodule(BEGIN)
    begin.roots, begin.blanks = other.roots, other.blanks


def _is_inside(root: nn.Module, path: str) -> bool:
    """Whether a part belongs to a leaf or to another op."""
    parts = path.split(".")
    above = (root.get_submodule(".".join(parts[:at])) for at in range(1, len(parts)))
    return any(isinstance(one, (Tree, *_LEAVES)) for one in above)


def _rows(images: Any, places: list[int]) -> Any:
    if isinstance(images, Tensor):
        return images[places]
    if hasattr(images, "items"):
        return {name: tensor[places] for name, tensor in images.items()}
    return [tensor[places] for tensor in images]


def _joined(outcome: Outcome, served: Outcome, places: list[int]) -> Outcome:
    """`outcome` with the images at `places` as `served`."""

    def put(whole: Tensor, rows: Tensor) -> Tensor:
        at = torch.tensor(places, device=whole.device)
        return whole.index_copy(0, at, rows.to(whole.dtype))

    def put_each(whole: ByRoute, rows: ByRoute) -> ByRoute:
        return {
            node: {name: put(tensor, rows[node][name]) for name, tensor in each.items()} for node, each in whole.items()
        }

    def view(convention: str) -> Cost:
        first, second = outcome.routing.cost.under(convention), served.routing.cost.under(convention)
        at = torch.tensor(places, device=first.executed.device)

        def joined(first: Cost, second: Cost) -> Cost:
            executed = first.executed.index_add(0, at, second.executed)
            expected, hard = put(first.expected, second.expected), put(first.hard, second.hard)
            return Cost(expected, hard, executed, convention, view, parts)

        def parts() -> dict[str, Cost]:
            kept, whole = first.by_value(), second.by_value()
            nothing = torch.zeros_like(first.hard)
            none = Cost(nothing, nothing, nothing, convention)
            return {value: joined(kept.get(value, none), cost) for value, cost in whole.items()}

        return joined(first, second)

    def put_known(whole: ByRoute | None, rows: ByRoute | None) -> ByRoute | None:
        return None if whole is None or rows is None else put_each(whole, rows)

    before, after = outcome.routing, served.routing
    routing = Routing(
        put_each(before.weights, after.weights),
        put_each(before.logits, after.logits),
        {node: put(reached, after.reached[node]) for node, reached in before.reached.items()},
        lambda: view(before.cost.convention),
        lambda: put_each(before.margins(), after.margins()),
        put_known(before.consulted, after.consulted),
        put_known(before.opened, after.opened),
        before.forced,
    )
    if isinstance(outcome.output, dict):
        output: Any = {name: put(tensor, served.output[name]) for name, tensor in outcome.output.items()}
    else:
        output = put(outcome.output, served.output)
    return Outcome(output, routing, outcome.size, outcome.missed)
