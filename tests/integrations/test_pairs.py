"""Sets of labelled images are held to what they are for, item by item, by training and evaluation alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

import routespace as rs
from routespace.integrations.evaluate import evaluate
from routespace.integrations.pairs import as_labels
from routespace.space.model import Space

WHOLE = (
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip


class Items(Dataset[Any]):
    def __init__(self, item: Callable[[int], object], length: int = 6) -> None:
        self.item, self.length = item, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        if index >= self.length:
            raise IndexError
        return self.item(index)


def image(width: int = 64) -> Tensor:
    return torch.rand(3, 64, width, generator=torch.Generator().manual_seed(width))


def label(value: int = 1, width: int = 64) -> Tensor:
    return torch.full((64, width), value)


def at(place: int, broken: object) -> Items:
    """Good items but one."""
    return Items(lambda index: broken if index == place else (image(), label()))


class Perfect(nn.Module):
    """Says the classes that are written into the first channel."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: Tensor) -> SimpleNamespace:
        cost = torch.zeros(len(images))
        output = nn.functional.one_hot(images[:, 0].long(), self.classes).movedim(-1, 1).float()
        costs = SimpleNamespace(expected=cost, hard=cost, executed=cost)
        return SimpleNamespace(output=output, routing=SimpleNamespace(cost=costs))


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_labels_of_any_whole_dtype_are_counted_alike(dtype: torch.dtype) -> None:
    told = torch.arange(20).repeat_interleave(4).reshape(8, 10)
    labels = told.clone()
    if dtype is not torch.int8:
        labels[0, 0] = 255
    found = evaluate(Perfect(20), Items(lambda _: (told.float()[None], labels.to(dtype)), 2), classes=20)
    assert found.miou == 1.0 and found.iou == (1.0,) * 20


def test_labels_of_no_and_yes_are_two_classes() -> None:
    told = torch.tensor([[0, 1], [1, 1]])
    assert evaluate(Perfect(2), [(told.float()[None], told.bool())], classes=2).miou == 1.0  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64], ids=str)
def test_labels_that_are_no_whole_numbers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=f"labels of {dtype}: whole numbers are needed"):
        as_labels(torch.zeros(2, 2, dtype=dtype))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"image": image(), "mask": label()}, "gives a dictionary of `image`, `mask`: a pair"),
        ((image(), label(), 3), "gives a tuple of 3: a pair"),
        ([image()], "gives a list of 1: a pair"),
        (image(), "gives `torch.Tensor`: a pair"),
        ((image().numpy(), label()), "gives `numpy.ndarray` for images: a pair"),
        ((image(), label().numpy()), "gives `numpy.ndarray` for labels: a pair"),
        ((image(), None), "gives `NoneType` for labels"),
        ((image(), label().float()), "has labels of torch.float32: whole numbers"),
        ((image().double(), label()), "gives images of torch.float64, torch.float32 is needed"),
        (((image() * 255).byte(), label()), "gives images of torch.uint8, torch.float32 is needed"),
        ((image(), label(9)), "has a class 9: there are 0 to 4, and 255 is ignored"),
        ((image(), label(5)), r"has a class 5: .*; do its labels count from 1\?"),
        ((image(), label(-1)), "has a class -1: .*; a pixel of no class is 255"),
    ],
)
def test_items_that_are_something_else_are_named(space: Space, broken: object, says: str) -> None:
    module = rs.compile(space, seed=0)
    with pytest.raises(ValueError, match=rf"`scenes` {says}.* \(item 4\)"):
        evaluate(module, at(4, broken), classes=5)


def test_sizes_of_a_batch_are_compared(space: Space) -> None:
    module = rs.compile(space, seed=0)
    items = Items(lambda index: (image(64 + 16 * (index == 3)), label(1, 64 + 16 * (index == 3))))
    assert len(evaluate(module, items, classes=5).hard) == 6
    with pytest.raises(ValueError, match=r"`scenes` gives images \(3, 64, 64\) and \(3, 64, 80\).*\(items 2 and 3\)"):
        evaluate(module, items, classes=5, batch_size=2)


