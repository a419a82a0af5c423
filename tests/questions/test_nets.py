"""Answers about spaces that are known, refusals, and nets as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import routespace as rs
from routespace.diagnostics import Findings
from routespace.graph.ir import RouteGraph
from routespace.graph.net_parts import read_net
from routespace.language.asked import read_requirement
from routespace.questions import dives, window
from routespace.questions.costs import PricedNets
from routespace.questions.nets import Nets
from routespace.questions.window import Window
from routespace.questions.written import write_net

EXAMPLES = Path(__file__).parents[2] / "examples"
CLASSIC = sorted(path for path in (EXAMPLES / "classic").glob("*.route") if path.stem != "deeplabv3_plus")


def segmentation(depth: int = 16) -> RouteGraph:
    return rs.build(rs.load(EXAMPLES / "segmentation.route", depth=depth))


def asked(graph: RouteGraph, *conditions: str) -> Nets:
    return Nets(graph, [read_requirement(text)[0] for text in conditions])


def code_of(error: pytest.ExceptionInfo[rs.RouteError]) -> str:
    (found,) = error.value.diagnostics
    return found.code


def paths(depth: int, scales: int = 4) -> int:
    """Paths through the triangle of layers and scales, one step of scale at a time."""
    ways = [1] + [0] * (scales - 1)
    for _ in range(depth):
        ways = [sum(ways[max(0, at - 1) : at + 2]) for at in range(scales)]
    return sum(ways)


@pytest.mark.parametrize("depth", [4, 16, 40])
def test_single_paths_are_counted(depth: int) -> None:
    assert asked(segmentation(depth), "single_path").count() == paths(depth)


def test_the_diagram_grows_with_the_depth() -> None:
    sizes = [sum(map(len, Nets(segmentation(depth)).diagram.levels)) for depth in (20, 40, 60)]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]


@pytest.mark.parametrize("path", CLASSIC, ids=lambda path: path.stem)
def test_classic_nets_are_contained(path: Path) -> None:
    graph = rs.build(rs.load(path))
    nets = Nets(graph)
    verdict = nets.contains(path.stem, attainable=True)
    assert verdict.is_contained and len(verdict.routes) > 16
    is_path = asked(graph, "single_path").contains(path.stem).is_contained
    assert is_path == (path.stem in ("fcn_32s", "auto_deeplab", "segnet"))


def test_a_misfit_is_shown_at_both_places() -> None:
    graph = rs.build(rs.load(EXAMPLES / "classic" / "deeplabv3_plus.route"))
    misfit = Nets(graph).contains("deeplabv3_plus").misfit
    assert misfit and misfit.code == "RS702"
    assert [label.span.path.rsplit("/", 1)[-1] for label in misfit.labels if label.span] == [
        "deeplabv3_plus.route",
        "segmentation.route",
    ]


def test_a_net_that_hangs_is_not_contained() -> None:
    nets = Nets(segmentation())
    fcn = nets.contains("fcn_32s").routes
    for route, text in (("layer5.s4.keep", "no path from an input"), ("layer3.s4.keep", "no path leads on")):
        misfit = nets.contains([*fcn, route]).misfit
        assert misfit and misfit.code == "RS711" and text in misfit.message
    missing = nets.contains([*fcn, "layer3.s64.keep"]).misfit
    assert missing and missing.code == "RS702"


def test_far_layers_tied_together_are_refused() -> None:
    with pytest.raises(rs.RouteError) as error:
        asked(segmentation(40), "all((keep[l, s4]) == (keep[depth - l, s4]) for l in 0..depth)").count()
    assert code_of(error) == "RS709"


def test_a_window_that_nothing_tells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MOST_TRIED", 3_000)
    monkeypatch.setattr(dives, "MOST_DIVES", 10)
    priced = PricedNets(Nets(segmentation()), (1024, 2048), "dynamic_routing_table1")
    with pytest.raises(rs.RouteError) as error:
        next(priced.find(Window(53_900_000_000, 53_901_000_000), Window(6_100_000, 6_101_000)))
    assert code_of(error) == "RS709"


def test_a_window_between_the_costs_there_are_holds_no_net() -> None:
    priced = PricedNets(Nets(segmentation()), (1024, 2048))
    assert list(priced.find(Window(60_000_000_001, 60_000_000_002))) == []
    assert list(priced.find(parameters=Window(6_100_100, 6_100_110))) == []


def test_a_net_of_just_these_costs_is_found() -> None:
    priced = PricedNets(Nets(segmentation()), (1024, 2048), "dynamic_routing_table1")
    (net,) = priced.nets.sample(1, seed=1)
    wanted = priced.priced([route.name in net for route in priced.nets.flow.routes])
    found = next(priced.find(Window(wanted.work, wanted.work), Window(wanted.parameters, wanted.parameters)))
    assert (found.work, found.parameters) == (wanted.work, wanted.parameters)
    assert priced.nets.contains(found.routes).is_contained


def test_everything_is_the_dearest() -> None:
    graph = segmentation()
    found = PricedNets(Nets(graph), (1024, 2048), "dynamic_routing_table1").dearest()
    assert found and len(found.routes) == 149
    assert (f"{found.work / 1e9:.2f}", f"{found.parameters / 1e6:.3f}") == ("102.62", "15.262")


GATED = """space s {{
  input image: 3
  axis layer = 0..1
  gate g per image {{ body mean | conv(1, routes); activation {activation} }}
  node at layer {{
    x = image | conv(3, 4) if layer == 0 else keep[layer - 1] + wide[layer - 1]
    send x by g(x) {{ keep: relu; wide: conv(3) }}{closed}
  }}
  output y = keep[1] + wide[1]
  output early = x[1]{early}
  live {live}
}}

