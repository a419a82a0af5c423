"""Norms on rows of channels at active positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from routespace.runtime.fold import scale_and_shift
from routespace.runtime.positions.streams import Map, Rows, Stream


def batch_norm(norm: nn.BatchNorm2d, stream: Stream) -> Stream:
    """Batch normalisation by the running statistics."""
    scale, shift = (part.to(stream.data.dtype) for part in scale_and_shift(norm))
    if isinstance(stream, Map):
        scale, shift = scale.view(1, -1, 1, 1), shift.view(1, -1, 1, 1)
    out = stream.data if stream.own else None
    return stream._replace(data=torch.addcmul(shift, stream.data, scale, out=out), own=True)


def group_norm(norm: nn.GroupNorm, rows: Rows) -> Rows:
    """Group normalisation, each image by the statistics of its own rows; an image without rows computes nothing."""
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
