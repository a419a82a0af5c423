"""The least size of images, what is told of others, and which streams say how large a scale is."""

from __future__ import annotations

import pytest

import routespace as rs
from routespace.graph.infer import infer
from routespace.graph.ir import Output, RouteGraph
from routespace.graph.sizes import least_size, misfit, refusal
from routespace.space.registry import BadArgument
from routespace.space.shape import Shape

Size = tuple[int, int]


def space_of(*statements: str) -> RouteGraph:
    body = "\n".join(f"  {one}" for one in statements)
    return rs.build(rs.loads(f"space s {{\n  input image: 3\n{body}\n}}"))


def made(graph: RouteGraph, size: Size) -> dict[str, Shape]:
    """The shape of each output, by key."""
    shapes = infer(graph, size).shapes
    return {value.key: shapes[value.name] for value in graph.values if isinstance(value, Output)}


SCALES = "axis scale = s4, s8 with stride = 4 * 2^scale"
GATE = "gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh }"


@pytest.mark.parametrize(
    ("statements", "least"),
    [
        (["output y = image | conv(3, 8) | batchnorm | relu"], 1),
        (["output y = image | conv(3, 8, stride = 2) | maxpool(3, stride = 2) | conv(3, 8, stride = 32)"], 1),
        (["output y = image | conv(3, 8, pad = 0)"], 3),
        (["output y = image | conv(3, 8, pad = 0, dilation = 4)"], 9),
        (["output y = image | avgpool(7, pad = 0)"], 7),
        (["output y = image | conv(4, 8, pad = 1, stride = 4)"], 2),
        (["output y = image | conv(5, 6, pad = 0) | maxpool(2, stride = 2, pad = 0) | conv(5, 16, pad = 0)"], 14),
        (["output y = image | conv(3, 8, stride = 2, pad = 0) | conv(3, 8, stride = 2, pad = 0) | mean"], 7),
        (["output y = image | conv(3, 8, stride = 32) | avgpool(7, pad = 0) | mean"], 193),
        (["output y = image | resize(by = 1/4) | conv(3, 8, pad = 0)"], 12),
        (["output y = image | resize(by = 4) | conv(3, 8, pad = 0)"], 1),
        (["output y = (image | conv(3, 3, stride = 2) | resize(by = 2)) + image"], 2),
        (["output y = (image | maxpool(3, stride = 4) | resize(by = 4)) + image"], 4),
        (["output y = image | mean | conv(3, 8)"], 1),
        ([SCALES, "output y = image | conv(1, 4) | resize(to = s8) | conv(3, pad = 0)"], 17),
        (["output y = image | groupnorm(3)"], 1),
    ],
    ids=str,
)  # fmt: skip
def test_what_ops_need_decides(statements: list[str], least: int) -> None:
    graph = space_of(*statements)
    assert least_size(graph) == (least, least)
    assert misfit(graph, (least, least)) is None
    assert least == 1 or (misfit(graph, (least - 1, least)) and misfit(graph, (least, least - 1)))


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (1, 1), (7, 5)])
def test_blocks_without_strides_take_any_image(size: Size) -> None:
    graph = space_of(
        GATE,
        "axis layer = 0..2",
        "node at layer {\n    x = image | conv(3, 8) if layer == 0 else y[layer - 1]\n"
        "    y = x + soft(x) * (x | conv(3) | batchnorm | relu)\n  }",
        "output y = y[2]",
    )
    assert made(graph, size)["y"].size == size


def test_each_size_is_checked_by_itself() -> None:
    graph = space_of("output y = (image | conv(3, 3, stride = 2) | resize(by = 2)) + image")
    assert [misfit(graph, (side, 8)) is None for side in range(1, 7)] == [False, True, False, True, False, True]
    told = refusal(graph, (33, 40))
    assert told is not None
    assert "images of 33x40 do not fit space `s`" in told
    assert "34x40 and 33x40" in told or "33x40 and 34x40" in told
    assert told.endswith("sizes that fit begin at 2x2")


def test_what_is_too_small_is_told_with_its_op_and_the_least() -> None:
    graph = space_of("output y = image | conv(3, 8) | avgpool(7, pad = 0)")
    assert refusal(graph, (7, 9)) is None
    assert refusal(graph, (9, 6)) == (
        "images of 9x6 do not fit space `s`: `avgpool` does not fit: its window of 7 is larger than a side of 6"
        " (at `outputs.y`); the smallest that fit have 7x7"
    )


@pytest.mark.parametrize(
    ("statements", "probe"),
    [
        (["output y = image | conv(300, 4, pad = 0)"], (6720, 13440)),
        (["output y = (image | conv(14, 3, stride = 14, pad = 0) | resize(by = 14)) + image"], (224, 224)),
        (["output y = (image | conv(3, 3, stride = 3) | resize(by = 3)) + image"], (6720, 13440)),
        (["output y = image | conv(3, 4, stride = 32) | avgpool(7, pad = 0) | conv(1, 2)"], (224, 224)),
        (
            [
                "gate soft per image { body conv(1, routes, bias); activation relu_tanh }",
                "node n { x = image | conv(3, 4, stride = 4) | avgpool(8, pad = 0)\n y = x + soft(x) * (x | conv(1)) }",
                "output y = y",
            ],
            (32, 32),
        ),
        (["output y = image | (conv(3, 3, stride = 2, pad = 0) + avgpool(2, stride = 2, pad = 0))"], (193, 257)),
    ],
    ids=str,
)  # fmt: skip
def test_spaces_of_few_sizes_are_tried_with_sizes_they_take(statements: list[str], probe: Size) -> None:
    graph = space_of(*statements)
    assert graph.probe == probe
    for form in ("dense", "sparse", "export"):
        assert rs.compile(graph.space, form=form)  # type: ignore[arg-type]