net both in s {{ everything }}

net one in s {{ row keep[0..1] }}

net stays in s {{ row keep[0], wide[0] }}
"""


def gated(activation: str, closed: str = "", early: str = "", live: str = "by_route") -> RouteGraph:
    return rs.build(rs.loads(GATED.format(activation=activation, closed=closed, early=early, live=live)))


@pytest.mark.parametrize(
    ("activation", "attainable"),
    [("relu_tanh", {"both", "one", "stays"}), ("argmax", {"one"}), ("sigmoid", {"both"})],
)
def test_gates_may_not_be_able_to(activation: str, attainable: set[str]) -> None:
    nets = Nets(gated(activation))
    assert {name for name in ("both", "one", "stays") if nets.contains(name).is_contained} == {"both", "one", "stays"}
    found = {name: nets.contains(name, attainable=True) for name in ("both", "one", "stays")}
    assert {name for name, verdict in found.items() if verdict.is_contained} == attainable
    assert all(verdict.misfit is None or verdict.misfit.code == "RS711" for verdict in found.values())


@pytest.mark.parametrize(
    ("graph", "is_told"),
    [
        (gated("relu_tanh"), True),
        (gated("relu_tanh", closed=" closed keep = x"), False),
        (gated("relu_tanh", live="by_node"), True),
    ],
    ids=["plain", "passed on", "zeros"],
)
def test_costs_that_routes_do_not_tell_are_refused(graph: RouteGraph, is_told: bool) -> None:
    priced = PricedNets(Nets(graph), (64, 64))
    if is_told:
        assert priced.cheapest()
        return
    with pytest.raises(rs.RouteError) as error:
        priced.cheapest()
    assert code_of(error) == "RS712"


@pytest.mark.parametrize("seed", range(5))
def test_a_net_as_text_reads_back(seed: int) -> None:
    graph = segmentation(8)
    (net,) = Nets(graph).sample(1, seed)
    text = (EXAMPLES / "segmentation.route").read_text() + write_net(graph, "drawn", net)
    again = rs.build(rs.loads(text, depth=8))
    assert again.space is not None
    assert set(read_net(again, again.space.net("drawn"), Findings())) == net


def test_requirements_given_from_python_replace_those_of_the_text() -> None:
    text = (EXAMPLES / "segmentation.route").read_text().replace("  live ", "  require keep[0, s4]\n  live ", 1)
    own = Nets(rs.build(rs.loads(text, depth=4))).count()
    assert own == asked(segmentation(4), "keep[0, s4]").count()
    assert Nets(rs.build(rs.loads(text, depth=4, require="single_path"))).count() == paths(4)


@pytest.mark.parametrize(
    ("clause", "given", "code"),
    [
        ("", {"require": "foo"}, "RS201"),
        ("", {"require": 3}, "RS303"),
        ("require x[depth, s4] and not x[depth, s4]", {}, "RS710"),
        ("require keep[0]", {}, "RS304"),
    ],
)
def test_a_space_is_read_only_if_its_requirements_leave_a_net(clause: str, given: dict[str, Any], code: str) -> None:
    text = (EXAMPLES / "segmentation.route").read_text().replace("  live ", f"  {clause}\n  live ", 1)
    with pytest.raises(rs.RouteError) as error:
        rs.loads(text, depth=4, **given)
    assert [one.code for one in error.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("condition", "count"),
    [("not up[layer, scale]", 3), ("up[1, s4]", 0), ("sum(up[l, s4] for l in layer) == 0", 3), ("down[0, s4]", 2)],
)
def test_a_route_that_exists_nowhere_is_never_open(condition: str, count: int) -> None:
    """With a depth of 1 the small space has no `up`."""
    graph = rs.build(rs.load(EXAMPLES / "small.route", depth=1))
    assert Nets(graph).count() == 3
    assert asked(graph, condition).count() == count


def test_a_gate_that_opens_one_route_cannot_open_none() -> None:
    graph = rs.build(
        rs.loads("""space s {
          input image: 3
          gate pick per image { body mean | conv(1, routes, bias); activation argmax }
          node n {
            x = image | conv(3, 4, stride = 4)
            h = x + (sum by pick(x) { small: x | conv(1); large: x | conv(3) })
            send h by pick(x) { keep: relu; wide: conv(3) }
          }
          output y = keep + wide
        }""")
    )
    nets = Nets(graph)
    inner = [route.name for route in nets.flow.routes if "small" in route.name or "large" in route.name]
    for opened, attainable in (([], False), (inner[:1], True), (inner, False)):
        assert nets.contains(["n.keep", *opened]).is_contained
        assert nets.contains(["n.keep", *opened], attainable=True).is_contained == attainable


def test_a_net_that_leaves_by_an_earlier_output_costs_what_the_space_forced_to_it_costs() -> None:
    space = rs.loads("""space s {
      input image: 3
      axis layer = 0..2
      gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }
      node at layer {
        x = image | conv(3, 4, stride = 4) if layer == 0 else keep[layer - 1]
        send x by soft(x) { keep: conv(3) }
      }
      output early = keep[1]
      output late = keep[2]
      cost dynamic_routing_table1
    }
    net short in s { row keep[0..1] }""")
    fixed, sparse = rs.compile(space, form="fixed", net="short").eval(), rs.compile(space, form="sparse")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad(), rs.forcing(sparse, {"layer0": "open", "layer1": "open", "layer2": "closed"}):
        forced, alone = sparse(images).routing.cost.hard, fixed(images).routing.cost.hard
    found = PricedNets(Nets(rs.build(space)), (64, 64)).cheapest()
    assert forced.item() == alone.item() == found.work
