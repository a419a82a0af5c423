"""What shapes have to be: such as tensors can have, of streams that merge alike, of gates those of what they decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from routespace.diagnostics import Fix, Span
from routespace.space.fault import Fault
from routespace.space.registry import MERGES
from routespace.space.shape import Shape, Stride

MOST_CHANNELS = 2**22
LARGEST_SIDE = 2**24
LARGEST_STRIDE = 2**20
IMAGE_STRIDE = 1
BY_SIZE = frozenset({"RS401", "RS402", "RS404", "RS405", "RS406"})
"""Codes of what may be wrong at one size and right at another one."""


def for_image(fault: Fault, size: tuple[int, int]) -> None:
    """Say for which images the sizes are that `fault` speaks of."""
    fault.note(f"sizes are those for a {size[0]}x{size[1]} image", BY_SIZE | {"RS808"})


def _extent(shape: Shape, unit: str = "") -> str:
    """The size of a stream in words, with its stride if it has one."""
    return f"{shape.height}x{shape.width}{unit}" + (f" at stride {shape.stride}" if shape.stride else "")


def size_at(size: tuple[int, int], stride: Stride) -> tuple[int, int]:
    """Size that streams of a stride have for images of `size`, where nothing else says so."""
    return max(1, -(-size[0] // stride)), max(1, -(-size[1] // stride))


def fix_scale(sizes: dict[Stride, tuple[int, int]], shape: Shape) -> None:
    """Let the first stream that has a stride say how large streams of that stride are."""
    if shape.stride:
        sizes.setdefault(shape.stride, shape.size)


def merged(merge: str, shapes: tuple[Shape, ...]) -> Shape:
    """Shape of streams that merge and agree: at the stride that some of them have."""
    shape = MERGES[merge].shape(shapes)
    stride = next((other.stride for other in shapes if other.stride), 0)
    return shape if shape.stride else replace(shape, stride=stride)


def check_size(shape: Shape, span: Span | None) -> Shape:
    """`shape`, if a tensor could have it; `Fault` RS808 otherwise."""
    if shape.channels > MOST_CHANNELS or max(shape.size) > LARGEST_SIDE:
        most = f"at most {MOST_CHANNELS} channels and {LARGEST_SIDE} positions a side are possible"
        raise Fault("RS808", "this stream is too large", span, f"it has {shape}", notes=[most])
    if shape.stride and not 1 <= shape.stride * LARGEST_STRIDE <= LARGEST_STRIDE**2:
        raise Fault("RS808", f"this stream has a stride beyond {LARGEST_STRIDE}, or below its inverse", span)
    return shape


def check_merge(merge: str, shapes: tuple[Shape, ...], spans: Sequence[Span | None], span: Span | None) -> None:
    """Streams that merge must agree (in channels too, unless the merge stacks them); both places are named."""
    stacked = MERGES[merge].ordered
    base = next((place for place, shape in enumerate(shapes) if shape.stride), 0)
    first = shapes[base]
    help = "bring them to one scale with a stride or with `resize(to = …)`"
    for place, other in enumerate(shapes):
        if not stacked and other.channels != first.channels:
            problem = f"{first.channels} and {other.channels} channels"
            help = f"bring them to one number of channels, for example with `conv(1, {first.channels})`"
        elif other.lies_on(first):
            continue
        elif other.stride and other.stride != first.stride:
            problem = f"strides {first.stride} and {other.stride}"
        else:
            problem = f"sizes {first.height}x{first.width} and {_extent(other)}"
            if other.stride:
                help = (
                    "let both come there by the same kernels, strides and pads, or bring one to the other by `resize`"
                )
        raise Fault(
            "RS402",
            f"streams of {problem} cannot be merged by `{merge}`",
            spans[place] or span,
            f"this has {other}",
            others=[(spans[base] or span, f"this has {first}")],
            help=help,
        )


def check_decision(gate: str, shape: Shape, span: Span | None, used: Span | None, help: Fix | None) -> None:
    """A gate per image decides once; `help` tells how."""
    if shape.size != (1, 1):
        raise Fault(
            "RS404",
            f"gate `{gate}` gives a map of {_extent(shape)}; one decision per image is needed",
            span,
            help=help,
            others=[(used, "used here")],
        )


def check_positions(route: str, decides: Shape, shape: Shape, span: Span | None, gate: Span | None) -> None:
    """A gate per position decides at every position of what it gates."""
    if not decides.lies_on(shape):
        raise Fault(
            "RS406",
            f"the gate decides at {_extent(decides, ' positions')}, `{route}` has {_extent(shape)}",
            span,
            others=[(gate, "decided here")],
            help="a gate per position has the size of what it gates: gate before the resize, or stride its body",
        )


def check_closed(route: str, shape: Shape, passed: Shape, span: Span | None, source: Span | None) -> None:
    """What a closed node passes on has the shape of what the route delivers when it is open."""
    if passed.channels != shape.channels or not passed.lies_on(shape):
        raise Fault(
            "RS405",
            f"`{route}` delivers one shape when it is open and another one when it is closed",
            span,
            f"open: {shape}",
            others=[(source, f"closed: {passed}")],
            help="pass on a stream of the shape that the route delivers, or leave `closed` out: then it is nothing",
        )
