"""What every form of a space promises, on one small space with gates of all kinds of outcome."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import routespace as rs
from routespace.graph.build import build
from routespace.testing.oracle import Oracle

SPEC = Path(__file__).parents[2] / "examples" / "segmentation.route"
FORMS = ("dense", "sparse", "export")


def small(**given: object) -> rs.Space:
    return rs.load(SPEC, **{"depth": 4, "width": 8, "classes": 3, **given})  # type: ignore[arg-type]


def stir(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random norms, and gate biases around the point where gates close."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2, generator=generator)  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
        if getattr(part, "node", ""):
            last = [one for one in part.body.modules() if isinstance(one, nn.Conv2d)][-1]  # type: ignore[union-attr]
            with torch.no_grad():
                last.weight.normal_(0, 0.3, generator=generator)
                last.bias.normal_(-0.2, 0.5, generator=generator)  # type: ignore[union-attr]
    return module


def images(count: int, size: tuple[int, int] = (64, 96), seed: int = 5) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def close(a: Tensor, b: Tensor, tolerance: float = 1e-4) -> bool:
    return bool((a - b).abs().max() <= tolerance * max(1e-6, b.abs().max().item())) if b.numel() else a.shape == b.shape


def modules(**given: object) -> dict[str, nn.Module]:
    space = small(**given)
    dense = stir(rs.compile(space, form="dense")).eval()
    found: dict[str, nn.Module] = {"dense": dense}
    for form in ("sparse", "export"):
        found[form] = rs.compile(space, form=form).eval()
        found[form].load_state_dict(dense.state_dict(), strict=True)
    return found


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (71, 90)])
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("live", ["by_node", "by_route", "always"])
def test_forms_agree(live: str, count: int, size: tuple[int, int]) -> None:
    x = images(count, size)
    with torch.no_grad():
        outs = {form: module(x) for form, module in modules(live=live).items()}
    reference = outs["dense"]
    assert reference.output.shape == (count, 3, *size)
    for form in ("sparse", "export"):
        assert close(outs[form].output, reference.output), form
        assert close(outs[form].routing.cost.expected, reference.routing.cost.expected)
        assert torch.equal(outs[form].routing.cost.hard, reference.routing.cost.hard)
        for node, routes in reference.routing.weights.items():
            for route, weight in routes.items():
                found = outs[form].routing.weights[node][route]
                assert torch.equal(found.isnan(), weight.isnan()), (form, node, route)
                assert close(found.nan_to_num(), weight.nan_to_num()), (form, node, route)


def test_images_do_not_meet() -> None:
    x = images(4)
    for form, module in modules().items():
        with torch.no_grad():
            whole = module(x)
            alone = [module(x[i : i + 1]) for i in range(4)]
            turned = module(x.flip(0))
        assert close(torch.cat([one.output for one in alone]), whole.output), form
        assert close(turned.output.flip(0), whole.output), form
        assert torch.equal(torch.cat([one.routing.cost.hard for one in alone]), whole.routing.cost.hard), form


def test_executed_is_what_an_outside_counter_counts() -> None:
    for form, module in modules().items():
        for count in (1, 3):
            counter = FlopCounterMode(display=False)
            with torch.no_grad(), counter:
                out = module(images(count))
            executed = out.routing.cost.under("macs").executed.sum().item()
            if form == "export":
                assert counter.get_total_flops() == 2 * executed
            else:
                assert counter.get_total_flops() == 2 * executed, form


def test_closed_paths_are_not_called() -> None:
    module = modules()["sparse"]
    calls: dict[str, int] = {}
    for name, part in module.named_modules():
        if name.endswith(".op") or name.endswith(".body"):
            for leaf_name, leaf in part.named_modules():
                if isinstance(leaf, nn.Conv2d):
                    leaf.register_forward_hook(
                        lambda *_, key=f"{name}:{leaf_name}": calls.__setitem__(key, calls.get(key, 0) + 1)
                    )
    x = images(1)
    out = module(x)
    shut = [
        f"{node}.{route}"
        for node, routes in out.routing.weights.items()
        for route, weight in routes.items()
        if not weight.item() > 0
    ]
    assert shut
    called = {key.split(":")[0] for key in calls}
    assert not called & {f"{name}.op" for name in shut}
    assert called


def test_a_closed_route_gets_no_gradient() -> None:
    module = stir(rs.compile(small(live="by_node"), form="dense")).eval()
    out = module(images(1))
    out.output.square().mean().backward()
    for node, routes in out.routing.weights.items():
        for route, weight in routes.items():
            if route != "keep" and not weight.item() > 0:
                for parameter in module.get_submodule(f"{node}.{route}.op").parameters():
                    assert parameter.grad is None or parameter.grad.abs().max() == 0, (node, route)


def test_replaying_gives_the_same_numbers() -> None:
    x = images(3)
    for form, module in modules().items():
        with torch.no_grad():
            out = module(x)
            with rs.replaying(module, out.routing):
                again = module(x)
        assert torch.equal(out.output, again.output), form
        assert again.routing.cost.under("macs").executed.sum() < out.routing.cost.under("macs").executed.sum()


def test_forcing() -> None:
    x = images(2)
    for form, module in modules().items():
        with torch.no_grad(), rs.forcing(module, {"layer1.s4": {"keep": 2.0}, "layer1.s8": "closed"}):
            weights = module(x).routing.weights
        assert weights["layer1.s4"]["keep"].tolist() == [2.0, 2.0], form
        assert weights["layer1.s4"]["down"].tolist() == [0.0, 0.0], form
        with pytest.raises(rs.GateError, match="did you mean"), rs.forcing(module, {"layer1.s3": "open"}):
            pass
        with (
            pytest.raises(rs.GateError, match="no route `sideways`"),
            rs.forcing(module, {"layer1.s4": {"sideways": 1}}),
        ):
            pass


def test_freezing() -> None:
    module = stir(rs.compile(small(), form="dense"))
    rs.freeze(module, "layer1.s4")
    module.train()
    body = module.get_submodule("layer1.s4.gate.body")
    assert not body.training and not any(parameter.requires_grad for parameter in body.parameters())
    assert module.get_submodule("layer1.s8.gate.body").training


def test_nan_is_open_and_named() -> None:
    x = images(2)
    for form, module in modules().items():
        with torch.no_grad():
            plain = module(x)
            bad = x.clone()
            bad[0, 0, 10, 10] = float("nan")
            out = module(bad)
        assert "layer0.s4" in out.routing.nan_gates(), form
        assert close(out.output[1], plain.output[1]), form
    debug = rs.compile(small(), form="dense", debug=True)
    with pytest.raises(rs.GateError, match="gave NaN"):
        debug(torch.full((1, 3, 64, 64), float("nan")))


def test_low_precision() -> None:
    x = images(2)
    for form, module in modules().items():
        low = copy.deepcopy(module).bfloat16()
        with torch.no_grad():
            full, coarse = module(x), low(x.bfloat16())
        assert coarse.output.dtype == torch.bfloat16
        assert torch.isfinite(coarse.output).all(), form
        assert coarse.output.shape == full.output.shape


def test_changed_weights_are_seen() -> None:
    """Folded weights and cached results follow the parameters."""
    forms = modules()
    x = images(2)
    with torch.no_grad():
        forms["sparse"](x)
        for parameter in forms["sparse"].parameters():
            parameter.mul_(1.1)
        for parameter in forms["dense"].parameters():
            parameter.mul_(1.1)
        assert close(forms["sparse"](x).output, forms["dense"](x).output)
        other = stir(rs.compile(small(), form="dense", seed=9), seed=3)
        forms["sparse"].load_state_dict(other.state_dict())
        assert close(forms["sparse"](x).output, other.eval()(x).output)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(1, 2, 64, 64), "2 channels; the space declares 3"),
        (torch.zeros(3, 64, 64), "must be"),
        (torch.zeros(1, 3, 64, 0), "64x0 have no positions"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.int64), "floating-point"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.float64), "float64"),
        (torch.zeros(1, 3, 64, 64, device="meta"), "on meta"),
    ],
)
def test_wrong_images(given: Tensor, message: str) -> None:
    module = rs.compile(small(), form="sparse")
    with pytest.raises(rs.InputError, match=message):
        module(given)


def test_initial_weights_come_from_names() -> None:
    first, second = rs.compile(small(), seed=3), rs.compile(small(depth=5), seed=3)
    name = "layer1.s4.h.op.0.1.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], rs.compile(small(), seed=4).state_dict()[name])
    bias = first.get_submodule("layer1.s4.gate.body").get_parameter("5.bias")
    assert bias.tolist() == [1.5, 1.5]


def test_export() -> None:
    """`torch.export` takes the export form, and one program serves 0, 1 and many images on any route."""
    space = small(depth=2)
    module = stir(rs.compile(space, form="export")).eval()
    dense = rs.compile(space, form="dense").eval()
    dense.load_state_dict(module.state_dict())
    program = torch.export.export(
        module, (images(3),), dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}}
    ).module()
    for count in (0, 1, 2, 5):
        x = images(count, seed=count)
        with torch.no_grad():
            wanted, found = dense(x), program(x)
        assert close(found.output, wanted.output)
        assert torch.equal(found.routing.cost.hard, wanted.routing.cost.hard)


def test_an_exported_program_has_the_size_of_its_example() -> None:
    space = rs.loads("space s {\n input image: 3\n output y = image | conv(3, 2)\n}")
    module, x = rs.compile(space, form="export").eval(), images(2)
    told, free = "those of its example, " + "x".join(map(str, x.shape[2:])), torch.export.Dim
    with pytest.warns(UserWarning, match=told), pytest.raises(Exception, match="specialized"):
        torch.export.export(module, (x,), dynamic_shapes={"images": {3: free.DYNAMIC}})
    with pytest.warns(UserWarning, match=told):
        program = torch.export.export(
            module, (x,), dynamic_shapes={"images": dict.fromkeys((0, 2), free.AUTO)}
        ).module()
    assert close(program(images(3)).output, module(images(3)).output)
    with pytest.raises(AssertionError, match="Guard failed"):
        program(x[:, :, :-1])


def test_levels_of_an_exported_pyramid_have_the_sizes_of_their_example() -> None:
    text = """space p {
  axis level = p3, p4 with stride = 8 * 2^level
  input pyramid[level]: 4
  node at level { y = pyramid | conv(3) }
  output y[level] = y[level]
}"""
    module = rs.compile(rs.loads(text), form="export").eval()
    levels, free = {"p3": torch.rand(2, 4, 8, 8), "p4": torch.rand(2, 4, 4, 4)}, torch.export.Dim.AUTO
    with pytest.warns(UserWarning, match="those of its example, 8x8"):
        torch.export.export(
            module, (levels,), dynamic_shapes={"pyramid": {"p3": dict.fromkeys((0, 2), free), "p4": {0: free}}}
        )


def test_fixed_is_the_space_with_its_gates_held() -> None:
    space = small()
    dense = stir(rs.compile(space, form="dense")).eval()
    net = {
        "layer0.s4": {"keep": 1.0, "down": 1.0},
        "layer1.s4": {"keep": 0.5},
        "layer1.s8": {"keep": 1.0},
        "layer2.s4": {"keep": 1.0},
        "layer2.s8": {"up": 1.0},
        "layer3.s4": {"keep": 1.0},
        "layer4.s4": {"keep": 1.0},
    }
    fixed = rs.compile(space, form="fixed", net=net).eval()
    kept = {name: tensor for name, tensor in dense.state_dict().items() if name in fixed.state_dict()}
    fixed.load_state_dict(kept, strict=True)
    x = images(2)
    held = {node: net.get(node, "closed") for node in rs.compile(space)(x).routing.weights}
    wanted = {}
    with rs.forcing(dense, held):  # type: ignore[arg-type]
        wanted = dense(x)
    found = fixed(x)
    assert close(found.output, wanted.output)
    wanted.output.square().mean().backward()
    found.output.square().mean().backward()
    theirs = dict(dense.named_parameters())
    for name, parameter in fixed.named_parameters():
        assert parameter.grad is not None and theirs[name].grad is not None
        assert close(parameter.grad, theirs[name].grad, 1e-3), name
    executed, hard = found.routing.cost.under("macs").executed, wanted.routing.cost.under("macs").hard
    assert executed.tolist() == hard.tolist()


def test_plans_never_write_into_what_they_were_given() -> None:
    """A resize to the size at hand gives its own input back; the relu behind it must not be done in place."""
    text = """space s {
      input image: 3
      axis scale = full with stride = 2
      gate g per image { body mean | conv(1, routes, bias); activation relu_tanh; start bias(1.0) }
      node at scale {
        x = image | conv(3, 4, stride = 2)
        y = x | resize(to = scale) | relu
        send x by g(x) { keep: resize(to = scale) | relu }
        z = y + x
      }
      output a = keep[full]
      output b = z[full]
    }"""
    space = rs.loads(text)
    dense, sparse = rs.compile(space, form="dense").eval(), rs.compile(space, form="sparse")
    x = images(2)
    with torch.no_grad():
        wanted, found = dense(x).output, sparse(x).output
    assert close(found["a"], wanted["a"]) and close(found["b"], wanted["b"])


def test_images_reached_by_zeros_alike_may_be_weighed_differently() -> None:
    module = modules(live="always")
    gates: dict[str, object] = {"layer0.s4": "closed", "layer1.s8": {"keep": torch.tensor([0.25, 0.75, 0.0])}}
    outputs = {}
    for form, one in module.items():
        with torch.no_grad(), rs.forcing(one, gates):  # type: ignore[arg-type]
            outputs[form] = one(images(3)).output
    assert not close(outputs["dense"][0], outputs["dense"][1])
    assert close(outputs["sparse"], outputs["dense"]) and close(outputs["export"], outputs["dense"])


def test_a_route_may_be_added_to_itself() -> None:
    """A sum writes into what is its own; a term that stands there twice is not."""
    space = rs.loads("""space s {
      input image: 3
      axis layer = 0..1
      gate g per image { body mean | conv(1, routes, bias); activation relu_tanh; start bias(1.0) }
      node at layer {
        x = image | conv(3, 4) if layer == 0 else keep[layer - 1] + keep[layer - 1]
        send x by g(x) { keep: conv(3) | relu }
      }
      output y = keep[1]
    }""")
    dense, sparse = rs.compile(space).eval(), rs.compile(space, form="sparse")
    sparse.load_state_dict(dense.state_dict())
    with torch.no_grad():
        assert close(sparse(images(1)).output, dense(images(1)).output)


class Shifted(nn.Module):
    """Writes into its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.add_(1.0)


