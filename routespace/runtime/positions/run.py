"""Gated expressions in inference: every leaf runs only where some masked output needs it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.runtime.layers import Mean, ResizeBy, ResizeTo, Sizes
from routespace.runtime.outside import outside_of
from routespace.runtime.positions.checks import check
from routespace.runtime.positions.choose import Chooser, measured
from routespace.runtime.positions.geometry import Window, leaves, none_of, statistics, window_of
from routespace.runtime.positions.kernels import Job, pooled
from routespace.runtime.positions.needs import Beside, Chain, Leaf, Need, need
from routespace.runtime.positions.norms import batch_norm, group_norm
from routespace.runtime.positions.places import Places
from routespace.runtime.positions.streams import Map, Rows, Stream, at, few, flat, spread
from routespace.runtime.positions.work import Work
from routespace.runtime.tree import weights_of

OWN_SHARE = 0.15
"""The share of a map up to which taking its wanted positions out costs less than writing zeros over the others."""


def run_where(
    op: nn.Module,
    x: Tensor,
    mask: Tensor,
    sizes: Sizes,
    gain: Tensor | None = None,
    *,
    choose: Chooser = measured,
    work: Work | None = None,
) -> Tensor:
    """`gain`·op(x) where `mask`, zero elsewhere, computed where some masked output needs it.

    `x` is (N, C, H, W) in any memory format; `mask` (N, 1, H', W') bool and `gain` of that shape have the size of the
    op's output; `sizes` are those that resizing leaves aim at. Norms with `stats` "active" take the statistics of each
    image from the positions of their input that are computed; those with "all" from its whole map. What is not needed
    is not read: it may be infinite or NaN. `choose` picks the kernel of each convolution (`exact` computes no position
    that is not needed), `work` takes note of the positions that leaves computed. The result is a tensor of its own,
    channels-last; under autocast it is of the weights' type, in which everything runs.

    Raises InputError where the arguments do not fit, TypeError where a leaf of the op declares no demand, RuntimeError
    where gradients are enabled or batch norms are in training: `reference_where` is for that.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("positions are skipped in inference only; enter torch.no_grad() or use reference_where")
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(next(weights_of(op), x).dtype)
            return run_where(op, x, mask, sizes, gain, choose=choose, work=work)
    if any(isinstance(leaf, nn.BatchNorm2d) and leaf.training for leaf in leaves(op)):
        raise RuntimeError("a batch norm in training takes its statistics from a batch; use reference_where")
    check(op, x, mask, sizes, gain)
    wanted = Places(mask)
    running = [image for image, count in enumerate(wanted.counts) if count]
    call = _Call(sizes, choose, work, running)
    if len(running) == x.shape[0] > 0:
        return call.run(op, x, wanted, gain)
    if running:
        some = call.run(op, _images(x, running), Places(mask[running]), None if gain is None else gain[running])
    else:
        some = none_of(op, x[:0], sizes)
    whole = x.new_zeros(x.shape[0], *mask.shape[2:], some.shape[1]).permute(0, 3, 1, 2)
    for place, image in enumerate(running):
        whole[image] = some[place]
    return whole


def _images(x: Tensor, places: list[int]) -> Tensor:
    return torch.cat([x[place : place + 1] for place in places])


