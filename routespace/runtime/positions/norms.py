"""Norms on rows of channels at active positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from routespace.runtime.fold import scale_and_shift
from routespace.runtime.positions.places import Places
from routespace.runtime.positions.streams import Map, Rows, Stream, at, few, flat, unflat


def batch_norm(norm: nn.BatchNorm2d, stream: Stream) -> Stream:
    """Batch normalisation by the running statistics."""
    scale, shift = (part.to(stream.data.dtype) for part in scale_and_shift(norm))
    if isinstance(stream, Map):
        scale, shift = scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1)
    out = stream.data if stream.own else None
    return stream._replace(data=torch.addcmul(shift, stream.data, scale, out=out), own=True)


def group_norm(norm: nn.GroupNorm, stream: Stream, places: Places) -> Stream:
    """Group normalisation of each image by its positions in `places`; an image without any computes nothing."""
    if isinstance(stream, Map) and not few(stream, places):
        return _of_maps(norm, stream, places)
    return _of_rows(norm, at(stream, places))


def _of_maps(norm: nn.GroupNorm, stream: Map, places: Places) -> Map:
    """Whole maps: rows off `places` are zeroed before they are summed, so that nothing of them counts."""
    batch, channels, high, wide = stream.data.shape
    values = widened(stream.data)
    if values is stream.data and not stream.own:
        values = values.clone(memory_format=torch.channels_last)
    lines = flat(values).index_fill_(0, places.others, 0.0)
    images, groups = lines.view(batch, -1, channels), (batch, norm.num_groups, -1)
    count = torch.tensor(places.counts, device=lines.device).clamp_min(1)[:, None] * (channels // norm.num_groups)
    width = channels // norm.num_groups
    images -= (images.sum(1).view(groups).sum(2) / count).repeat_interleave(width, 1)[:, None]
    lines.index_fill_(0, places.others, 0.0)
    power = images.square().sum(1).view(groups).sum(2) / count
    scale = torch.rsqrt(power + norm.eps).repeat_interleave(width, 1)[:, None]
    if norm.weight is None:
        images *= scale
    else:
        torch.addcmul(norm.bias.to(lines.dtype), images, (scale * norm.weight).to(lines.dtype), out=images)
    return Map(unflat(lines.to(stream.data.dtype), batch, (high, wide)), own=True)


def _of_rows(norm: nn.GroupNorm, rows: Rows) -> Rows:
    data, places, _ = rows
    images = torch.split(data, places.counts)
    found = [_normalised(norm, image, rows.own) for image in images if len(image)]
    if len(found) == 1:
        return rows._replace(data=found[0], own=True)
    return rows._replace(data=torch.cat(found) if found else data, own=True)


def _normalised(norm: nn.GroupNorm, rows: Tensor, own: bool) -> Tensor:
    """Rows (K, C) of one image, K ≥ 1, less their mean, by their deviation, times the weight, plus the bias."""
    values = widened(rows)
    own = own or values is not rows
    channels = rows.shape[1]
    width = channels // norm.num_groups
    mean = values.sum(0).view(norm.num_groups, width).sum(1) / (len(rows) * width)
    shift = mean.repeat_interleave(width)
    values = values.sub_(shift) if own else values - shift
    power = values.square().sum(0).view(norm.num_groups, width).sum(1) / (len(rows) * width)
    scale = torch.rsqrt(power + norm.eps).repeat_interleave(width)
    if norm.weight is None:
        return values.mul_(scale).to(rows.dtype)
    scale = scale * norm.weight
    return torch.addcmul(norm.bias.to(values.dtype), values, scale.to(values.dtype), out=values).to(rows.dtype)


def widened(values: Tensor) -> Tensor:
    """Values in a type that holds sums of many of them."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
