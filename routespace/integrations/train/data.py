"""Data in an order that is a function of seed and step, so that a resumed run sees what an uninterrupted one would."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from routespace.integrations.pairs import Pair, Pairs
from routespace.integrations.train.recipe import Recipe

Key: TypeAlias = tuple[int, int]
Numbered: TypeAlias = tuple[int, object]


class StepData(LightningDataModule):
    """Batches of `(image, label)` for a run of `recipe.steps` steps, and the images to validate on.

    The whole run is one epoch; the training set is gone through in a new order each time it is used up. Several devices
    each take their share of every batch. `workers` processes load the data; no number depends on how many. Items are
    held to what `wanted` says of both sets, if it is given, and a `ValueError` names the set and the item.
    """

    def __init__(
        self,
        train_set: Dataset[Pair],
        val_set: Dataset[Pair],
        recipe: Recipe,
        workers: int = 0,
        wanted: Pairs | None = None,
    ) -> None:
        super().__init__()
        self.train_set, self.val_set, self.recipe, self.workers = train_set, val_set, recipe, workers
        self.wanted = wanted or Pairs("", ignore=recipe.ignore_index)

    def train_dataloader(self) -> StepLoader:
        trainer = self.trainer
        rank, world, repeats = (
            (trainer.global_rank, trainer.world_size, trainer.accumulate_grad_batches) if trainer else (0, 1, 1)
        )
        order = StepOrder(
            len(cast(Sized, self.train_set)), self.recipe.batch_size, self.recipe.steps * repeats, self.recipe.seed,
            rank, world,
        )  # fmt: skip
        keyed = _Keyed(self.train_set, self.recipe.seed)
        return StepLoader(keyed, order, self.workers, replace(self.wanted, name="train_set"))

    def val_dataloader(self) -> PairLoader:
        numbered, wanted = _Numbered(self.val_set), replace(self.wanted, name="val_set")
        return PairLoader(numbered, wanted, self.workers, batch_size=self.recipe.batch_size)


class StepOrder:
    """For each of `batches` batches the keys of its items: (place in the run, index in the set).

    >>> [[index for _, index in batch] for batch in StepOrder(length=4, batch_size=2, batches=2, seed=0)]
    [[2, 0], [1, 3]]
    """

    def __init__(self, length: int, batch_size: int, batches: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.length, self.batch_size, self.batches, self.seed = length, batch_size, batches, seed
        self.rank, self.world = rank, world
        self.start = 0
        self._round: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[Key]]:
        for batch in range(self.start, self.batches):
            yield self.keys(batch)

    def keys(self, batch: int) -> list[Key]:
        """The keys of one batch, or of this rank's share of it."""
        first = batch * self.batch_size
        places = range(first + self.rank, first + self.batch_size, self.world)
        return [(place, self._index(place)) for place in places]

    def _index(self, place: int) -> int:
        number, within = divmod(place, self.length)
        if self._round[0] != number:
            self._round = number, np.random.default_rng((self.seed, number)).permutation(self.length).tolist()
        return self._round[1][within]


class PairLoader(DataLoader[Pair]):
    """Loads batches of numbered items that are what is `wanted`; `ValueError` names the first that is not."""

    def __init__(self, dataset: Dataset[Numbered], wanted: Pairs, workers: int, **settings: Any) -> None:
        super().__init__(
            cast("Dataset[Pair]", dataset), collate_fn=partial(_collate, wanted), num_workers=workers,
            generator=torch.Generator(), worker_init_fn=begin_worker, **settings,
        )  # fmt: skip

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            if isinstance(batch, ValueError):
                raise batch
            yield batch


def _collate(wanted: Pairs, items: list[Numbered]) -> Pair | ValueError:
    """A batch, or why there is none: what is raised in a process that loads data arrives with that process's trace."""
    try:
        return wanted.batch(items)
    except ValueError as error:
        return error


class StepLoader(PairLoader):
    """Loads the batches of a `StepOrder` and can be set to go on where another one stopped."""

    def __init__(self, dataset: _Keyed, order: StepOrder, workers: int, wanted: Pairs) -> None:
        super().__init__(dataset, wanted, workers, batch_sampler=order)
        self.order = order
        self.taken = 0

    def __iter__(self) -> Any:
        self.taken = self.order.start
        for batch in super().__iter__():
            self.taken += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """How many batches have been handed out; those that workers prepared ahead do not count."""
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.order.start = state["taken"]


def begin_worker(number: int) -> None:
    """Let a process that loads data pass over in silence that who asked it for some has gone."""
    tell = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, (EOFError, ConnectionError)):
            tell(kind, error, trace)

    sys.excepthook = hook


class _Keyed(Dataset[Numbered]):
    """Items under a random state that depends on the seed and their place in the run, whichever process loads them."""

    def __init__(self, dataset: Dataset[Pair], seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __getitem__(self, key: Key) -> Numbered:
        place, index = key
        with random_state(mix_seed(self.seed, place)):
            return index, self.dataset[index]


class _Numbered(Dataset[Numbered]):
    """Items with their numbers."""

    def __init__(self, dataset: Dataset[Pair]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(cast(Sized, self.dataset))

    def __getitem__(self, index: int) -> Numbered:
        return index, self.dataset[index]


def mix_seed(*parts: int) -> int:
    """One 32-bit seed from several numbers.

    >>> mix_seed(0, 1) != mix_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@contextmanager
def random_state(seed: int) -> Iterator[None]:
    """Python's, numpy's and torch's generators start from `seed` inside and are what they were afterwards."""
    python, numpy, generator = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(generator)
