"""The segmentation space (depth 16, width 64) at 512x1024 on CPU: what skipping saves in time.

    python benchmarks/segmentation.py [--repeats 9] [--size 512x1024] [--threads 2] [--allocator arena]

Every line compares medians of runs interleaved in one process under one allocator setting. The baseline is
`published.py`: plain eager, contiguous, norms unfolded, every route of a running node computed and multiplied. The
allocator keeps its memory (`arena`) unless told otherwise: with glibc's defaults every large tensor is faulted in anew,
which costs all variants a share that no network is to blame for. Gates
are computed in all variants; their last convolution is set so that the nodes named open or close. For batches whose
images take different routes the decisions are dealt per image behind the gates' own computation.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from published import Node, Published
from torch import Tensor, nn

import routespace as rs

SPEC = Path(__file__).parent.parent / "examples" / "segmentation.route"
OPEN, SHUT = 1.5, -1.5
ARENA = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
}


def set_gates(module: nn.Module, logits: Mapping[str, list[float]]) -> None:
    """Make every gate of a compiled module give the logits named for its node."""
    for part in module.modules():
        node = getattr(part, "node", None)
        if node is not None:
            last = [one for one in part.body.modules() if isinstance(one, nn.Conv2d)][-1]  # type: ignore[union-attr]
            with torch.no_grad():
                last.weight.zero_()
                last.bias.copy_(torch.tensor(logits[node]))  # type: ignore[union-attr]


def set_published(module: Published, logits: Mapping[str, list[float]]) -> None:
    for layer, nodes in enumerate(module.layers):
        for scale, node in enumerate(nodes):  # type: ignore[arg-type]
            assert isinstance(node, Node)
            last = node.gate[-1]
            with torch.no_grad():
                last.weight.zero_()  # type: ignore[operator,union-attr]
                last.bias.copy_(torch.tensor(logits[f"layer{layer}.s{4 << scale}"]))  # type: ignore[operator,union-attr]


def dealt(nodes: Mapping[str, int], share: float, seed: int, by: str = "node") -> dict[str, list[float]]:
    """Logits that leave about `share` of the nodes (or of the routes) open."""
    generator = torch.Generator().manual_seed(seed)
    logits: dict[str, list[float]] = {}
    for node, routes in nodes.items():
        draws = torch.rand(1 if by == "node" else routes, generator=generator).expand(routes)
        logits[node] = [OPEN if draw < share else SHUT for draw in draws.tolist()]
    return logits


@contextmanager
def decisions_dealt(module: nn.Module, table: Mapping[str, Tensor]) -> Iterator[None]:
    """Within the block the gates compute, and what they decide is read from `table[node]` (images, routes)."""
    undo: list[Callable[[], None]] = []
    for part in module.modules():
        if getattr(part, "node", None) is None:
            continue
        rows, decide = table[part.node], part.decide  # type: ignore[index]

        def scripted(
            *args: object, rows: Tensor = rows, decide: Callable[..., object] = decide, **kwargs: object
        ) -> object:
            if len(args) == 5:
                frame, images, logits, *_ = args
                mine = rows[images]
                return decide(frame, images, logits, mine, mine > 0, **kwargs)
            _, _, wanted, logits = args
            return decide(rows, rows > 0, wanted, logits, **kwargs)

        part.decide = scripted  # type: ignore[assignment]
        undo.append(lambda part=part: part.__dict__.pop("decide"))
    try:
        yield
    finally:
        for back in undo:
            back()


def medians(variants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each variant, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(repeats + 2):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            if turn >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--size", default="512x1024")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--allocator", choices=("arena", "default"), default="arena")
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    args = arguments()
    if args.allocator == "arena" and any(os.environ.get(name) != value for name, value in ARENA.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ARENA})
    torch.set_num_threads(args.threads)
    height, width = (int(part) for part in args.size.split("x"))
    space = rs.load(SPEC)
    graph = rs.build(space)
    nodes = {gate.node: len(gate.routes) for gate in graph.gates}
    baseline = Published().eval()
    sparse = rs.compile(graph, form="sparse")
    dense = rs.compile(graph, form="dense").eval()
    dense.load_state_dict(sparse.state_dict())
    image = torch.randn(1, 3, height, width)
    settings = {
        "all open": dealt(nodes, 1.0, 0),
        "half of the work, by nodes": dealt(nodes, 0.45, 1),
        "half of the work, by routes": dealt(nodes, 0.35, 4, by="route"),
        "all closed": dealt(nodes, 0.0, 0),
    }
    modules = {}
    for name, logits in settings.items():
        modules[name] = rs.compile(graph, form="sparse")
        modules[name].load_state_dict(sparse.state_dict())
        set_gates(modules[name], logits)
    set_published(baseline, settings["all open"])
    malloc = {key: value for key, value in os.environ.items() if "MALLOC" in key or "THP" in key}
    print(f"torch {torch.__version__}, {args.threads} threads, {args.size}, allocator {malloc or 'default'}")
    variants: dict[str, Callable[[], object]] = {"baseline all open": lambda: baseline(image)}
    for name, module in modules.items():
        variants[f"sparse {name}"] = lambda module=module: module(image)
    found = medians(variants, args.repeats)
    whole = modules["all open"](image).routing.cost.under("macs").executed.item()
    base, opened = found["baseline all open"], found["sparse all open"]
    print(f"{'':32}{'ms':>8}{'/ baseline':>12}{'/ all open':>12}{'MACs run':>10}")
    print(f"{'baseline all open':32}{base * 1e3:8.0f}{1:12.2f}")
    for name, module in modules.items():
        took = found[f"sparse {name}"]
        share = module(image).routing.cost.under("macs").executed.item() / whole
        print(f"{'sparse ' + name:32}{took * 1e3:8.0f}{took / base:12.2f}{took / opened:12.2f}{share:10.2f}")
    del modules
    batch(args, sparse, dense, nodes, height, width)


def batch(
    args: argparse.Namespace, sparse: nn.Module, dense: nn.Module, nodes: Mapping[str, int], height: int, width: int
) -> None:
    """A batch whose images take different routes: sparse against dense, everything computed and masked."""
    images = torch.randn(args.batch, 3, height, width)
    per_image = [dealt(nodes, 0.52, 10 + image) for image in range(args.batch)]
    table = {node: torch.tensor([dealt_[node] for dealt_ in per_image]).tanh().clamp_min(0) for node in nodes}
    with decisions_dealt(sparse, table), decisions_dealt(dense, table):
        wanted = dense(images).output
        error = ((sparse(images).output - wanted).abs().max() / wanted.abs().max()).item()
        found = medians({"dense": lambda: dense(images), "sparse": lambda: sparse(images)}, max(3, args.repeats // 3))
        run, all_ = (one(images).routing.cost.under("macs").executed.mean().item() for one in (sparse, dense))
    ratio = found["sparse"] / found["dense"]
    print(f"\n{args.batch} images on routes of their own, half of the nodes open (relative difference {error:.1e})")
    print(f"{'dense masked':32}{found['dense'] * 1e3:8.0f}{1:12.2f}")
    print(f"{'sparse':32}{found['sparse'] * 1e3:8.0f}{ratio:12.2f}{'':12}{run / all_:10.2f}")


if __name__ == "__main__":
    main()
