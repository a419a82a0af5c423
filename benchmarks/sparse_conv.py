"""Position-sparse convolution on CPU: what skipping positions saves in time.

    python benchmarks/sparse_conv.py [--repeats 9] [--channels 256] [--sizes 100x168,50x84,25x42] [--threads 2]
                                     [--dtype float32] [--allocator arena]

Every line compares medians of runs interleaved in one process under one allocator setting, as shares of the dense
channels-last convolution (a line's own: it is run among them). `plain` is per-pixel gather and one matrix product,
written as one would at first; `exact` computes the masked positions and no others; `chosen` is what the runtime picks.
All but the dense give zeros off the mask, which is cut from smoothed noise. The chain is conv3x3 | GN | relu |
conv3x3 | GN, with statistics over the active positions where it is sparse and over all where it is dense.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from segmentation import ARENA, medians
from torch import Tensor, nn

from routespace.runtime.layers import GroupNorm
from routespace.runtime.positions import exact, run_where
from routespace.runtime.tree import ChainOp

DENSITIES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def blobs(size: tuple[int, int], density: float, seed: int = 0) -> Tensor:
    """A mask (1, 1, *size) of connected patches that cover `density` of the map."""
    noise = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(seed))
    width = min(15, (min(size) - 1) // 2 * 2 - 1)
    for _ in range(2):
        noise = F.avg_pool2d(noise, width, 1, width // 2, count_include_pad=False)
    chosen = noise.flatten().topk(round(density * noise.numel())).indices
    mask = torch.zeros(noise.numel(), dtype=torch.bool)
    mask[chosen] = True
    return mask.view(1, 1, *size)


def plain(x: Tensor, conv: nn.Conv2d, mask: Tensor) -> Tensor:
    """A 3x3 convolution where `mask`: nine gathers of pixels side by side, one matrix product, one scatter."""
    _, channels, high, wide = x.shape
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1).reshape(-1, channels)
    row, column = mask[0, 0].nonzero(as_tuple=True)
    taps = [padded[(row + dy) * (wide + 2) + column + dx] for dy in range(3) for dx in range(3)]
    weight = conv.weight.permute(2, 3, 1, 0).reshape(9 * channels, -1)
    out = x.new_zeros(high * wide, conv.out_channels)
    out[row * wide + column] = torch.cat(taps, 1) @ weight
    return out.view(1, high, wide, -1).permute(0, 3, 1, 2)


def plain_chain(x: Tensor, parts: list[nn.Module], mask: Tensor) -> Tensor:
    """The chain, each convolution by `plain` and each norm on the pixels taken out."""
    first, second = (part for part in parts if isinstance(part, nn.Conv2d))
    norms = [part for part in parts if isinstance(part, nn.GroupNorm)]
    wider = F.max_pool2d(mask.float(), 3, 1, 1) > 0
    for conv, norm, where in zip((first, second), norms, (wider, mask), strict=True):
        y = plain(x, conv, where)
        rows = y.permute(0, 2, 3, 1)[where[:, 0]]
        normed = F.group_norm(rows.t()[None], norm.num_groups, norm.weight, norm.bias, norm.eps)[0].t()
        x = torch.zeros_like(y)
        x.permute(0, 2, 3, 1)[where[:, 0]] = normed.relu() if conv is first else normed
    return x


def chain(channels: int) -> ChainOp:
    def conv() -> nn.Conv2d:
        return nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def norm() -> GroupNorm:
        return GroupNorm(32, channels, 1e-5, "active")

    parts = [conv(), norm(), nn.ReLU(), conv(), norm()]
    return ChainOp(parts, [False] * len(parts))


def table(title: str, repeats: int, masks: dict[float, Tensor], runs: dict[str, Callable[[Tensor], object]]) -> None:
    """Print a line per density; the first of `runs` is what the others are measured by."""
    base, *others = runs
    print(f"\n{title}\n{'density':>8}{base + ' ms':>12}{''.join(f'{name:>10}' for name in others)}")
    for density, mask in masks.items():
        found = medians({name: partial(run, mask) for name, run in runs.items()}, repeats)
        shares = "".join(f"{found[name] / found[base]:10.3f}" for name in others)
        print(f"{density:8.2f}{found[base] * 1e3:12.1f}{shares}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--sizes", default="100x168,50x84,25x42")
    parser.add_argument("--densities", default=",".join(map(str, DENSITIES)))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--allocator", choices=("arena", "default"), default="arena")
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    args = arguments()
    if args.allocator == "arena" and any(os.environ.get(name) != value for name, value in ARENA.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ARENA})
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    dtype = getattr(torch, args.dtype)
    malloc = {key: value for key, value in os.environ.items() if "MALLOC" in key}
    print(f"torch {torch.__version__}, {args.threads} threads, {args.dtype}, allocator {malloc or 'default'}")
    op = chain(args.channels).to(dtype).to(memory_format=torch.channels_last).eval()
    parts = op.parts()
    conv = parts[0]
    assert isinstance(conv, nn.Conv2d)
    for text in args.sizes.split(","):
        high, wide = (int(part) for part in text.split("x"))
        x = torch.randn(1, args.channels, high, wide, dtype=dtype).contiguous(memory_format=torch.channels_last)
        masks = {float(density): blobs((high, wide), float(density)) for density in args.densities.split(",")}
        table(
            f"conv3x3 {args.channels}→{args.channels} at {text}",
            args.repeats,
            masks,
            {
                "dense": lambda mask, x=x: conv(x),
                "plain": lambda mask, x=x: plain(x, conv, mask),
                "exact": lambda mask, x=x: run_where(conv, x, mask, {}, choose=exact),
                "chosen": lambda mask, x=x: run_where(conv, x, mask, {}),
            },
        )
        table(
            f"bottleneck chain at {text}",
            args.repeats,
            masks,
            {
                "dense": lambda mask, x=x: op(x, {}),
                "plain": lambda mask, x=x: plain_chain(x, parts, mask),
                "exact": lambda mask, x=x: run_where(op, x, mask, {}, choose=exact),
                "chosen": lambda mask, x=x: run_where(op, x, mask, {}),
            },
        )


if __name__ == "__main__":
    main()