def test_an_op_that_writes_into_its_input_spoils_no_other_route() -> None:
    rs.op("shifted")(lambda inputs: Shifted())
    space = rs.loads("""space s {
      input image: 3
      gate g per image { body mean | conv(1, routes, bias); activation relu_tanh; start bias(1.0) }
      node {
        x = image | conv(3, 4)
        send x by g(x) { a: relu | shifted | conv(1); b: relu | conv(3) }
      }
      output y = a + b
    }""")
    dense, sparse = rs.compile(space).eval(), rs.compile(space, form="sparse")
    sparse.load_state_dict(dense.state_dict())
    with torch.no_grad():
        assert close(sparse(images(1)).output, dense(images(1)).output)


def test_a_group_norm_of_the_image_learns_in_every_memory_format() -> None:
    module = rs.compile(rs.loads("space s { input image: 8; output y = image | groupnorm(2) | conv(1, 1) }"))
    image = torch.randn(1, 8, 64, 64)
    for layout in (torch.contiguous_format, torch.channels_last):
        module.zero_grad()
        module(image.contiguous(memory_format=layout)).output.square().sum().backward()
        grads = [parameter.grad for parameter in module.parameters()]
        assert all(grad is not None and bool(grad.abs().sum() > 0) for grad in grads)


def test_the_export_form_is_for_inference() -> None:
    module = stir(rs.compile(rs.load(rs.example("small"), depth=1, width=8), form="export"))
    with pytest.raises(RuntimeError, match="for inference"):
        module.train()(images(1))


