"""Plain data parallelism: each rank of a world of processes trains a space on its share of every batch.

Run as `python -m tests.integrations.shared_batch RANK WORLD FOLDER`; what came out is left in FOLDER, a file a rank.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import routespace as rs

TEXT = """space shared(weight = 2.0) {
  input image: 3
  axis layer = 0..2
  axis scale = s4, s8 with stride = 4 * 2^scale
  gate soft per image { body mean | conv(1, routes, bias); activation relu_tanh; start value(0.5) }
  node at layer, scale where scale <= layer {
    x = image | conv(3, 4, stride = 4) if layer == 0
        else keep[layer - 1, scale] + down[layer - 1, scale - 1]
    h = x | conv(3) | relu
    send h by soft(x) { keep: conv(1, bias); down: conv(3, stride = 2) }
  }
  output y = keep[2, s4] | mean
  output z = keep[2, s8] | mean
  budget square(expected / maximum, 0.2, weight = weight)
}"""

FORMS = ("dense", "sparse")
WAYS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "plain": DistributedDataParallel,
    "compiled inside": lambda module: DistributedDataParallel(torch.compile(module, backend="aot_eager")),
    "compiled around": lambda module: torch.compile(DistributedDataParallel(module), backend="aot_eager"),
}
STEPS, BATCH = 4, 4
SHUT, OPEN, FIRST, SECOND = [0.0] * BATCH, [1.0] * BATCH, [1.0, 0.0] * (BATCH // 2), [0.0, 1.0] * (BATCH // 2)
GATES: dict[str, dict[str, dict[str, list[float]]]] = {
    "free": {},
    "closed everywhere": {"layer0.s4": {"keep": SHUT, "down": SHUT}, "layer1.s4": {"keep": SHUT, "down": SHUT}},
    "closed on one rank": {"layer0.s4": {"keep": OPEN, "down": SECOND}, "layer1.s4": {"keep": FIRST, "down": SHUT}},
    "not reached": {"layer0.s4": {"keep": OPEN, "down": SHUT}, "layer1.s4": {"keep": OPEN, "down": SHUT}},
}
"""Weights of routes by image: of two ranks the first has the even ones."""


def images(step: int) -> Tensor:
    return torch.randn(BATCH, 3, 64, 64, generator=torch.Generator().manual_seed(step))


def train(module: nn.Module, running: nn.Module, gates: str, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
    """Weights after some steps of SGD with momentum and decay on the share of `rank`; `running` is what is called."""
    group = torch.distributed.group.WORLD if world > 1 else None
    optimizer = torch.optim.SGD(module.parameters(), 0.05, momentum=0.9, weight_decay=0.01)
    forced = {
        node: {route: torch.tensor(weights[rank::world]) for route, weights in routes.items()}
        for node, routes in GATES[gates].items()
    }
    for step in range(STEPS):
        optimizer.zero_grad()
        with rs.forcing(module, forced):
            out = running(images(step)[rank::world])
        loss = torch.stack([one.square().mean() for one in out.output.values()]).sum()
        (loss + rs.budget_loss(module, out, 1.0, group=group)).backward()
        optimizer.step()
    return {name: one.detach().clone() for name, one in module.state_dict().items()}


def compiled(form: Any) -> nn.Module:
    """The space in a form, with the weights that all forms start from."""
    module = rs.compile(rs.loads(TEXT), form=form).train()
    module.load_state_dict(rs.compile(rs.loads(TEXT), seed=0).state_dict())
    return module


def cases() -> Iterator[tuple[str, str, str]]:
    yield from itertools.product(FORMS, GATES, ("plain",))
    yield from itertools.product(FORMS, ("free", "not reached"), WAYS.keys() - {"plain"})


def shared(rank: int, world: int, form: str, gates: str, way: str) -> dict[str, Tensor] | str:
    """What `rank` has learnt, or what went wrong."""
    module = compiled(form)
    try:
        return train(module, WAYS[way](module), gates, rank, world)
    except RuntimeError as error:
        return str(error)


def main(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    logging.getLogger("torch").setLevel(logging.ERROR)  # that of Dynamo has remarks on what wraps a module
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world, timeout=timedelta(seconds=30)
    )
    torch.save({case: shared(rank, world, *case) for case in cases()}, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
