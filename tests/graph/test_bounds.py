"""What an image can cost at least and at most."""

from __future__ import annotations

import torch

import routespace as rs
from routespace.graph.bounds import bounds

ONE_OF_TWO = """space s {
  input image: 3
  gate g per image { body mean | conv(1, routes, bias); activation argmax }
  node {
    x = image | conv(3, 8, stride = 4)
    r = g(x)
    h = x | conv(3)
    y = sum by r { big: h | conv(5); small: h | conv(1) }
    z = sum by r { big: x | conv(1); small: x | conv(3) | conv(3) }
  }
  output o = y + z
}"""


def test_a_shared_gate_that_opens_one_route_opens_it_in_all_choices() -> None:
    """By hand: the stem, the gate and h run for all; `big` and `small` have their own on 16x16 positions."""
    area = 16 * 16
    both = area * 9 * 3 * 8 + 16 + area * 9 * 8 * 8
    big = area * (25 + 1) * 8 * 8
    small = area * (1 + 9 + 9) * 8 * 8
    graph = rs.build(rs.loads(ONE_OF_TWO))
    found = bounds(graph, (64, 64))
    assert (found.least, found.most) == (both + small, both + big)
    module = rs.compile(graph).eval()
    images = torch.randn(32, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        hard = module(images).routing.cost.hard
    assert set(hard.tolist()) == {found.least, found.most}


ROUTES_OF_NOTHING = """space s {
  input image: 3
  axis layer = 0..1
  axis scale = s4, s8 with stride = 4 * 2^scale
  gate pick per image { body mean | conv(1, routes, bias); activation argmax }
  gate some per image { body mean | conv(1, routes, bias); activation relu_tanh }
  node at layer, scale where scale <= layer {
    x = image | conv(3, 8, stride = 4) if layer == 0 else keep[layer - 1, scale] + down[layer - 1, scale - 1]
    h = sum by some(x) { cell: x | conv(3) } closed nothing
    send h by pick(x) { keep: identity; down: conv(1, 2 * channels, stride = 2) }
  }
  output o = ladder_decoder(keep[1, scale], 2)
  live by_node
}"""


def test_a_route_of_nothing_reaches_no_node() -> None:
    """With the cell shut, whichever route is open carries nothing, and only the other one carries zeros."""
    graph = rs.build(rs.loads(ROUTES_OF_NOTHING))
    module = rs.compile(graph).eval()
    images = torch.randn(1, 3, 64, 64)
    least = bounds(graph, (64, 64)).least
    cell, pick = (module.get_parameter(f"layer0.s4.{gate}.body.1.bias") for gate in ("h.gate", "gate"))
    for logits in ([9.0, -9.0], [-9.0, 9.0]):
        with torch.no_grad():
            cell.fill_(-9.0)
            pick.copy_(torch.tensor(logits))
            assert float(module(images).routing.cost.hard) >= least
