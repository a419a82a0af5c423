"""Norms on rows of channels at active positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from routespace.runtime.centre import near_means_at
from routespace.runtime.fold import scale_and_shift
from routespace.runtime.masked import widened
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
    """Whole maps, normalised by torch with zeros off `places`, and then set right for how few positions there are.

    Zeros are near the mean, or what is set right would be a small difference of large numbers.
    """
    batch, channels, *size = stream.data.shape
    values = widened(stream.data)
    about = near_means_at(values, norm.num_groups, places.index, places.counts)
    values = values.sub_(about) if stream.own or values is not stream.data else values - about
    flat(values).index_fill_(0, places.others, 0.0)
    values = values.contiguous() if values.is_cuda else values
    area, groups = size[0] * size[1], norm.num_groups
    made, mean, scale = torch.native_group_norm(values, None, None, batch, channels, area, groups, norm.eps)
    share = area / torch.tensor(places.counts, device=mean.device, dtype=mean.dtype).clamp_min(1)[:, None]
    power = share * (scale.pow(-2) - norm.eps + mean.square()) - (share * mean).square()
    rescale = torch.rsqrt(power.clamp_min(0) + norm.eps)
    factor, shift = (
        one.repeat_interleave(channels // groups, 1)[:, None] for one in (rescale / scale, (1 - share) * mean * rescale)
    )
    if norm.weight is not None:
        factor, shift = factor * norm.weight, torch.addcmul(norm.bias, shift, norm.weight)
    lines = flat(made).view(batch, area, channels)
    torch.addcmul(shift.to(lines.dtype), lines, factor.to(lines.dtype), out=lines)
    return Map(unflat(lines.view(-1, channels).to(stream.data.dtype), batch, (size[0], size[1])), own=True)


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
