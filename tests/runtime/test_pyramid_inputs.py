"""What does not fit a pyramid is told: which level, what it is and what is needed. Nothing ends in a traceback."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import routespace as rs
from routespace.runtime.errors import GateError, InputError

TEXT = """space heads {
  axis layer = 0..1
  axis level = p3, p4, p5 with stride = 8 * 2^level
  input pyramid[level]: 4
  gate fine per position { body conv(3, routes, bias); activation geretanh(1.5) }
  node at layer, level {
    x = pyramid if layer == 0 else h[layer - 1, level] + (h[layer - 1, level + 1] | resize(to = level))
    h = x + (x | fine * (conv(3) | groupnorm(2, stats = active) | conv(3)))
  }
  output features[level] = h[1, level]
  share across(level)
}"""
LEVELS = ("p3", "p4", "p5")
Pyramid = dict[str, Tensor]


@cache
def head(form: str, debug: bool = False) -> nn.Module:
    return rs.compile(rs.loads(TEXT), form=form, debug=debug).eval()  # type: ignore[arg-type]


def pyramid(batch: int = 2, size: tuple[int, int] = (12, 9)) -> Pyramid:
    generator = torch.Generator().manual_seed(0)
    sizes = [size, *((-(-size[0] // k), -(-size[1] // k)) for k in (2, 4))]
    return {level: torch.randn(batch, 4, *one, generator=generator) for level, one in zip(LEVELS, sizes, strict=True)}


def changed(level: str, change: Callable[[Tensor], Any]) -> Callable[[], Any]:
    return lambda: {name: change(x) if name == level else x for name, x in pyramid().items()}


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "channels": (changed("p4", lambda x: x[:, :3]), r"level `pyramid\.p4` has 3 channels; the space declares 4"),
    "missing": (lambda: {"p3": pyramid()["p3"], "p5": pyramid()["p5"]}, "`pyramid` is given without the level `p4`"),
    "extra": (lambda: {**pyramid(), "p6": torch.zeros(2, 4, 2, 2)}, "`pyramid` has no level `p6`; its levels are p3"),
    "too few": (lambda: list(pyramid().values())[:2], "p3, p4, p5, 2 tensors are given"),
    "too many": (lambda: [*pyramid().values(), torch.zeros(2, 4, 1, 1)], "4 tensors are given"),
    "one tensor": (lambda: pyramid()["p3"], "one Tensor is given"),
    "nothing": (lambda: None, "one NoneType is given"),
    "a generator": (lambda: (x for x in pyramid().values()), "one generator is given"),
    "no tensor": (changed("p5", lambda x: x.tolist()), r"`pyramid\.p5` must be \(N, 4, H, W\), not list"),
    "dimensions": (changed("p3", lambda x: x[0]), r"`pyramid\.p3` must be \(N, 4, H, W\), not \(4, 12, 9\)"),
    "size": (changed("p4", lambda x: x[:, :, :, :3]), r"`pyramid\.p4` \(stride 16\) is 6x3.* `pyramid\.p3` .* of 12x9"),
    "order": (lambda: list(pyramid().values())[::-1], r"`pyramid\.p4` .* does not fit `pyramid\.p3`"),
    "no rows": (changed("p5", lambda x: x[:, :, :0]), r"`pyramid\.p5` has no positions: 0x3"),
    "no rows of the first": (changed("p3", lambda x: x[:, :, :, :0]), r"`pyramid\.p3` has no positions: 12x0"),
    "integers": (changed("p4", lambda x: x.long()), r"`pyramid\.p4` is torch\.int64; a floating-point"),
    "types": (changed("p4", lambda x: x.double()), r"`pyramid\.p4` has 2 images, torch\.float64 on cpu; `pyramid\.p3`"),
    "all doubles": (lambda: {k: x.double() for k, x in pyramid().items()}, "images are torch.float64, the module's"),
    "device": (changed("p5", lambda x: x.to("meta")), r"`pyramid\.p5` has 2 images, torch\.float32 on meta"),
    "all elsewhere": (lambda: {k: x.to("meta") for k, x in pyramid().items()}, "images are on meta, the module's"),
    "batch": (changed("p4", lambda x: x[:1]), r"`pyramid\.p4` has 1 images, .* `pyramid\.p3` has 2"),
}


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_told(case: str, form: str) -> None:
    made, message = WRONG[case]
    with pytest.raises(InputError, match=message), torch.no_grad():
        head(form)(made())


@st.composite
def corrupted(draw: st.DrawFn) -> tuple[Pyramid, bool]:
    """A pyramid of any size with some levels changed in any way, and whether it still fits."""
    batch, size = draw(st.integers(0, 2)), (draw(st.integers(1, 13)), draw(st.integers(1, 13)))
    found = pyramid(batch, size)
    shapes = {level: list(x.shape) for level, x in found.items()}
    dtypes = dict.fromkeys(LEVELS, torch.float32)
    for _ in range(draw(st.integers(0, 2))):
        level = draw(st.sampled_from(LEVELS))
        if draw(st.booleans()):
            shapes[level][draw(st.integers(0, 3))] = draw(st.integers(0, 13))
        else:
            dtypes[level] = draw(st.sampled_from((torch.float64, torch.int32, torch.bfloat16, torch.float32)))
    fits = all(shape[0] == shapes["p3"][0] and shape[1] == 4 and min(shape[2:]) > 0 for shape in shapes.values())
    for finer, coarser in (("p3", "p4"), ("p4", "p5")):
        for whole, half in zip(shapes[finer][2:], shapes[coarser][2:], strict=True):
            fits = fits and half in (whole // 2, (whole + 1) // 2)
    fits = fits and all(dtype == torch.float32 for dtype in dtypes.values())
    return {level: torch.zeros(shapes[level], dtype=dtypes[level]) for level in LEVELS}, fits


@settings(max_examples=150, deadline=None)
@given(corrupted(), st.sampled_from(["dense", "sparse", "export"]))
def test_any_pyramid_runs_or_is_refused(given_: tuple[Pyramid, bool], form: str) -> None:
    images, fits = given_
    with torch.no_grad():
        if not fits:
            with pytest.raises(InputError, match=r"pyramid|images are"):
                head(form)(images)
            return
        output = head(form)(images).output
    assert {name: tuple(x.shape) for name, x in output.items()} == {
        f"features.{level}": tuple(x.shape) for level, x in images.items()
    }


@pytest.mark.parametrize("form", ["dense", "sparse", "export"])
@pytest.mark.parametrize("level", LEVELS)
def test_nan_names_the_gates_that_it_reaches(form: str, level: str) -> None:
    images = pyramid()
    images[level][1, 2, 1, 1] = torch.nan
    with torch.no_grad():
        outcome = head(form)(images)
        found = outcome.routing.nan_gates()
        assert f"layer0.{level}" in found
        assert all(name.startswith("layer1.") or name == f"layer0.{level}" for name in found)
        assert not any(x[0].isnan().any() for x in outcome.output.values())
        with pytest.raises(GateError, match=f"the gate of `layer0.{level}` gave NaN"):
            head(form, debug=True)(images)
