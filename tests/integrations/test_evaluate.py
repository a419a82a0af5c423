from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import routespace as rs
from routespace.integrations.evaluate import Summary, evaluate, measure_latency
from routespace.integrations.scenes import CLASSES, Scenes
from routespace.space.model import Space


class Oracle(nn.Module):
    """Says what it was told, at a cost that is the image's brightest value."""

    def __init__(self, predictions: list[Tensor]) -> None:
        super().__init__()
        self.predictions = list(predictions)

    def forward(self, images: Tensor) -> SimpleNamespace:
        assert not self.training
        said = torch.stack([self.predictions.pop(0) for _ in images])
        cost = images.amax((1, 2, 3))
        costs = SimpleNamespace(expected=cost, hard=2 * cost, executed=3 * cost)
        output = nn.functional.one_hot(said, len(CLASSES)).movedim(-1, 1).float()
        return SimpleNamespace(output=output, routing=SimpleNamespace(cost=costs))


def test_iou_and_costs_by_hand() -> None:
    labels = torch.tensor([[[0, 0], [1, 255]], [[2, 2], [2, 0]]])
    said = torch.tensor([[[0, 1], [1, 3]], [[2, 2], [0, 0]]])
    images = torch.stack([torch.full((3, 2, 2), 0.25), torch.full((3, 2, 2), 0.5)])
    found = evaluate(Oracle(list(said)), list(zip(images, labels, strict=True)), classes=5)  # type: ignore[arg-type]
    assert found.iou[:3] == pytest.approx((2 / 4, 1 / 2, 2 / 3)) and np.isnan(found.iou[3:]).all()
    assert found.miou == pytest.approx((1 / 2 + 1 / 2 + 2 / 3) / 3)
    assert found.expected == (0.25, 0.5) and found.hard == (0.5, 1.0) and found.executed == (0.75, 1.5)


def test_miou_agrees_with_torchmetrics() -> None:
    metrics = pytest.importorskip("torchmetrics.classification", exc_type=ModuleNotFoundError)
    scenes = Scenes(4, 48, 2)
    generator = torch.Generator().manual_seed(0)
    labels = torch.stack([scenes[index][1] for index in range(4)])
    guess = torch.randint(0, 5, labels.shape, generator=generator)
    said = torch.where(torch.rand(labels.shape, generator=generator) < 0.7, labels, guess)
    metric = metrics.MulticlassJaccardIndex(5, average="macro")
    assert evaluate(Oracle(list(said)), scenes, classes=5).miou == pytest.approx(float(metric(said, labels)))


def test_forms_and_batches_agree(space: Space, scenes: Scenes) -> None:
    dense = rs.compile(space, form="dense", seed=0).train()
    sparse = rs.compile(space, form="sparse")
    sparse.load_state_dict(dense.state_dict())
    alone = evaluate(dense, scenes, classes=5)
    assert dense.training
    for other in (evaluate(dense, scenes, classes=5, batch_size=4), evaluate(sparse, scenes, classes=5)):
        assert other.iou == pytest.approx(alone.iou, nan_ok=True)
        assert other.expected == pytest.approx(alone.expected) and other.hard == pytest.approx(alone.hard)
    assert len(alone.expected) == len(alone.executed) == len(scenes)


def test_latency_takes_turns(images: Tensor) -> None:
    seen: list[tuple[str, int]] = []

    class Module(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, batch: Tensor) -> None:
            assert batch.shape[0] == 1 and not self.training
            seen.append((self.name, int(batch.sum())))

    pictures = [torch.full((1, 1, 1), float(index)) for index in range(3)]
    found = measure_latency({"a": Module("a"), "b": Module("b")}, pictures, rounds=2, warmup=1)
    assert set(found) == {"a", "b"}
    assert all(0 < one.low <= one.median <= one.high for one in found.values())
    timed = seen[2:]
    assert [picture for _, picture in timed] == [0, 0, 1, 1, 2, 2] * 2
    assert [name for name, _ in timed[:4]] == ["a", "b", "b", "a"]


def test_nothing_is_timed_on_no_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        measure_latency({"a": nn.Identity()}, [])


def test_summaries() -> None:
    assert Summary.of([3.0, 1.0]) == Summary(2.0, 1.0, 3.0)
    assert np.isnan(Summary.of([]).mean)
