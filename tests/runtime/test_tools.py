"""Tools that are put on the parts of a module work in every form: where a part is more than its parameters, it runs."""

from __future__ import annotations

import copy
import types
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm
from torch.utils.flop_counter import FlopCounterMode

import routespace as rs
from routespace.compiler import Form
from routespace.runtime.layers import BatchNorm

SPACE = rs.loads("""space lanes {
  input image: 3
  op norm = batchnorm
  axis layer = 0..2
  axis lane  = left, right
  gate soft per image {
    body conv(1, 4) | norm | relu | mean | conv(1, routes, bias)
    activation relu_tanh
    start bias(1)
  }
  gate fine per position { body conv(1, routes, bias); activation relu_tanh; start bias(1) }
  node at layer, lane where lane <= layer {
    x = image | conv(3, 4, stride = 4) | norm if layer == 0
        else stay[layer - 1, lane] + move[layer - 1, lane - 1]
    f = x + fine(x) * (x | conv(3) | groupnorm(2, stats = active) | relu | conv(3, bias))
    h = f | conv(3) | norm | relu | conv(1, bias) + identity
    send h by soft(x) {
      stay: relu | conv(1, bias)
      move: relu | conv(1, 2) | norm | relu | conv(1, 4) | resize(by = 1) where lane == left
    } closed stay = x
  }
  output y = concat(stay[2, left], stay[2, right]) | conv(1, 2, bias)
  live by_node
}""")
FORMS: tuple[Form, ...] = ("dense", "sparse", "export", "fixed")
ZEROS = {"layer0.left": {"stay": 0.5}, "layer1.left": {"stay": 0.7, "move": 0.4}}
"""Decisions by which `layer1.right` is reached by zeros only."""
NET = {node: {"f.2": 1.0, "stay": 1.0, "move": 0.5} for node in ("layer0.left", "layer1.left")} | {
    node: {"f.2": 1.0, "stay": 1.0} for node in ("layer1.right", "layer2.left", "layer2.right")
}


def compiled(form: Form) -> nn.Module:
    return rs.compile(SPACE, form, net=NET if form == "fixed" else None, seed=3).eval()


IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def output(module: nn.Module, forced: Any = None, images: Tensor = IMAGES) -> Tensor:
    with torch.no_grad(), rs.forcing(module, forced or {}):
        return cast(Tensor, module(images).output)


def every(module: nn.Module, kind: type[nn.Module] = nn.Conv2d) -> list[tuple[nn.Module, str, Any]]:
    """Parts of a kind, each with what holds it and its name there."""
    found = []
    for path, part in module.named_modules():
        if isinstance(part, kind):
            holder, _, name = path.rpartition(".")
            found.append((module.get_submodule(holder), name, part))
    return found


def near(made: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-5 * max(1.0, float(wanted.abs().max())))


def hook(module: nn.Module) -> None:
    for _, _, part in every(module):
        part.register_forward_hook(lambda part, given, made: made * 0.5)


def pre_hook(module: nn.Module) -> None:
    for _, _, part in every(module):
        part.register_forward_pre_hook(lambda part, given: (given[0] * 0.5,))


def hooks_of_norms(module: nn.Module) -> None:
    for kind in (BatchNorm, nn.GroupNorm, nn.ReLU):
        for _, _, part in every(module, kind):
            part.register_forward_hook(lambda part, given, made: made + 0.1)


def pruned(module: nn.Module) -> None:
    for _, _, part in every(module):
        prune.l1_unstructured(part, "weight", amount=0.5)


