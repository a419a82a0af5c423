"""Gates per position in every form, at the points where forms have differed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import routespace as rs
from routespace.graph.bounds import bounds
from routespace.runtime.entered import entering
from routespace.runtime.override import Override
from routespace.runtime.positions import reference_where
from routespace.testing.cases import random_images
from tests.runtime.positions.parts import chain, maps

FORMS = ("dense", "sparse", "export")


def compiled(body: str, output: str = "h", form: str = "dense", gates: str = "", **options: Any) -> nn.Module:
    text = f"""space s {{
      input image: 2
      gate fine per position {{ body conv(3, routes, bias); activation relu_tanh }}
      gate whole per image {{ body mean | conv(1, routes, bias); activation relu_tanh }}
      {gates}
      node {{
        x = image | conv(3, 4, stride = 4, bias)
        {body}
      }}
      output y = {output}
    }}"""
    return rs.compile(rs.loads(text), form=form, seed=3, **options).double().eval()  # type: ignore[arg-type]


def run(module: nn.Module, forced: dict[str, Any], size: tuple[int, int] = (64, 64), batch: int = 2) -> Any:
    with torch.no_grad(), rs.forcing(module, {"node": forced}), rs.exactly(module):
        return module(random_images(2, batch, *size, seed=1))


def one_open(row: int, column: int, size: tuple[int, int] = (16, 16), batch: int = 2) -> Tensor:
    mask = torch.zeros(batch, *size, dtype=torch.float64)
    mask[:, row, column] = 0.5
    return mask


@pytest.mark.parametrize("form", FORMS)
def test_what_is_shut_everywhere_is_zeros_whatever_its_source(form: str) -> None:
    module = compiled("m = whole(x) * (x | conv(3))\n h = max(x, fine(x) * (m | conv(3)))", form=form)
    images = random_images(2, 2, 64, 64, seed=1)
    with torch.no_grad():
        stem = module.get_submodule("node.x.op")(images)
        assert bool((stem < 0).any())
        assert torch.allclose(run(module, {"m": 0.0, "h.2": 0.0}).output, stem.relu())
        assert torch.allclose(run(module, {"m": 0.0, "h.2": 1.0}).output, stem)


@pytest.mark.parametrize("form", FORMS)
def test_an_op_reads_the_zeros_of_what_is_shut_everywhere(form: str) -> None:
    module = compiled("h = x | fine * conv(3) | conv(1, 4, bias)", form=form)
    bias = {name: one for name, one in module.named_parameters() if name.endswith("bias") and ".h." in name}
    with torch.no_grad():
        bias["node.h.value.op.bias"].fill_(2.0)
    assert bool((run(module, {"h.fine": 0.0}).output == 2.0).all())


@pytest.mark.parametrize(
    "op",
    [
        "conv(3) | resize(by = 2) | conv(3, stride = 2)",
        "conv(3) | (conv(3, dilation = 2) + conv(3)) | conv(1)",
        "conv(1) | maxpool(2, stride = 2, pad = 0) | conv(3) | resize(by = 2)",
    ],
)
def test_hard_cost_is_what_is_run_exactly(op: str) -> None:
    module = compiled(f"h = x | fine * ({op})", form="sparse")
    with FlopCounterMode(display=False) as counter:
        cost = run(module, {"h": one_open(7, 7)}).routing.cost
    assert float(cost.executed.sum()) == float(cost.hard.sum()) == counter.get_total_flops() / 2


def test_the_last_row_before_a_stride_is_counted() -> None:
    """Of 16 rows, the last output of a halving reads rows 13 to 15, and what is before them 12 to 15."""
    gate = "gate half per position { body conv(3, routes, stride = 2, bias); activation relu_tanh }"
    module = compiled("h = half(x) * (x | conv(3) | conv(3, stride = 2))", form="sparse", gates=gate)
    cost = run(module, {"h": one_open(7, 7, (8, 8), 1)}, batch=1).routing.cost
    stem = 9 * 2 * 4 * 256
    assert float(cost.hard) - stem == 9 * 16 * (9 + 1) == float(cost.executed) - stem


def test_export_runs_whole_maps_of_the_images_that_need_them() -> None:
    module = compiled("h = x + (x | fine * (conv(3) | conv(3)))", form="export")
    mask = one_open(7, 7)
    mask[0] = 0.0
    with FlopCounterMode(display=False) as counter:
        cost = run(module, {"h.fine": mask}).routing.cost
    stem, whole = 9 * 2 * 4 * 256, 2 * 9 * 16 * 256
    assert cost.executed.tolist() == [stem, stem + whole]
    assert float(cost.executed.sum()) == counter.get_total_flops() / 2
    assert float(cost.hard[1]) == stem + 9 * 16 * 10


@pytest.mark.parametrize("stats", ["all", "active"])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_batch_statistics_count_images_that_reach_the_gate(form: str, stats: str) -> None:
    """Under `all` also those that are shut everywhere."""
    module = compiled(f"h = x + fine(x) * (x | batchnorm(stats = {stats}))", form=form).train()
    mask = one_open(3, 4, batch=3)
    mask[1] = 0.0
    images = random_images(2, 3, 64, 64, seed=1)
    with rs.forcing(module, {"node": {"h.2": mask}}):
        module(images)
    with torch.no_grad():
        values = module.get_submodule("node.x.op")(images)
    counted = values.permute(1, 0, 2, 3).flatten(1) if stats == "all" else values[::2, :, 3, 4].t()
    assert torch.allclose(norm_of(module).running_mean, 0.1 * counted.mean(1))


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_batch_statistics_of_a_gate_count_images_that_reach_it(form: str) -> None:
    gate = "gate normed per position { body batchnorm | conv(3, routes, bias); activation relu_tanh }"
    module = compiled("m = whole(x) * (x | conv(1))\n h = x + normed(m) * (m | conv(3))", form=form, gates=gate).train()
    images = random_images(2, 3, 64, 64, seed=1)
    with overridden(module, "m", torch.tensor([0.0, 1.0, 1.0]).double()):
        module(images)
    with torch.no_grad():
        values = module.get_submodule("node.m.1.op")(module.get_submodule("node.x.op")(images))
    assert torch.allclose(norm_of(module).running_mean, 0.1 * values[1:].mean((0, 2, 3)))


def norm_of(module: nn.Module) -> Any:
    (norm,) = [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]
    return norm


def overridden(module: nn.Module, route: str, weight: Tensor) -> AbstractContextManager[None]:
    """A block in which the gate of one route has a weight, and no other of its node."""
    controls = [getattr(one, "control", None) for one in module.modules()]
    (found,) = [one for one in controls if one is not None and one.routes == (route,)]
    return entering({found: Override((route,), (weight,))})


def test_gradients_of_active_batch_statistics() -> None:
    norm = rs.compile(rs.loads("space s { input image: 3\n output y = image | batchnorm(stats = active) }"))
    op = chain(norm_of(norm).double().train(), nn.Sigmoid())
    x = maps(2, 3, (4, 3)).double().requires_grad_()
    mask = torch.rand(2, 1, 4, 3, generator=torch.Generator().manual_seed(0)) < 0.6
    assert torch.autograd.gradcheck(lambda x: reference_where(op, x, mask, {}), (x,))


@pytest.mark.parametrize("form", FORMS)
def test_nan_is_told_of_gates_per_position_that_are_asked(form: str) -> None:
    module = compiled("m = whole(x) * (x | fine * conv(3))\n h = m + x | fine * conv(1)", form=form)
    clean = random_images(2, 2, 64, 64, seed=1)
    spoilt = clean.clone()
    spoilt[1, 0, 5, 5] = torch.nan
    with torch.no_grad(), overridden(module, "m", torch.tensor([0.0, 0.0]).double()):
        assert module(clean).routing.nan_gates() == []
        assert module(spoilt).routing.nan_gates() == ["node"]


def test_a_net_with_a_shut_gate_per_position_sends_zeros() -> None:
    body = "send x by fine(x) { keep: conv(3) }\n h = max(x, keep | conv(1, 4, bias))"
    dense = compiled(body)
    net = rs.compile(rs.graph_of(dense), form="fixed", net={"node": {"keep": 0.0}}).double().eval()
    net.load_state_dict({name: dense.state_dict()[name] for name in net.state_dict()})
    with torch.no_grad():
        assert torch.allclose(net(random_images(2, 2, 64, 64, seed=1)).output, run(dense, {"keep": 0.0}).output)


def test_the_least_cost_keeps_what_follows_a_gate_per_position() -> None:
    """A map that is shut everywhere still reaches the node behind it."""
    text = """space s {
      input image: 2
      axis layer = 0..1
      gate fine per position { body conv(3, routes, bias); activation relu_tanh }
      node at layer {
        x = image if layer == 0 else keep[layer - 1]
        h = x | conv(3)
        send x by fine(x) { keep: identity where layer == 0 }
      }
      output y = h[1]
    }"""
    module = rs.compile(rs.loads(text), form="sparse")
    with torch.no_grad(), rs.forcing(module, {"layer0": "closed"}):
        cost = module(torch.ones(1, 2, 64, 64)).routing.cost
    gate = 9 * 2 * 64 * 64
    assert bounds(rs.graph_of(module), (64, 64)).least == float(cost.hard) + gate == gate + 9 * 4 * 64 * 64


def test_gates_inside_ops_have_names_to_force_them_by() -> None:
    """That of the equation and of the gate; one that is all of its equation has the equation's."""
    graph = rs.graph_of(compiled("h = x + (x | fine * conv(3)) | fine * conv(1) | relu\n k = h | fine * conv(1)", "k"))
    routes = [route for gate in graph.gates for route in gate.routes]
    assert sorted(routes) == ["h.fine", "h.fine.2", "k"]


