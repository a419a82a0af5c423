"""What flows between the leaves of a gated expression: whole maps, or rows of channels at active positions."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from routespace.runtime.positions.geometry import Size, Window
from routespace.runtime.positions.places import Places


class Rows(NamedTuple):
    """`data` (K, C) at `places`; `own` tells that nobody else reads it, so that it may be written into."""

    data: Tensor
    places: Places
    own: bool


class Map(NamedTuple):
    """`data` (N, C, H, W), right at least where it is needed; `own` as of `Rows`."""

    data: Tensor
    own: bool


Stream: TypeAlias = Rows | Map


def flat(maps: Tensor) -> Tensor:
    """Maps (N, C, H, W) as rows (N·H·W, C); a view where they are laid out channels-last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).contiguous()


def unflat(rows: Tensor, batch: int, size: Size) -> Tensor:
    """Rows (N·H·W, C) as channels-last maps (N, C, H, W): a view."""
    return rows.view(batch, *size, rows.shape[1]).permute(0, 3, 1, 2)


FEW_SHARE, FEW = 0.4, 1024
"""The share of a map, and the number, of active positions up to which gathering them costs less than going over it."""


def few(stream: Stream, places: Places) -> bool:
    """Whether the stream is a whole map of which `places` are a small part."""
    return isinstance(stream, Map) and places.total <= max(FEW_SHARE * places.extent, FEW)


def at(stream: Stream, places: Places) -> Rows:
    """The stream at `places`, which it holds."""
    if isinstance(stream, Map):
        data = flat(stream.data)
        if places.full:
            return Rows(data, places, stream.own)
        return Rows(data.index_select(0, places.index), places, True)
    if stream.places is places or stream.places.total == places.total:
        return stream
    return Rows(stream.data.index_select(0, places.within(stream.places)), places, True)


def spread(stream: Stream) -> Map:
    """The stream as whole maps, zeros where it has nothing."""
    if isinstance(stream, Map):
        return stream
    data, places, own = stream
    if places.full:
        return Map(unflat(data, places.batch, places.size), own)
    whole = data.new_zeros(places.extent, data.shape[1])
    whole[places.index] = data
    return Map(unflat(whole, places.batch, places.size), True)


def padded(stream: Stream, places: Places, window: Window, fill: float) -> Tensor:
    """The stream at `places` within maps padded by `fill`, as rows (N·Hp·Wp, C); elsewhere anything may stand."""
    above, left = window.padding
    if (above, left) == (0, 0) and isinstance(stream, Map):
        return flat(stream.data)
    (high, wide), channels = places.size, stream.data.shape[1]
    room = stream.data.new_empty(places.batch, high + 2 * above, wide + 2 * left, channels)
    for border in (room[:, :above], room[:, above + high :], room[:, :, :left], room[:, :, left + wide :]):
        border.fill_(fill)
    if isinstance(stream, Map) and not few(stream, places):
        room[:, above : above + high, left : left + wide] = stream.data.permute(0, 2, 3, 1)
        return room.view(-1, channels)
    rows = at(stream, places)
    lines = room.view(-1, channels)
    lines[places.inside(window.padding)] = rows.data
    return lines


def patches(lines: Tensor, window: Window, starts: Tensor, out: Tensor) -> None:
    """Copy what windows read: `out` (k·rows, kernel columns·C), a line of a window each, for `starts` (k·rows,)."""
    (_, wide), (_, step) = window.kernel, window.dilation
    count, channels = lines.shape
    source = lines.as_strided((count - step * (wide - 1), wide, channels), (channels, step * channels, 1))
    torch.index_select(source, 0, starts, out=out.view(-1, wide, channels))