class Half(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def parametrized(module: nn.Module) -> None:
    for _, _, part in every(module):
        parametrize.register_parametrization(part, "weight", Half())


def old_spectral(module: nn.Module) -> None:
    for _, _, part in every(module):
        torch.manual_seed(0)
        spectral_norm(part)


def new_norms(module: nn.Module) -> None:
    for _, _, part in every(module):
        torch.manual_seed(0)
        (parametrizations.spectral_norm if part.kernel_size == (1, 1) else parametrizations.weight_norm)(part)
        with torch.no_grad():
            next(iter(part.parametrizations.weight.parameters())).mul_(0.5)


def own_forward(module: nn.Module) -> None:
    for _, _, part in every(module):
        part.forward = types.MethodType(lambda self, x: nn.Conv2d.forward(self, x) * 0.5, part)


def own_convolution(module: nn.Module) -> None:
    for _, _, part in every(module):
        part._conv_forward = types.MethodType(lambda self, *given: nn.Conv2d._conv_forward(self, *given) * 0.5, part)


class HalfConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 0.5


def swapped(module: nn.Module) -> None:
    for _, _, part in every(module):
        part.__class__ = HalfConv


class Adapted(nn.Module):
    """A convolution with one of low rank beside it, as LoRA puts there."""

    def __init__(self, base: nn.Conv2d) -> None:
        super().__init__()
        self.base, self.scale = base, 0.5
        self.down = nn.Conv2d(base.in_channels, 1, base.kernel_size, base.stride, base.padding, bias=False)  # type: ignore[arg-type]
        self.up = nn.Conv2d(1, base.out_channels, 1, bias=False)
        nn.init.constant_(self.down.weight, 0.1)
        nn.init.constant_(self.up.weight, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.base(x) + self.scale * self.up(self.down(x)))


def adapted(module: nn.Module) -> None:
    for holder, name, part in every(module):
        setattr(holder, name, Adapted(part))


def leaky(module: nn.Module) -> None:
    for holder, name, _ in every(module, nn.ReLU):
        setattr(holder, name, nn.LeakyReLU(0.5))


def plain_weights(module: nn.Module) -> None:
    for _, _, part in every(module):
        weight = part.weight.detach() / 2
        del part.weight
        part.weight = weight


def circular(module: nn.Module) -> None:
    for _, _, part in every(module):
        part.padding_mode = "circular"
        part._reversed_padding_repeated_twice = [side for side in reversed(part.padding) for _ in range(2)]


def without_statistics(module: nn.Module) -> None:
    for _, _, part in every(module, BatchNorm):
        part.running_mean = part.running_var = None


def other_epsilon(module: nn.Module) -> None:
    for kind in (BatchNorm, nn.GroupNorm):
        for _, _, part in every(module, kind):
            part.eps = 0.5


TOOLS = (
    hook, pre_hook, hooks_of_norms, pruned, parametrized, old_spectral, new_norms, own_forward, own_convolution,
    swapped, adapted, leaky, plain_weights, circular, without_statistics, other_epsilon,
)  # fmt: skip


@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "warm"])
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
@pytest.mark.parametrize("form", ["sparse", "export"])
def test_a_tool_is_obeyed_in_every_form(form: Form, tool: Callable[[nn.Module], None], warm: bool) -> None:
    wanted, module = compiled("dense"), compiled(form)
    for forced in (None, ZEROS):
        images = IMAGES[:1] if tool is without_statistics else IMAGES
        if warm:
            output(module, forced, images), output(wanted, forced, images)
        if forced is None:
            before = output(wanted, forced, images)
            tool(wanted)
            tool(module)
        expected = output(wanted, forced, images)
        for _ in range(2):
            near(output(module, forced, images), expected)
        assert forced is not None or not torch.allclose(expected, before, atol=1e-4)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_a_tool_is_obeyed_in_a_net(tool: Callable[[nn.Module], None]) -> None:
    wanted, module = compiled("dense"), compiled("fixed")
    output(module)
    tool(module)
    tool(wanted)
    near(output(module), output(wanted, NET))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_taken_off_is_gone(form: Form) -> None:
    module = compiled(form)
    before, forced = output(module), None if form == "fixed" else ZEROS
    closed = output(module, forced)
    handles = [part.register_forward_hook(lambda part, given, made: made * 0) for _, _, part in every(module)]
    assert not torch.equal(output(module), before)
    for handle in handles:
        handle.remove()
    assert torch.equal(output(module), before) and torch.equal(output(module, forced), closed)
    for _, _, part in every(module):
        part.register_forward_hook(lambda part, given, made: made * 0)
    output(module)
    for part in module.modules():
        part._forward_hooks = OrderedDict()
    assert torch.equal(output(module), before)
    pruned(module)
    halved = output(module)
    for _, _, part in every(module):
        prune.remove(part, "weight")
    near(output(module), halved)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("grad", [False, True])
def test_hooks_see_the_work_that_is_charged(form: Form, grad: bool) -> None:
    """Each multiply-add that a call says it executed is seen by a hook, and no other, where results were known too."""
    module, seen = compiled(form), []
    for _, _, part in every(module):
        part.register_forward_hook(lambda part, given, made: seen.append(made[:, 0].numel() * part.weight.numel()))
    for forced in (None,) if form == "fixed" else (None, ZEROS, ZEROS):
        seen.clear()
        with torch.set_grad_enabled(grad), rs.forcing(module, forced or {}):
            executed = module(IMAGES).routing.cost.executed.sum()
        assert float(executed) == sum(seen)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_backward_hooks_are_called(form: Form) -> None:
    module, seen = compiled(form), []
    for _, _, part in every(module):
        part.register_full_backward_hook(lambda part, given, made: seen.append(part))
    output(module)
    if form != "export":
        module.train()
    module(IMAGES).output.square().sum().backward()
    assert {id(part) for part in seen} >= {
        id(part) for path, part in module.named_modules() if path.endswith("h.op.0.0")
    }


