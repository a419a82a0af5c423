"""One tower of the dynamic head (NeurIPS 2020) at 800x1344 on CPU: time of the head against the work it does.

    python benchmarks/dynamic_head.py [--depth 4] [--repeats 5] [--size 800x1344] [--threads 2] [--allocator arena]

The baseline is the dense form of the same head, in the same process, interleaved. Gates are held at maps of blobs of
the density named, on every level, the same for both forms; they are not computed. The norms of the scale paths take
their statistics from the positions that are computed, so that those paths can be skipped too (the released weights
were trained with all of them: see `stats` in the example).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch
from segmentation import ARENA, medians
from sparse_conv import blobs
from torch import Tensor

import routespace as rs

SPEC = Path(__file__).parent.parent / "examples" / "dynamic_head.route"
DENSITIES = (0.0, 0.02, 0.1, 0.3, 0.5, 1.0)


def held(graph: rs.RouteGraph, sizes: dict[str, tuple[int, int]], density: float) -> dict[str, dict[str, Tensor]]:
    """Weights of every gate: blobs that cover `density` of its map."""
    found: dict[str, dict[str, Tensor]] = {}
    for place, gate in enumerate(graph.gates):
        height, width = sizes[gate.node.rsplit(".", 1)[-1]]
        for route in gate.routes:
            mask = blobs((height, width), density, seed=place)
            found.setdefault(gate.node, {})[route] = mask[0].float() * 0.9
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", default="800x1344")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--allocator", choices=("arena", "default"), default="arena")
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    args = arguments()
    if args.allocator == "arena" and any(os.environ.get(name) != value for name, value in ARENA.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ARENA})
    torch.set_num_threads(args.threads)
    height, width = (int(part) for part in args.size.split("x"))
    text = SPEC.read_text().replace("= groupnorm(32)\n", "= groupnorm(32, stats = active)\n")
    space = rs.loads(text, depth=args.depth)
    dense, sparse = rs.compile(space, form="dense").eval(), rs.compile(space, form="sparse")
    sparse.load_state_dict(dense.state_dict())
    levels = {f"p{level}": (-(-height // 2**level), -(-width // 2**level)) for level in range(3, 8)}
    pyramid = {
        level: torch.randn(1, 256, *size).contiguous(memory_format=torch.channels_last)
        for level, size in levels.items()
    }
    print(f"torch {torch.__version__}, {args.threads} threads, {args.size}, depth {args.depth}, {args.allocator}")
    print(f"{'density':>8}{'dense ms':>10}{'sparse ms':>11}{'/ dense':>9}{'MACs run':>10}")
    for density in DENSITIES:
        gates = held(rs.graph_of(sparse), levels, density)
        with rs.forcing(dense, gates), rs.forcing(sparse, gates):
            found = medians({"dense": lambda: dense(pyramid), "sparse": lambda: sparse(pyramid)}, args.repeats)
            wanted, run = dense(pyramid), sparse(pyramid)
        error = max(float((run.output[k] - one).abs().max() / one.abs().max()) for k, one in wanted.output.items())
        share = float(run.routing.cost.under("macs").executed / wanted.routing.cost.under("macs").executed)
        ratio = found["sparse"] / found["dense"]
        print(
            f"{density:8.2f}{found['dense'] * 1e3:10.0f}{found['sparse'] * 1e3:11.0f}{ratio:9.2f}{share:10.2f}"
            f"   (relative difference {error:.0e})"
        )


if __name__ == "__main__":
    main()