class _Call:
    """A call for `images` of the batch, each of which has some masked output."""

    def __init__(self, sizes: Sizes, choose: Chooser, work: Work | None, images: list[int]) -> None:
        self.sizes, self.choose, self.work, self.images = sizes, choose, work, images

    def run(self, op: nn.Module, x: Tensor, wanted: Places, gain: Tensor | None) -> Tensor:
        found = need(op, (x.shape[2], x.shape[3]), wanted, self.sizes)
        stream = self.step(found, Map(x.contiguous(memory_format=torch.channels_last), own=False))
        return _closed(stream, wanted, gain)

    def step(self, found: Need, stream: Stream) -> Stream:
        if isinstance(found, Chain):
            for part in found.parts:
                stream = self.step(part, stream)
            return stream
        if isinstance(found, Beside):
            return self.merged(found, stream._replace(own=False))
        return self.leaf(found, stream)

    def merged(self, found: Beside, stream: Stream) -> Stream:
        results = [
            self.step(part, at(stream, part.reads) if isinstance(stream, Rows) else stream) for part in found.parts
        ]
        if all(isinstance(one, Map) for one in results):
            return Map(found.merger([one.data for one in results]), own=len(results) > 1)
        rows = [at(one, found.makes) for one in results]
        return Rows(found.merger([one.data for one in rows]), found.makes, own=len(rows) > 1)

    def leaf(self, leaf: Leaf, stream: Stream) -> Stream:
        op = leaf.op
        if isinstance(op, nn.Identity):
            return stream
        result = self.made(leaf, stream)
        if self.work is not None:
            area = leaf.makes.size[0] * leaf.makes.size[1]
            counts = result.places.counts if isinstance(result, Rows) else [area] * len(self.images)
            self.work.note(op, self.images, counts)
        return result

    def made(self, leaf: Leaf, stream: Stream) -> Stream:
        op = leaf.op
        window = window_of(op)
        if outside_of(op) is not None:
            return _from_outside(leaf, window, stream)
        if isinstance(op, nn.Conv2d):
            assert window is not None
            job = Job(op, window, leaf, stream)
            return self.choose(job)(job)
        if isinstance(op, nn.GroupNorm):
            if statistics(op) == "active" and not leaf.makes.full:
                return group_norm(op, stream, leaf.makes)
            return Map(op(spread(stream).data), own=True)
        if isinstance(op, (ResizeTo, ResizeBy)):
            return Map(op(spread(stream).data, self.sizes), own=False)
        if isinstance(op, Mean):
            return Map(op(spread(stream).data), own=True)
        if window is None:
            return _pointwise(op, at(stream, leaf.makes) if few(stream, leaf.makes) else stream)
        if isinstance(stream, Rows) or few(stream, leaf.makes):
            return pooled(leaf, window, stream)
        return Map(op(stream.data), own=True)


def _from_outside(leaf: Leaf, window: Window | None, stream: Stream) -> Stream:
    """An op that may be anything: on rows, as maps of one position, where it reads the position that it makes and no
    other; else on whole maps, which its own work is priced as."""
    if window is not None and window.aligned:
        rows = at(stream, leaf.makes)
        return rows._replace(data=leaf.op(rows.data[:, :, None, None])[:, :, 0, 0], own=False)
    return Map(leaf.op(spread(stream).data), own=False)


def _pointwise(op: nn.Module, stream: Stream) -> Stream:
    if isinstance(op, nn.BatchNorm2d):
        return batch_norm(op, stream)
    if isinstance(op, nn.ReLU):
        return stream._replace(data=F.relu(stream.data, inplace=stream.own), own=True)
    if isinstance(op, nn.SiLU):
        return stream._replace(data=F.silu(stream.data, inplace=stream.own), own=True)
    return stream._replace(data=op(stream.data), own=True)


def _closed(stream: Stream, wanted: Places, gain: Tensor | None) -> Tensor:
    """Maps of the stream where it is `wanted`, times `gain`, and zero elsewhere."""
    gathers = wanted.total <= OWN_SHARE * wanted.extent if stream.own else few(stream, wanted)
    if isinstance(stream, Rows) or gathers:
        stream = at(stream, wanted)
        data = _scaled(stream, None if gain is None else gain.reshape(-1, 1)[wanted.index])
        return spread(Rows(data, wanted, own=True)).data
    data = _scaled(stream, gain).contiguous(memory_format=torch.channels_last)
    if not wanted.full:
        flat(data).index_fill_(0, wanted.others, 0.0)
    return data


def _scaled(stream: Stream, gain: Tensor | None) -> Tensor:
    """The stream's values times `gain`, in a tensor of its own."""
    data = stream.data if stream.own else stream.data.clone()
    return data if gain is None else data.mul_(gain.to(data.dtype))