@pytest.mark.parametrize("form", FORMS)
def test_a_scale_that_only_a_resize_passes_through(form: str) -> None:
    text = """space s {
      input image: 3
      axis scale = fine, coarse with stride = 2 * 2^scale
      output y = image | conv(3, 4, stride = 8) | resize(to = coarse) | conv(3) | resize(to = fine)
    }"""
    graph = build(space := rs.loads(text))
    module = rs.compile(space, form=form, seed=1).eval()
    for size in ((64, 64), (65, 71)):
        with torch.no_grad():
            found = module(images(2, size)).output
        assert found.shape[2:] == tuple(-(-length // 2) for length in size)
        expected = Oracle(graph, module.state_dict()).run(images(2, size)).outputs["y"]
        assert close(found, expected.float())


@pytest.mark.parametrize("rules", ["= x, keep = nothing", "keep = nothing, = x"])
def test_the_rule_of_a_branch_wins_over_the_rule_of_all(rules: str) -> None:
    text = f"""space s {{
      input image: 3
      gate g per image {{ body mean | conv(1, routes, bias); activation relu_tanh }}
      node {{
        x = image | relu
        send x by g(x) {{ keep: tanh; pass: tanh }} closed {rules}
      }}
      output kept = keep
      output passed = pass
    }}"""
    module = rs.compile(rs.loads(text)).eval()
    with torch.no_grad(), rs.forcing(module, {"node": "closed"}):
        output = module(images(2)).output
    assert close(output["passed"], images(2).relu())
    assert not output["kept"].any()