def test_one_exported_program_serves_all_batches_and_masks() -> None:
    module = compiled("h = x + (x | fine * (conv(3) | groupnorm(2, stats = active) | conv(3)))", form="export").float()
    given = random_images(2, 5, 64, 64, seed=1).float()
    batch = torch.export.Dim.DYNAMIC
    program = torch.export.export(module, (given[:3],), dynamic_shapes={"images": {0: batch}}).module()
    for count in (0, 1, 5):
        with torch.no_grad():
            wanted, found = module(given[:count]), program(given[:count])
        assert torch.allclose(found.output, wanted.output, atol=1e-5)
        assert torch.equal(found.routing.cost.executed, wanted.routing.cost.executed)


@pytest.mark.parametrize("stats", ["active", "all"])
@pytest.mark.parametrize("density", [0.1, 0.6, 1.0])
def test_norms_lose_nothing_to_a_large_mean(stats: str, density: float) -> None:
    """Values that deviate by 1 from 100: the forms in float32 beside float64."""
    text = f"""space s {{
      input image: 8
      gate fine per position {{ body conv(1, routes, bias); activation relu_tanh }}
      node {{ y = fine(image) * (image | groupnorm(4, stats = {stats})) }}
      output y = y
    }}"""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 8, 64, 64, generator=generator) + 100
    mask = (torch.rand(2, 64, 64, generator=generator) < density).double()
    wanted, weights = None, None
    for form, dtype in (("dense", torch.float64), ("dense", torch.float32), ("sparse", torch.float32)):
        module = rs.compile(rs.loads(text), form=form).to(dtype).eval()  # type: ignore[arg-type]
        weights = weights or module.state_dict()
        module.load_state_dict(weights)
        with torch.no_grad(), rs.forcing(module, {"node": {"y": mask.to(dtype)}}):
            found = module(images.to(dtype)).output.double()
        wanted = found if wanted is None else wanted
        assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_gates_that_decide_at_other_sizes_are_told_with_the_image() -> None:
    gated = "fine(x | maxpool(2, stride = 2, pad = 0)) * (x | maxpool(3, stride = 2, pad = 1))"
    module = compiled(f"h = {gated}")
    with torch.no_grad(), pytest.raises(rs.InputError, match=r"images of 68x64 do not fit .* 8x8 .* `node.h`.* 9x8"):
        module(random_images(2, 1, 68, 64, seed=0))


def test_what_reads_nothing_and_is_read_by_nothing_is_nothing() -> None:
    space = rs.loads("""space s {
      input image: 3
      axis layer = 0..1
      gate fine per position { body conv(3, routes, bias); activation relu_tanh }
      node at layer {
        before = x[layer - 1]
        more   = before | fine * conv(3)
        x      = image if layer == 0 else before + more
      }
      output y = x[1]
    }""")
    assert [gate.node for gate in rs.build(space).gates] == ["layer1"]
