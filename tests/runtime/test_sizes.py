"""Images of any size that fits run in every form, one size after the other; others are refused before anything runs."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

import routespace as rs
from routespace.space.model import Space

SKIPNET = """space skipnet(depth = 4, width = 8, classes = 10) {
  input image: 3
  axis layer = 0..depth
  gate skip per image { body mean | conv(1, routes, bias); activation threshold; start bias(0) }
  node at layer {
    x = image | conv(3, width) | batchnorm | relu if layer == 0 else y[layer - 1]
    y = x + skip(x) * (x | conv(3) | batchnorm | relu | conv(3) | batchnorm) | relu
  }
  output logits = y[depth] | mean | conv(1, classes, bias)
  budget hinge(expected / maximum, 0.5)
}"""

EXITS = """space exits(depth = 2) {
  input image: 3
  axis stage = 0..depth
  gate on per image { body conv(1, routes, bias); activation threshold }
  node at stage {
    y = image | conv(3, 4, stride = 2) if stage == 0 else y[stage - 1] | conv(3, 2 * channels, stride = 2) | relu
    value = y | mean | conv(1, 5, bias)
    answer = value if stage == depth else sum by on(value) { go: answer[stage + 1] } closed = value
  }
  output answer = answer[0]
}"""

FORMS = ("dense", "sparse", "export")
Size = tuple[int, int]


def forms(space: Space) -> dict[str, nn.Module]:
    """Each form in float64, with the same weights, gates of which open and close by image."""
    found = {form: rs.compile(space, form=form, seed=4).double().eval() for form in FORMS}
    generator = torch.Generator().manual_seed(4)
    state = {
        name: torch.randn(one.shape, generator=generator, dtype=torch.float64).abs() + 0.1
        if "running_var" in name
        else torch.randn(one.shape, generator=generator, dtype=torch.float64) * 0.5
        for name, one in found["dense"].state_dict().items()
        if one.is_floating_point()
    }
    for module in found.values():
        module.load_state_dict(state, strict=False)
    return found


def images(*size: int, channels: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, channels, *size, generator=generator, dtype=torch.float64)


def agree(space: Space, *sizes: Size, channels: int = 3) -> dict[Size, Tensor]:
    """The outputs of every form for images of each size in turn, which have to be equal."""
    compiled, made = forms(space), {}
    for size in sizes:
        with torch.no_grad():
            outputs = [module(images(*size, channels=channels)).output for module in compiled.values()]
        assert all(torch.allclose(one, outputs[0], atol=1e-9) for one in outputs)
        made[size] = outputs[0]
    return made


def test_images_of_small_data_sets() -> None:
    made = agree(rs.loads(SKIPNET), (32, 32), (28, 28), (1, 1), (7, 5), (2, 31))
    assert {tuple(one.shape) for one in made.values()} == {(4, 10, 1, 1)}


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_training_on_images_of_one_pixel(form: str) -> None:
    module = rs.compile(rs.loads(SKIPNET), form=form).train()
    for batch, side in ((1, 1), (2, 1), (2, 32)):
        outcome = module(torch.rand(batch, 3, side, side))
        (outcome.output.square().mean() + rs.budget_loss(module, outcome, 1.0)).backward()
    assert all(one.grad is None or one.grad.isfinite().all() for one in module.parameters())


def test_a_map_of_features_is_an_input() -> None:
    text = SKIPNET.replace("input image: 3", "input feat: 64").replace("x = image", "x = feat")
    assert agree(rs.loads(text), (24, 24), (1, 1), channels=64)[24, 24].shape == (4, 10, 1, 1)


@pytest.mark.parametrize("form", FORMS)
def test_a_mean_does_not_fix_a_scale(form: str) -> None:
    space = rs.loads("""space t {
  input image: 3
  axis scale = s8 with stride = 8
  output a = image | conv(3, 8, stride = 8) | mean | conv(1, 2)
  output b = image | conv(1, 8) | resize(to = s8)
}""")
    made = rs.compile(space, form=form).eval()(torch.rand(1, 3, 64, 64)).output
    assert {name: tuple(one.shape) for name, one in made.items()} == {"a": (1, 2, 1, 1), "b": (1, 8, 8, 8)}


def test_exits_of_maps_that_shrink() -> None:
    space = rs.loads(EXITS)
    made = agree(space, (64, 64), (32, 28), (1, 1), (9, 5))
    assert made[1, 1].shape == (4, 5, 1, 1)
    dense = forms(space)["dense"]
    with torch.no_grad(), rs.forcing(dense, {"stage0": "closed"}):
        first = dense(images(32, 28))
    assert first.output.shape == (4, 5, 1, 1)


def test_a_fixed_net_and_a_pruned_space_take_small_images() -> None:
    text = SKIPNET + "\nnet all in skipnet {\n  everything\n}\n"
    module = rs.compile(rs.loads(text), form="fixed", net="all").eval()
    assert module(torch.rand(2, 3, 5, 4)).output.shape == (2, 10, 1, 1)
    sparse = rs.compile(rs.loads(SKIPNET), form="sparse").eval()
    profile = rs.record(sparse, [torch.rand(2, 3, 8, 8)])
    assert rs.prune(sparse, profile)(torch.rand(2, 3, 3, 1)).output.shape == (2, 10, 1, 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("body", "size", "says"),
    [
        ("output y = image | conv(3, 8, pad = 0)", (2, 9), "`conv` does not fit: its window of 3 .* a side of 2"),
        ("output y = image | maxpool(5, pad = 0) | mean", (9, 4), "`maxpool` does not fit: its window of 5"),
        ("output y = (image | conv(1, 3, stride = 2) | resize(by = 2)) + image", (7, 8), "sizes .* merged by `sum`"),
        ("output y = image | (conv(1, 3, stride = 2) | resize(by = 2)) + identity", (8, 7), "sizes .* by `sum`"),
        ("output y = image | concat(conv(1, 3, stride = 2) | resize(by = 2), identity)", (8, 7), "by `concat`"),
    ],
)
def test_what_ops_cannot_do_is_refused(body: str, size: Size, says: str, form: str) -> None:
    module = rs.compile(rs.loads(f"space s {{\n input image: 3\n {body}\n}}"), form=form).eval()
    height, width = size
    with pytest.raises(rs.InputError, match=f"images of {height}x{width} do not fit space `s`: .*{says}.*x"):
        module(torch.rand(1, 3, *size))


DECIDED = """space s {{
  input image: 3
  {gate}
  node n {{
    x = image | conv(3, 4, stride = {stride})
    {body}
  }}
  output y = {output}
}}"""
PER_IMAGE = "gate soft per image { body conv(1, routes, bias); activation relu_tanh }"
FINE = "gate soft per position { body conv(3, routes, stride = 2, bias) | resize(by = 2); activation relu_tanh }"
MEAN = "gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("gate", "stride", "body", "output", "fits", "fits_not", "says"),
    [
        (PER_IMAGE, 256, "y = x + soft(x) * (x | conv(1))", "y", (200, 256), (257, 8), "one decision per image"),
        (FINE, 1, "y = x + soft(x) * (x | conv(1))", "y", (8, 6), (8, 7), "decides at 8x8 positions"),
        (
            MEAN,
            1,
            "h = x | conv(3, stride = 2) | resize(by = 2)\n send h by soft(x) { keep: relu } closed keep = x",
            "keep",
            (8, 8),
            (9, 8),
            "one shape when it is open and another",
        ),
    ],
    ids=["per image", "per position", "closed"],
)
def test_decisions_for_other_positions_are_refused(
    gate: str, stride: int, body: str, output: str, fits: Size, fits_not: Size, says: str, form: str
) -> None:
    text = DECIDED.format(gate=gate, stride=stride, body=body, output=output)
    module = rs.compile(rs.loads(text), form=form).eval()
    with torch.no_grad():
        assert module(torch.rand(2, 3, *fits)).output.shape[0] == 2
        with pytest.raises(rs.InputError, match=says):
            module(torch.rand(2, 3, *fits_not))


def test_what_is_known_of_zeros_is_that_of_the_size() -> None:
    """At 1x1 and at 5x5 what is never reached at s8 has the size 1x1; what it is resized to has not."""
    text = """space far {
  input image: 3
  axis layer = 0..1
  axis scale = s4, s8 with stride = 4 * 2^scale
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh; start bias(-1) }
  node at layer, scale where scale <= layer {
    x = image | conv(3, 4, stride = 4) if layer == 0 else keep[layer - 1, scale] + down[layer - 1, scale - 1]
    send x by soft(x) { keep: relu; down: conv(3, stride = 2) }
  }
  output y = keep[1, s4] + (keep[1, s8] | conv(1, bias) | resize(to = s4))
  live always
}"""
    sizes = ((1, 1), (5, 5), (8, 3), (1, 1), (64, 64), (60, 62))
    made = agree(rs.loads(text), *sizes)
    assert {size: tuple(made[size].shape[2:]) for size in sizes} == {
        (high, wide): (-(-high // 4), -(-wide // 4)) for high, wide in sizes
    }


@pytest.mark.parametrize(("numerator", "denominator"), [(13, 3), (1, 49), (26, 3), (49, 48)])
def test_factors_give_whole_positions(numerator: int, denominator: int) -> None:
    """Where 27 · 13/3 = 117 is rounded down to 116, torch makes one position less than there are."""
    space = rs.loads(
        f"space s {{\n input image: 1\n output y = image | resize(by = {numerator}/{denominator}) | conv(1)\n}}"
    )
    module = rs.compile(space, form="sparse").eval()
    for high, wide in product((1, 3, 27, 48, 98), (2, 49)):
        shape = module(torch.rand(1, 1, high, wide)).output.shape[2:]
        assert tuple(shape) == tuple(max(1, side * numerator // denominator) for side in (high, wide))
