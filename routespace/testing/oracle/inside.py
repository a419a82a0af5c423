"""The inside of a gated expression: which positions each leaf computes, and norms that count those only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from routespace.graph.ir import Op
from routespace.runtime.layers import BatchNorm, GroupNorm
from routespace.testing.oracle.footprints import Footprints, Spot, Wants
from routespace.testing.oracle.sizes import Extent, Step


@dataclass(frozen=True)
class Inside:
    """Per image, the positions (H, W) that every leaf of a gated op makes, by path, those of them that open outputs
    need, which norms count, and what the op reads; None for images for which nothing of it runs."""

    makes: list[dict[str, Tensor] | None]
    counts: list[dict[str, Tensor]]
    reads: list[Tensor | None]

    def entering(self, image: int, x: Tensor | None) -> Tensor | None:
        """What the op gets to see of `x`: zeros where it reads nothing."""
        mask = self.reads[image]
        return None if x is None or mask is None else torch.where(mask, x, 0.0)

    def leaving(self, image: int, path: str, x: Tensor) -> Tensor:
        """What a leaf makes: zeros where nobody needs it."""
        return torch.where(self.mask(image, path), x, 0.0)

    def mask(self, image: int, path: str) -> Tensor:
        """Where the leaf called `path` computes."""
        makes = self.makes[image]
        assert makes is not None
        return makes[path]

    def counted(self, image: int, path: str) -> Tensor:
        """What a group norm counts: what open outputs need, or all that is computed where they need nothing."""
        counts = self.counts[image][path]
        return counts if counts.any() else self.mask(image, path)


def inside(
    op: Op,
    path: str,
    steps: Mapping[str, Step],
    entering: Extent,
    weights: Sequence[Tensor | None],
    masks: Sequence[Tensor | None],
    training: bool,
    taught: Sequence[bool],
) -> Inside:
    """The inside of `op`, called `path`, behind gates of these `weights` (H, W) that are open at the `masks`; of images
    that are `taught` all positions are computed."""
    makes: list[dict[str, Tensor] | None] = []
    counts: list[dict[str, Tensor]] = []
    reads: list[Tensor | None] = []
    for weight, mask, whole in zip(weights, masks, taught, strict=True):
        counts.append({})
        if weight is None or mask is None:
            makes.append(None)
            reads.append(None)
            continue
        narrow = Footprints(steps, weight_of(weight), training)
        narrow.back(op, path, wanted_of(mask))
        prints = Footprints(steps, weight_of(weight), training)
        wanted = prints.back(op, path, wanted_of(torch.ones_like(mask) if whole else mask))
        counts[-1] = {name: _drawn_on(step.output, narrow.makes.get(name, {})) for name, step in steps.items()}
        runs = bool(wanted) or any(prints.makes.values())
        makes.append(
            {name: _drawn_on(steps[name].output, made) for name, made in prints.makes.items()} if runs else None
        )
        reads.append(drawn(wanted, entering.height, entering.width) if runs else None)
    return Inside(makes, counts, reads)


def wanted_of(mask: Tensor) -> Wants:
    """The open positions of a map, each needed by itself."""
    return {(row, column): (row, column) for row, column in mask.nonzero().tolist()}


def weight_of(weights: Tensor) -> dict[Spot, float]:
    """The weight of every position of a map."""
    return {(row, column): one for row, line in enumerate(weights.tolist()) for column, one in enumerate(line)}


def _drawn_on(extent: Extent, wants: Wants) -> Tensor:
    return drawn(wants, extent.height, extent.width)


def drawn(wants: Wants, height: int, width: int) -> Tensor:
    """Positions as a map (height, width)."""
    mask = torch.zeros(height, width, dtype=torch.bool)
    for spot in wants:
        mask[spot] = True
    return mask


def group_normalised(module: GroupNorm, x: Tensor, counted: Tensor, mask: Tensor) -> Tensor:
    """Group normalisation of one image (1, C, H, W) at its positions in `mask` by those that are `counted`; zero
    elsewhere."""
    result = torch.zeros_like(x)
    if not mask.any():
        return result
    values, groups = x[0][:, mask], x[0][:, counted].view(module.num_groups, -1)
    mean = groups.mean(1, keepdim=True)
    variance = ((groups - mean) ** 2).mean(1, keepdim=True)
    normal = ((values.view(module.num_groups, -1) - mean) / torch.sqrt(variance + module.eps)).view_as(values)
    made = normal * module.weight[:, None] + module.bias[:, None]
    return result[0].masked_scatter(mask, made)[None]


def batch_normalised(module: BatchNorm, tensors: Sequence[Tensor], counted: Sequence[Tensor]) -> list[Tensor]:
    """Batch normalisation by the statistics of the values `counted` (C, n), which move the running ones; by those where
    too few count."""
    assert module.running_mean is not None and module.running_var is not None
    mean, variance = module.running_mean.clone(), module.running_var.clone()
    values = torch.cat(list(counted), 1) if counted else mean[:, None][:, :0]
    number = values.shape[1]
    if number >= 2:
        mean = values.mean(1)
        variance = ((values - mean[:, None]) ** 2).mean(1)
        momentum = module.momentum or 0.0
        with torch.no_grad():
            module.running_mean.mul_(1 - momentum).add_(momentum * mean)
            module.running_var.mul_(1 - momentum).add_(momentum * variance * number / (number - 1))
            if module.num_batches_tracked is not None:
                module.num_batches_tracked.add_(1)
    scale = module.weight / torch.sqrt(variance + module.eps)
    return [(x - mean[:, None, None]) * scale[:, None, None] + module.bias[:, None, None] for x in tensors]