def test_classes_sizes_and_outputs_are_those_of_the_module(space: Space) -> None:
    module = rs.compile(space, seed=0)
    for classes in (2, 20):
        with pytest.raises(ValueError, match=f"`classes` is {classes}, the output of the module has 5"):
            evaluate(module, Items(lambda _: (image(), label())), classes=classes)
    with pytest.raises(ValueError, match=r"labels are \(64, 80\), the predictions of the module \(64, 64\)"):
        evaluate(module, Items(lambda _: (image(), label(1, 80))), classes=5)
    with pytest.raises(ValueError, match="`scenes` is empty"):
        evaluate(module, Items(lambda _: None, 0), classes=5)
    two = "space two { input image: 3; output a = image | conv(1, 5); output b = image | conv(1, 5) }"
    with pytest.raises(ValueError, match="has 2 outputs"):
        evaluate(rs.compile(rs.loads(two)), Items(lambda _: (image(), label())), classes=5)


def test_items_that_the_module_does_not_take_are_named(space: Space) -> None:
    module = rs.compile(space, seed=0)
    with pytest.raises(rs.InputError, match=r"`scenes`: .* 1 channels.* \(item 4\)"):
        evaluate(module, at(4, (image()[:1], label())), classes=5)
    with pytest.raises(rs.InputError, match=r"`scenes`: .* 1 channels.* \(items 2 to 3\)"):
        grey = Items(lambda index: (image()[: 1 if index in (2, 3) else 3], label()))
        evaluate(module, grey, classes=5, batch_size=2)


def test_sets_without_numbers_are_evaluated(space: Space) -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            yield image(), label()
            yield image(), label(7)

    with pytest.raises(ValueError, match=r"a class 7.*\(item 1\)"):
        evaluate(rs.compile(space), Stream(), classes=5)


@pytest.mark.parametrize(("values", "says"), [((0, 255), "class 0 and 255 only"), ((255,), "255 only")])
def test_masks_of_one_class_and_255_are_warned_of(values: tuple[int, ...], says: str) -> None:
    masks = torch.tensor(values).repeat(4, 4)
    with pytest.warns(UserWarning, match=f"labels of `scenes` hold {says}"):
        evaluate(Perfect(2), [(torch.zeros(1, *masks.shape), masks)], classes=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [(0,), (0, 1), (0, 1, 255)])
