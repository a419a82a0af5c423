"""What shut routes teach the gates that decide hard, in training: gradients, work, records."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import routespace as rs
from routespace.compiler import Form
from routespace.testing.oracle import Oracle

FORMS: tuple[Form, ...] = ("dense", "sparse")
LOGITS = torch.tensor([2.0, -1.0, 0.7, -2.0])
"""Of four images, which a body of `identity` reads off a constant map: the first and the third are open."""

RESIDUAL = """
space residual {{
  input image: 3
  axis block = 0..4
  gate run per image {{ body mean | conv(1, routes, bias); activation threshold; start bias({start}) }}
  node at block {{
    x = image | conv(3, 8, stride = 8) | batchnorm | relu if block == 0 else y[block - 1]
    y = x + run(x) * (x | conv(3) | batchnorm | relu | conv(3) | batchnorm)
  }}
  output label = y[4] | relu | mean | conv(1, 4, bias)
  budget square(expected / maximum, 0.6, weight = 4)
}}
"""


def compiled(text: str, form: Form, **kwargs: int) -> nn.Module:
    module = rs.compile(rs.loads(text), form=form, **kwargs)
    return module.train()


def images(count: int = 4, channels: int = 3, side: int = 64) -> Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(1))


def decided(body: str, rest: str, activation: str = "threshold", clauses: str = "") -> str:
    return f"""space s {{
      input image: 1
      gate g per image {{ body {body}; activation {activation}; {clauses} }}
      node {{
        x = image | conv(3, 2, stride = 8, bias)
        {rest}
      }}
      output y = y
    }}"""


def flat(logits: Tensor) -> Tensor:
    """Images that are constant, so that their mean is a logit."""
    return logits.view(-1, 1, 1, 1).expand(-1, 1, 64, 64).clone()


# ---- the gradient ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("clause", ["", "gradient all", "gradient open"])
def test_the_gradient_is_that_of_the_weighted_sum(form: Form, clause: str) -> None:
    text = decided("mean", "r = g(image)\n y = x + r * (x | conv(3, bias))", clauses=clause)
    module = compiled(text, form)
    given = flat(LOGITS).requires_grad_()
    out = module(given).output
    slope = torch.linspace(-1, 1, out.numel()).view_as(out)
    out.backward(slope)

    with torch.no_grad():
        x = nn.functional.conv2d(given, *_weights(module, "x.op"), stride=8, padding=1)
        branch = nn.functional.conv2d(x, *_weights(module, "y.2.1.op"), padding=1)
    soft = torch.sigmoid(LOGITS)
    taught = (slope * branch).sum((1, 2, 3)) * soft * (1 - soft)
    if clause == "gradient open":
        taught = torch.where(LOGITS > 0, taught, 0.0)
    through = torch.autograd.grad(_without_gate(module, given, LOGITS > 0), given, slope)[0]
    found = (given.grad - through).sum((1, 2, 3))
    assert torch.allclose(found, taught, atol=1e-4 * float(taught.abs().max()))


def _weights(module: nn.Module, path: str) -> tuple[Tensor, Tensor]:
    found = {name: one for name, one in module.named_parameters() if path in name}
    (weight,) = (one for name, one in found.items() if name.endswith("weight"))
    (bias,) = (one for name, one in found.items() if name.endswith("bias"))
    return weight, bias


def _without_gate(module: nn.Module, given: Tensor, opened: Tensor) -> Tensor:
    x = nn.functional.conv2d(given, *_weights(module, "x.op"), stride=8, padding=1)
    branch = nn.functional.conv2d(x, *_weights(module, "y.2.1.op"), padding=1)
    return x + torch.where(opened.view(-1, 1, 1, 1), branch, 0.0)


RESTS = {
    "beside a stream": "y = x + g(x) * (x | conv(3, bias))",
    "alone": "y = g(x) * (x | conv(3, bias))",
    "concatenated": "y = concat(x, g(x) * (x | conv(3, bias)))",
    "through sums of nothing": "m = g(x) * (x | conv(3)) + g(x) * (x | conv(1))\n y = x + m",
    "a maximum": "y = max(x, g(x) * (x | conv(3, bias)))",
    "a choice": "y = sum by g(x) { a: x | conv(3)\n b: x | relu\n c: x } closed = x",
    "an op behind": "m = g(x) * (x | conv(3))\n y = x + (m | conv(1, bias))",
    "gates behind gates": "m = x + g(x) * (x | conv(3))\n y = x + g(x) * (m | conv(1) | batchnorm(stats = active))",
    "norms that count": "y = x + g(x) * (x | conv(3) | batchnorm | relu | conv(1) | batchnorm(stats = active))",
}


@pytest.mark.parametrize("activation", ["threshold(0.4)", "argmax", "sigmoid"])
@pytest.mark.parametrize("rest", RESTS.values(), ids=RESTS)
@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_forms_are_the_oracle_s(form: Form, rest: str, activation: str) -> None:
    space = rs.loads(decided("mean | conv(1, routes, bias)", rest, activation, "gradient all"))
    module = rs.compile(space, form=form).double().train()
    given = images(5, 1).double()
    oracle = Oracle(rs.build(space), module.state_dict(), mode="training")
    wanted, out = oracle.run(given).output, module(given).output
    assert torch.allclose(out, wanted)
    slope = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    names = list(oracle.parameters())
    right = torch.autograd.grad(wanted, list(oracle.parameters().values()), slope, allow_unused=True)
    found = torch.autograd.grad(out, [module.get_parameter(name) for name in names], slope)
    for name, have, want in zip(names, found, right, strict=True):
        assert torch.allclose(have, torch.zeros_like(have) if want is None else want, atol=1e-9), name


class Step(nn.Module):
    """1 where v > 0, with the slope of tanh."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        soft, opened = torch.tanh(logits), ~(logits <= 0)
        return opened.to(soft) + (soft - soft.detach()), opened