def test_what_fits_no_size_is_told_of_the_first() -> None:
    with pytest.raises(rs.RouteError) as found:
        space_of("output y = (image | conv(3, 3, stride = 2)) + (image | conv(3, 3, stride = 2, pad = 3))")
    (one,) = found.value.diagnostics
    assert (one.code, one.message) == (
        "RS402",
        "streams of sizes 96x128 and 98x130 at stride 2 cannot be merged by `sum`",
    )


@pytest.mark.parametrize(
    "first",
    [
        "image | conv(3, 8, stride = 8) | mean | conv(1, 2)",
        "image | conv(3, 8, stride = 8) | mean | conv(3, 2, stride = 2)",
        "image | conv(3, 8, stride = 8) | mean | relu | resize(by = 2)",
        "image | conv(3, 8, stride = 16) | mean | resize(by = 2)",
        "image | conv(3, 8, stride = 8) | mean | (conv(1, 2) + conv(3, 2))",
        "concat(image | conv(3, 8, stride = 8) | mean, image | mean)",
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_what_has_no_stride_is_no_scale(first: str, turned: bool) -> None:
    outputs = [f"output a = {first}", "output b = image | conv(1, 8) | resize(to = s8)"]
    graph = space_of(SCALES, *(outputs[::-1] if turned else outputs))
    shapes = made(graph, (64, 96))
    assert shapes["b"] == Shape(8, 8, 8, 12)
    assert shapes["a"].stride == 0


def test_means_of_all_scales_merge() -> None:
    graph = space_of("output y = (image | conv(3, 8, stride = 2) | mean) + (image | conv(3, 8, stride = 8) | mean)")
    assert made(graph, (64, 64))["y"] == Shape(8, 0, 1, 1)


def test_a_mean_resized_to_a_scale_stands_at_it() -> None:
    graph = space_of(SCALES, "output y = (image | mean | resize(to = s4)) + (image | conv(3, 3, stride = 4))")
    assert made(graph, (30, 64))["y"] == Shape(3, 4, 8, 16)


def test_a_mean_and_a_map_do_not_merge() -> None:
    with pytest.raises(rs.RouteError, match="sizes 192x256 and 1x1"):
        space_of("output y = image + (image | mean)")


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


def test_exits_of_maps_that_shrink_are_of_one_shape() -> None:
    graph = rs.build(rs.loads(EXITS))
    assert least_size(graph) == (1, 1)
    assert made(graph, (33, 20))["answer"] == Shape(5, 0, 1, 1)


@pytest.fixture
def multiples() -> str:
    """An op that cuts maps into tiles of 7, as attention in windows does."""

    def shape(args: object, inputs: tuple[Shape, ...]) -> Shape:
        if inputs[0].width % 7:
            raise BadArgument(f"tiles of 7 do not cover a width of {inputs[0].width}")
        return inputs[0]

    @rs.op("tiles_demo", shape=shape)
    def tiles_demo(inputs: tuple[int, ...]) -> object:
        from torch import nn

        return nn.Identity()

    return "tiles_demo"


def test_rules_of_registered_ops_decide_too(multiples: str) -> None:
    graph = space_of(f"output y = image | {multiples}")
    assert graph.probe == (224, 224)
    assert least_size(graph) == (1, 7)
    assert "tiles of 7 do not cover a width of 32" in str(refusal(graph, (28, 32)))


def test_an_op_that_collapses_maps_says_nothing_of_its_scale() -> None:
    @rs.op("squeezed_demo", shape=lambda args, inputs: Shape(inputs[0].channels, inputs[0].stride, 1, 1))
    def squeezed_demo(inputs: tuple[int, ...]) -> object:
        raise NotImplementedError

    graph = space_of(
        SCALES,
        "output a = image | conv(3, 4, stride = 4) | squeezed_demo",
        "output b = image | conv(3, 4, stride = 2) | resize(to = s4)",
    )
    assert made(graph, (64, 32)) == {"a": Shape(4, 0, 1, 1), "b": Shape(4, 4, 16, 8)}


def test_a_pyramid_has_a_least_image_too() -> None:
    text = """space p {
  axis level = p3, p4 with stride = 8 * 2^level
  input pyramid[level]: 4
  node at level { y = pyramid | conv(3, pad = 0) }
  output y[level] = y[level]
}"""
    graph = rs.build(rs.loads(text))
    assert least_size(graph) == (33, 33)
    assert "the smallest that fit have 33x33" in str(refusal(graph, (("pyramid.p3", (4, 4)), ("pyramid.p4", (2, 2)))))