def test_masks_of_classes_are_not_warned_of(values: tuple[int, ...]) -> None:
    masks = torch.tensor(values).repeat(4, 4)
    evaluate(Perfect(2), [(torch.zeros(1, *masks.shape), masks)], classes=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("classes", [255, 256, 300])
def test_255_is_a_class_where_there_are_so_many(classes: int) -> None:
    said = torch.arange(classes).repeat(2, 1)
    labels = said.clone()
    labels[0, 0] = 255 if classes == 255 else -1
    found = evaluate(Perfect(classes), [(said[None].float(), labels)], classes=classes)  # type: ignore[arg-type]
    assert found.iou == (1.0,) * classes
    with pytest.raises(ValueError, match=f"has a class {classes + 9}: "):
        evaluate(Perfect(classes), [(said[None].float(), torch.full_like(said, classes + 9))], classes=classes)  # type: ignore[arg-type]


class TestTraining:
    @pytest.fixture(autouse=True)
    def extra(self) -> None:
        pytest.importorskip("lightning", reason="needs routespace[train]", exc_type=ModuleNotFoundError)

    def run(self, space: Space, out: Path, **changes: Any) -> Any:
        from routespace.integrations.train import train

        good = Items(lambda _: (image(), label()))
        settings: dict[str, Any] = {
            "steps": 4, "batch_size": 2, "validations": 1, "train_set": good, "val_set": good, "progress": False,
        }  # fmt: skip
        return train(space, out, **(settings | changes))

    @pytest.mark.parametrize("name", ["train_set", "val_set"])
    @pytest.mark.parametrize(
        ("broken", "says"),
        [
            ({"image": image(), "mask": label()}, "gives a dictionary of `image`, `mask`"),
            ((image().numpy(), label().numpy()), "gives `numpy.ndarray` for images"),
            ((image(), label(9)), "has a class 9"),
            ((image().double(), label()), "gives images of torch.float64"),
            ((image()[:1], label()), r"gives images \(1, 64, 64\), \(3, H, W\) is needed"),
            ((image(), label()[None]), r"gives labels \(1, 64, 64\) for images \(3, 64, 64\)"),
            ((image(), label(1, 80)), r"gives labels \(64, 80\) for images"),
        ],
    )
    def test_a_first_item_is_told_before_anything_is_written(
        self, space: Space, tmp_path: Path, name: str, broken: object, says: str
    ) -> None:
        with pytest.raises(ValueError, match=rf"`{name}` {says}.* \(item 0\)"):
            self.run(space, tmp_path / "out", **{name: at(0, broken)})
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("workers", [0, 1])
    @pytest.mark.parametrize("name", ["train_set", "val_set"])
    def test_a_later_item_is_named(self, space: Space, tmp_path: Path, name: str, workers: int) -> None:
        with pytest.raises(ValueError, match=rf"^`{name}` has a class 9: there are .*\(item 4\)$"):
            self.run(space, tmp_path / "out", workers=workers, **{name: at(4, (image(), label(9)))})
        with pytest.raises(ValueError, match=rf"^`{name}` gives images .* for one batch \(items \d and \d\): crop"):
            sizes = at(5, (image(80), label(1, 80)))
            self.run(space, tmp_path / "other", workers=workers, **{name: sizes})

    def test_a_stream_is_no_set(self, space: Space, tmp_path: Path) -> None:
        class Stream(IterableDataset[Any]):
            def __iter__(self) -> Any:
                yield image(), label()

        with pytest.raises(ValueError, match="`train_set` is a `Stream`: a set with a length"):
            self.run(space, tmp_path / "out", train_set=Stream())

    def test_labels_of_bytes_train_as_others(self, space: Space, tmp_path: Path) -> None:
        def labelled(dtype: torch.dtype) -> Items:
            return Items(lambda index: (image(), (label(index % 5)).to(dtype)))

        found = [
            self.run(space, tmp_path / str(dtype), train_set=labelled(dtype), val_set=labelled(dtype)).history
            for dtype in (torch.int64, torch.uint8, torch.int16)
        ]
        assert found[0] == found[1] == found[2]

    @pytest.mark.parametrize("name", ["train_set", "val_set"])
    def test_masks_of_0_and_255_are_warned_of_once(self, space: Space, tmp_path: Path, name: str) -> None:
        masks = Items(lambda index: (image(), label(255 * (index % 2))))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            self.run(space, tmp_path / "out", **{name: masks}, validations=2)
        said = [str(one.message) for one in told if "255" in str(one.message)]
        assert len(said) == 1 and f"labels of `{name}` hold class 0 and 255 only" in said[0]

    def test_batches_of_other_loaders_are_checked(self, space: Space) -> None:
        from routespace.integrations.train import Recipe, Segmentation

        task = Segmentation(rs.compile(space), Recipe(steps=1), 5)
        for batch, says in (
            ({"image": 1}, "dictionary"),
            ([image(), label(9)], "class 9"),
            ([np.zeros(1)] * 2, "numpy"),
        ):
            for step in (task.training_step, task.validation_step):
                with pytest.raises(ValueError, match=f"the batch: .*{says}"):
                    step(batch, 0)  # type: ignore[arg-type]
        task.validation_step((image()[None], label()[None].byte()), 0)
        assert task.labels["val_set"].counts.tolist() == [0, 64 * 64, 0, 0, 0, 0]