@pytest.mark.parametrize(("straight_through", "taught"), [(True, 4), (False, 2)])
@pytest.mark.parametrize("form", FORMS)
def test_registered_activations_learn_as_they_declare(form: Form, straight_through: bool, taught: int) -> None:
    rs.activation("step", range=(0, 1), closes=True, straight_through=straight_through)(Step)
    text = decided("mean", "r = g(image)\n y = x + r * (x | conv(3, bias))", "step")
    module = compiled(text.replace("x = image", "x = image | scale(0)"), form)
    for one in module.parameters():
        nn.init.ones_(one)
    given = flat(LOGITS).requires_grad_()
    module(given).output.sum().backward()
    assert int((given.grad.abs().sum((1, 2, 3)) > 0).sum()) == taught


@pytest.mark.parametrize("form", FORMS)
def test_positions_that_are_shut_teach(form: Form) -> None:
    text = """space s {
      input image: 1
      gate g per position { body identity; activation threshold }
      node {
        y = image + g(image) * (image | conv(3, bias))
      }
      output y = y
    }"""
    module = compiled(text, form)
    given = images(3, 1).requires_grad_()
    out = module(given).output
    out.sum().backward()
    with torch.no_grad():
        branch = nn.functional.conv2d(given, *_weights(module, "y.2"), padding=1)
    soft = torch.sigmoid(given.detach())
    free = given.detach().requires_grad_()
    made = nn.functional.conv2d(free, *_weights(module, "y.2"), padding=1)
    (through,) = torch.autograd.grad((free + torch.where(given > 0, made, 0.0)).sum(), free)
    assert torch.allclose(given.grad - through, branch * soft * (1 - soft), atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_hard_gates_are_0_or_1(form: Form) -> None:
    module = compiled(RESIDUAL.format(start=0), form)
    weights = module(images(8)).routing.weights
    shown = {one for routes in weights.values() for column in routes.values() for one in column.tolist()}
    assert shown == {0.0, 1.0}


def test_a_shut_branch_that_is_not_finite_spoils_the_gate_alone() -> None:
    module = compiled(RESIDUAL.format(start=-9), "sparse")
    with torch.no_grad():
        module.get_parameter("block2.y.2.1.op.0.weight").fill_(float("inf"))
    out = module(images())
    assert out.output.isfinite().all()
    out.output.sum().backward()
    broken = {name for name, one in module.named_parameters() if not one.grad.isfinite().all()}
    assert "block2.y.2.gate.body.1.bias" in broken
    before = ("block0.", "block1.", "block2.y.2.gate.")
    assert all(name.startswith(before) for name in broken), "more than the gate and what it reads"


# ---- gates that closed open again ------------------------------------------------------------------------------------


def _quarters(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise with a bright quarter, and which one it is."""
    labels = torch.randint(0, 4, (count,), generator=generator)
    given = torch.randn(count, 3, 64, 64, generator=generator) * 0.5
    for image, label in enumerate(labels.tolist()):
        row, column = divmod(label, 2)
        given[image, :, row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] += 1.0
    return given, labels


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_gates_that_start_closed_open_to_their_target(form: Form, seed: int) -> None:
    module, generator = compiled(RESIDUAL.format(start=-2), form, seed=seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    shares = []
    for _ in range(70):
        given, labels = _quarters(8, generator)
        outcome = module(given)
        loss = nn.functional.cross_entropy(outcome.output.flatten(1), labels) + rs.budget_loss(module, outcome, 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        opened = [column for routes in outcome.routing.weights.values() for column in routes.values()]
        shares.append(float(torch.stack(opened).detach().mean()))
    assert shares[0] == 0
    assert 0.4 < sum(shares[-15:]) / 15 < 0.75


# ---- work and records ------------------------------------------------------------------------------------------------


def test_work_for_gradients_is_executed_and_neither_expected_nor_hard() -> None:
    closed = RESIDUAL.format(start=-9).replace("batchnorm", "groupnorm(2)")
    opened = closed.replace("threshold;", "threshold; gradient open;")
    spent = {}
    for name, text in (("all", closed), ("open", opened)):
        module = compiled(text, "sparse")
        with FlopCounterMode(display=False) as counter:
            cost = module(images()).routing.cost.under("macs")
        assert float(cost.executed.sum()) == pytest.approx(counter.get_total_flops() / 2)
        spent[name] = cost
    assert torch.equal(spent["all"].hard, spent["open"].hard)
    assert torch.equal(spent["all"].expected.detach(), spent["open"].expected.detach())
    assert torch.equal(spent["open"].executed, spent["open"].hard)
    assert bool((spent["all"].executed > spent["all"].hard).all())


@pytest.mark.parametrize("clause", ["gradient all", "gradient open"])
@pytest.mark.parametrize("form", FORMS)
def test_costs_see_the_slope_of_shut_weights(form: Form, clause: str) -> None:
    text = decided("mean", "r = g(image)\n y = x + r * (x | conv(3, bias))", clauses=clause)
    module, given = compiled(text, form), flat(LOGITS).requires_grad_()
    module(given).routing.cost.under("macs").expected.sum().backward()
    soft, price = torch.sigmoid(LOGITS), 2 * 2 * 9 * 8 * 8
    assert torch.allclose(given.grad.sum((1, 2, 3)), price * soft * (1 - soft))


@pytest.mark.parametrize("quiet", ["inference", "without gradients", "frozen", "forced"])
def test_nothing_runs_for_gradients_that_nobody_asks_for(quiet: str) -> None:
    module = compiled(RESIDUAL.format(start=-9).replace("batchnorm", "groupnorm(2)"), "sparse")
    if quiet == "inference":
        module.eval()
    if quiet == "frozen":
        rs.freeze(module)
    forced = dict.fromkeys(module(images()).routing.weights, "closed") if quiet == "forced" else {}
    with torch.set_grad_enabled(quiet != "without gradients"), rs.forcing(module, forced):
        cost = module(images()).routing.cost.under("macs")
    assert torch.equal(cost.executed, cost.hard)


@pytest.mark.parametrize("form", FORMS)
def test_gates_inside_a_shut_branch_are_asked_and_not_recorded(form: Form) -> None:
    rest = "m = x + g(x) * (x | conv(3))\n y = x + outer(x) * (m | conv(1))"
    text = decided("mean | conv(1, routes, bias)", rest, clauses="start bias(9)").replace(
        "node {",
        "gate outer per image { body mean | conv(1, routes, bias); activation threshold; start bias(-9) }\n node {",
    )
    module = compiled(text, form)
    outcome = module(images(3, 1))
    inner = [one for routes in outcome.routing.weights.values() for name, one in routes.items() if name.startswith("m")]
    assert len(inner) == 1 and bool(inner[0].isnan().all())
    with torch.no_grad():
        assert torch.equal(outcome.routing.cost.hard, module.eval()(images(3, 1)).routing.cost.hard)
    outcome.output.sum().backward()
    taught = {name for name, one in module.named_parameters() if bool(one.grad.any())}
    assert any(name.startswith("node.y.2.gate") for name in taught)
    assert not any(name.startswith("node.m.") for name in taught)


# ---- optimizers ------------------------------------------------------------------------------------------------------


def _trained(form: Form, forced: dict[str, str]) -> dict[str, Tensor]:
    text = RESIDUAL.format(start=0).replace("batchnorm", "groupnorm(2)").replace("threshold", "relu_tanh")
    module = compiled(text, form).double()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    for step in range(6):
        given = images().double() * (1 + step)
        with rs.forcing(module, forced if step % 2 else {}):
            loss = module(given).output.square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(one.grad is not None for one in module.parameters())
        optimizer.step()
    return module.state_dict()


@pytest.mark.parametrize("forced", [{}, {"block1": "closed", "block3": "closed"}], ids=["free", "forced"])
def test_momentum_and_decay_treat_forms_alike(forced: dict[str, str]) -> None:
    dense, sparse = _trained("dense", forced), _trained("sparse", forced)
    assert max(float((dense[name] - sparse[name]).abs().max()) for name in dense) < 1e-9
