"""Nets of the literature, compiled alone, are the segmentation space with its gates forced to them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import routespace as rs
from routespace.graph.nets import hold

CLASSIC = Path(__file__).parents[2] / "examples" / "classic"
NETS = sorted(path.stem for path in CLASSIC.glob("*.route") if path.stem != "deeplabv3_plus")


@pytest.mark.parametrize("net", NETS)
def test_fixed_is_the_space_forced_to_the_net(net: str) -> None:
    """Outputs and gradients, for the same weights."""
    space = rs.load(CLASSIC / f"{net}.route", width=8)
    graph = rs.build(space)
    dense = rs.compile(space, form="dense", seed=0).eval()
    fixed = rs.compile(space, form="fixed", net=net, seed=1).eval()
    state = dense.state_dict()
    fixed.load_state_dict({name: state[name] for name in fixed.state_dict()})
    weights = hold(graph, net).weights
    forced = {gate.node: dict(zip(gate.routes, weights[gate.name], strict=True)) for gate in graph.gates}
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with rs.forcing(dense, forced):
        expected = dense(images).output
    found = fixed(images).output
    torch.testing.assert_close(found, expected)
    for output in (expected, found):
        (output / output.abs().max()).square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in dense.named_parameters()}
    for name, parameter in fixed.named_parameters():
        scale = parameter.grad.abs().max()
        torch.testing.assert_close(parameter.grad, gradients[name], atol=float(1e-4 * scale), rtol=1e-3)