@pytest.mark.parametrize("form", FORMS)
def test_hooks_of_all_modules_are_called(form: Form) -> None:
    module, seen = compiled(form), []
    output(module)
    handle = register_module_forward_hook(lambda part, given, made: seen.append(type(part)))
    try:
        output(module)
    finally:
        handle.remove()
    assert seen.count(nn.Conv2d) >= 5 and any(issubclass(kind, BatchNorm) for kind in seen)


@pytest.mark.parametrize("form", FORMS)
def test_a_forward_of_the_class_is_called(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    module, seen, own = compiled(form), [], nn.Conv2d.forward
    output(module)

    def forward(self: nn.Conv2d, x: Tensor) -> Tensor:
        seen.append(self)
        return own(self, x)

    monkeypatch.setattr(nn.Conv2d, "forward", forward)
    output(module)
    assert len(seen) >= 5


@pytest.mark.parametrize("form", FORMS)
def test_a_counter_of_operations_changes_nothing(form: Form) -> None:
    module = compiled(form)
    before = output(module)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        outcome = module(IMAGES)
    assert torch.equal(outcome.output, before)
    assert counter.get_total_flops() == 2 * outcome.routing.cost.executed.sum()


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_a_call_are_used_in_it(form: Form) -> None:
    module, other = compiled(form), compiled(form)
    before = output(module)
    halved = {name: tensor / 2 for name, tensor in module.named_parameters()}
    other.load_state_dict({**other.state_dict(), **halved})
    with torch.no_grad():
        made = functional_call(module, halved, (IMAGES,)).output
    near(made, output(other))
    assert torch.equal(output(module), before)


def test_what_a_hook_keeps_is_left_as_it_was() -> None:
    module, kept = compiled("sparse"), []
    for _, _, part in every(module):
        part.register_forward_hook(
            lambda part, given, made: kept.append((made, made.clone(), given[0], given[0].clone()))
        )
    output(module, ZEROS)
    output(module)
    assert all(torch.equal(made, as_made) and torch.equal(given, as_given) for made, as_made, given, as_given in kept)


@pytest.mark.parametrize("tool", [hook, adapted], ids=lambda tool: tool.__name__)
def test_tools_reach_what_is_pruned_of_routes(tool: Callable[[nn.Module], None]) -> None:
    module = compiled("sparse")
    with rs.forcing(module, {"layer1.right": "closed"}):
        pruned = rs.prune(module, rs.record(module, [IMAGES]))
    other = copy.deepcopy(pruned)
    assert pruned.pruning.routes
    wanted = compiled("dense")
    for one in (wanted, pruned, other):
        tool(one)
    for forced in (None, {"layer1.right": "closed"}):
        near(output(pruned, forced), output(wanted, forced))
        near(output(other, forced), output(wanted, forced))


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
def test_what_is_put_in_the_place_of_shared_weights_is_used(form: Form) -> None:
    space = rs.load(rs.example("dynamic_head"), depth=2, width=32)
    module, levels = rs.compile(space, form, seed=1).eval(), {"p3": 16, "p4": 8, "p5": 4, "p6": 2, "p7": 1}
    images = {
        name: torch.rand(1, 32, size, size, generator=torch.Generator().manual_seed(size))
        for name, size in levels.items()
    }
    with torch.no_grad():
        before = module(images).output
        for holder, name, part in every(module):
            setattr(holder, name, Adapted(part))
        after = module(images).output
    assert any(not torch.allclose(after[name], before[name], atol=1e-3) for name in before)


def test_a_convolution_of_ones_own_is_run_as_it_is() -> None:
    """An op may be registered that is a convolution and more."""

    class Standardized(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return self._conv_forward(x, weight, self.bias)

    @rs.op("standardized", window=lambda args: (3, 1, 1, 1))
    def standardized(inputs: tuple[int, ...]) -> nn.Module:
        return Standardized(inputs[0], inputs[0], 3, padding=1)

    @rs.op("mirrored", window=lambda args: (3, 1, 1, 1))
    def mirrored(inputs: tuple[int, ...]) -> nn.Module:
        return nn.Conv2d(inputs[0], inputs[0], 3, padding=1, padding_mode="reflect")

    space = rs.loads("space own { input image: 3; output y = image | standardized | batchnorm | mirrored | relu }")
    dense, fixed = rs.compile(space).eval(), rs.compile(space, "fixed", net={}).eval()
    near(output(fixed), output(dense))
