"""Every public function that takes a compiled module takes what PyTorch and others wrap around one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

import routespace as rs
from routespace.integrations.artifact import load_artifact, save_artifact
from routespace.integrations.official import (
    dynamic_head_names,
    load_dynamic_head,
    load_segmentation,
    segmentation_names,
)

SPACE = rs.load(rs.example("small"), width=4, depth=1)
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class Holder(nn.Module):
    """As Lightning and training programs hold a model."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.head, self.module = nn.Linear(2, 2), module

    def forward(self, images: Any) -> Any:
        return self.module(images)


def compiled(module: nn.Module) -> nn.Module:
    found: nn.Module = torch.compile(module, backend="eager")  # type: ignore[assignment]
    return found


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "bare": lambda module: module,
    "DataParallel": DataParallel,
    "DistributedDataParallel": DistributedDataParallel,
    "AveragedModel": lambda module: AveragedModel(module).eval(),
    "compile": compiled,
    "holder": Holder,
    "nested": lambda module: compiled(DistributedDataParallel(Holder(AveragedModel(module).eval()))),
}


@pytest.fixture(scope="module", autouse=True)
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A group of this process alone."""
    store = torch.distributed.FileStore(str(tmp_path_factory.mktemp("group") / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def outcome(module: nn.Module) -> Any:
    with torch.no_grad():
        return rs.graph_of(module) and next(one for one in module.modules() if hasattr(one, "begin"))(IMAGES)


def budget_loss(module: nn.Module) -> None:
    assert rs.budget_loss(module, outcome(module), 1.0).isfinite()


def graph_of(module: nn.Module) -> None:
    assert rs.graph_of(module).name == "small"


def forcing(module: nn.Module) -> None:
    with rs.forcing(module, {"layer0.s4": "closed"}):
        assert not outcome(module).routing.weights["layer0.s4"]["keep"].any()


def replaying(module: nn.Module) -> None:
    first = outcome(module)
    with rs.replaying(module, first.routing):
        assert torch.equal(outcome(module).output, first.output)


def freeze(module: nn.Module) -> None:
    rs.freeze(module)
    assert not all(parameter.requires_grad for parameter in module.parameters())


def exactly(module: nn.Module) -> None:
    with rs.exactly(module):
        outcome(module)


def record(module: nn.Module) -> None:
    assert rs.record(module, [IMAGES]).images == 2


def prune(module: nn.Module) -> None:
    pruned = rs.prune(module, rs.record(module, [IMAGES]))
    assert torch.allclose(pruned(IMAGES).output, outcome(module).output, atol=1e-5)
    assert rs.graph_of(pruned) is rs.graph_of(module)
    assert rs.prune(pruned, rs.record(pruned, [IMAGES])).pruning == pruned.pruning


def refresh(module: nn.Module) -> None:
    before = outcome(module).output
    for parameter in module.parameters():
        parameter.data.mul_(0.5)
    rs.refresh(module)
    assert not torch.allclose(outcome(module).output, before)


def load_weights(module: nn.Module) -> None:
    other = rs.compile(SPACE, seed=5).eval()
    assert not rs.load_weights(module, other.state_dict()).missing
    assert torch.allclose(outcome(module).output, outcome(other).output, atol=1e-5)


VERBS = [budget_loss, graph_of, forcing, replaying, freeze, exactly, record, prune, refresh, load_weights]


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_wrapped_modules_are_taken(verb: Callable[[nn.Module], None], wrapper: str) -> None:
    verb(WRAPPERS[wrapper](rs.compile(SPACE, "sparse", seed=1)))


def test_no_public_verb_is_left_out() -> None:
    takes_modules = {
        name
        for name in rs.__all__
        if inspect.isfunction(verb := getattr(rs, name)) and "module" in inspect.signature(verb).parameters
    }
    assert takes_modules == {verb.__name__ for verb in VERBS}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_modules_are_saved_and_filled(wrapper: str, tmp_path: Path) -> None:
    wrapped = WRAPPERS[wrapper](rs.compile(SPACE, "sparse", seed=1))
    found = load_artifact(save_artifact(tmp_path, SPACE, wrapped)).module
    assert torch.allclose(outcome(found).output, outcome(wrapped).output, atol=1e-5)
    for example, names, load, given in (
        ("segmentation", lambda graph: segmentation_names(graph, {}), load_segmentation, {"depth": 2, "width": 8}),
        ("fcos_dynamic_head", dynamic_head_names, load_dynamic_head, {"depth": 1, "width": 32, "classes": 3}),
    ):
        module = rs.compile(rs.load(rs.example(example), **given))
        before = "" if example == "segmentation" else "head."
        released = {f"{before}{name}": module.state_dict()[own] for own, name in names(rs.graph_of(module))}
        load(WRAPPERS[wrapper](module), released)


def test_what_holds_none_or_several_is_told() -> None:
    several = nn.Sequential(rs.compile(SPACE), Holder(rs.compile(SPACE)))
    with pytest.raises(TypeError, match=r"was not made by `routespace\.compile`, and holds none"):
        rs.record(nn.Sequential(nn.Conv2d(3, 3, 1)), [IMAGES])
    with pytest.raises(TypeError, match=r"give one of `0`, `1\.module`"), rs.forcing(several, {}):
        pass
    with pytest.raises(TypeError, match="not a str"):
        rs.freeze("module")  # type: ignore[arg-type]
