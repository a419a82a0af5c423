"""The Lightning module around a compiled space, and what it measures."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import Metric
from torchmetrics.classification import MulticlassJaccardIndex

import routespace as rs
from routespace.alike import Decisions, decide_alike
from routespace.graph.ir import RouteGraph
from routespace.integrations.pairs import Pair, as_labels, split, unscored
from routespace.integrations.train.data import mix_seed
from routespace.integrations.train.recipe import Recipe
from routespace.runtime.result import Routing

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


USES = {"train_set": "learned", "val_set": "scored"}
"""What is done with the labels of each set."""
ENOUGH = 100
"""Images of a training set whose labels tell what those of all are like; of shorter runs it is all of them."""


class Segmentation(LightningModule):
    """Cross entropy of the labelled pixels plus the declared budget; on validation mIoU and, over the images, mean, min
    and max of each cost. Processes that share a batch learn what one with the whole batch would.

    Noise drawn in a step is a function of the recipe's seed, the step and the device's rank.
    """

    def __init__(self, module: nn.Module, recipe: Recipe, classes: int) -> None:
        super().__init__()
        self.module, self.recipe, self.classes = module, recipe, classes
        self.losses: dict[str, Tensor] = {}
        self.miou = MulticlassJaccardIndex(classes, average="macro", ignore_index=recipe.ignore_index)
        self.expected, self.hard, self.executed = Spread(), Spread(), Spread()
        self.decisions, self.remark = Choices(rs.graph_of(module)), ""
        self.labels = nn.ModuleDict({name: Labels(classes, recipe.ignore_index) for name in USES})
        self.told: set[str] = set()

    @property
    def costs(self) -> dict[str, Spread]:
        return {"expected": self.expected, "hard": self.hard, "executed": self.executed}

    @property
    def done(self) -> float:
        """The share of training behind this step, from 0 to 1."""
        return min(self.global_step / self.recipe.steps, 1.0)

    def on_train_batch_start(self, batch: Pair, batch_idx: int) -> None:
        torch.manual_seed(mix_seed(self.recipe.seed, self.global_step, self.global_rank))

    def training_step(self, batch: Pair, batch_idx: int) -> Tensor:
        images, labels = self._pair(batch)
        self._count("train_set", labels)
        out = self.module(images)
        group = torch.distributed.group.WORLD if self.trainer.world_size > 1 else None
        task = pixel_loss(out.output, labels, self.recipe.ignore_index, group)
        budget: Tensor = rs.budget_loss(self.module, out, self.done, group=group)
        self.losses = {"data": task.detach(), "budget": budget.detach()}
        self.log("loss", task, prog_bar=True, sync_dist=group is not None)
        self.log("budget", budget, prog_bar=True, sync_dist=group is not None)
        return task + budget

    def validation_step(self, batch: Pair, batch_idx: int) -> None:
        images, labels = self._pair(batch)
        out = self.module(images)
        self.miou.update(out.output.argmax(1), labels)
        self._count("val_set", labels)
        self.decisions.update(out.routing)
        for name, spread in self.costs.items():
            spread.update(getattr(out.routing.cost, name))

    def on_validation_epoch_end(self) -> None:
        values = {"val/miou": self.miou.compute()}
        for name, spread in self.costs.items():
            values |= {f"val/{name}_{part}": value for part, value in spread.compute().items()}
            spread.reset()
        self.miou.reset()
        self.log_dict(values)
        self.remark = self.decisions.compute() or ""
        self.decisions.reset()
        self._tell("val_set")
        if self.global_step * self.recipe.batch_size >= ENOUGH:
            self._tell("train_set")

    def on_train_end(self) -> None:
        self._tell("train_set")

    def _count(self, name: str, labels: Tensor) -> None:
        """Note which labels a set has, until that is told."""
        if name not in self.told:
            self.labels[name].update(labels)  # type: ignore[operator]

    def _tell(self, name: str) -> None:
        """Warn, once, of labels of a set that say next to nothing."""
        labels = self.labels[name]
        assert isinstance(labels, Labels)
        if name in self.told or not labels.update_called:
            return
        self.told.add(name)
        *counts, ignored = labels.compute().tolist()
        remark = unscored(name, counts, ignored, self.recipe.ignore_index, USES[name])
        if remark is not None and self.trainer.is_global_zero:
            warnings.warn(remark, stacklevel=2)

    def _pair(self, batch: object) -> Pair:
        """The batch with labels as int64. Raises `ValueError` for what is no pair, and for classes there are not."""
        try:
            images, labels = split(batch)
            # A GPU would have to be waited for, and what `StepData` loads was looked at before it went there.
            classes = self.classes if labels.device.type == "cpu" else None
            return images, as_labels(labels, classes, self.recipe.ignore_index)
        except ValueError as error:
            raise ValueError(f"the batch: {error}") from None

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        optimizer = torch.optim.SGD(
            self.module.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.lr_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def pixel_loss(logits: Tensor, labels: Tensor, ignored: int, group: ProcessGroup | None = None) -> Tensor:
    """Mean cross entropy of logits (N, K, H, W) over the pixels of labels (N, H, W) that are not `ignored`; 0 if none.

    Of a `group` of processes that share a batch the mean is over the pixels of all of it, once they average their
    losses.

    >>> logits = torch.zeros(1, 2, 1, 2)
    >>> [round(float(pixel_loss(logits, torch.tensor([[pixels]]), 255)), 4) for pixels in ([0, 255], [255, 255])]
    [0.6931, 0.0]
    """
    count, share = (labels != ignored).sum(), 1
    if group is not None:
        torch.distributed.all_reduce(count, group=group)
        share = group.size()
    total = functional.cross_entropy(logits, labels, ignore_index=ignored, reduction="sum")
    return total * share / count.clamp_min(1)


class Labels(Metric):
    """How many pixels have each of `classes`, and, last, how many are ignored, over all images and devices."""

    full_state_update = False
    counts: Tensor

    def __init__(self, classes: int, ignore: int) -> None:
        super().__init__()
        self.classes, self.ignore = classes, ignore
        self.add_state("counts", torch.zeros(classes + 1, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, labels: Tensor) -> None:
        places = torch.where(labels == self.ignore, self.classes, labels).flatten()
        self.counts.index_add_(0, places, torch.ones_like(places))  # where `bincount` would wait for a GPU

    def compute(self) -> Tensor:
        return self.counts


class Choices(Metric):
    """What gates did over all images: a remark on those that decided alike."""

    full_state_update = False
    counts: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, graph: RouteGraph) -> None:
        super().__init__()
        self.graph = graph
        none = Decisions.none(graph)
        self.add_state("counts", none.counts, dist_reduce_fx="max")  # each device sees all images
        self.add_state("low", none.low, dist_reduce_fx="min")
        self.add_state("high", none.high, dist_reduce_fx="max")

    def update(self, routing: Routing) -> None:
        both = Decisions(self.counts, self.low, self.high) + Decisions.of(self.graph, routing)
        self.counts, self.low, self.high = both.counts, both.low, both.high

    def compute(self) -> str | None:
        return decide_alike(self.graph, Decisions(self.counts, self.low, self.high))


class Spread(Metric):
    """Mean, lowest and highest of a number per image, over all images and devices.

    Sums are kept in two halves of float32, the `total` and what it `lost` to rounding: not every device has float64.

    >>> spread = Spread()
    >>> spread.update(torch.tensor([1.0, 2.0, 6.0]))
    >>> {part: float(value) for part, value in spread.compute().items()}
    {'mean': 3.0, 'min': 1.0, 'max': 6.0}
    """

    full_state_update = False
    count: Tensor
    total: Tensor
    lost: Tensor
    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("lost", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("low", torch.tensor(float("inf")), dist_reduce_fx="min")
        self.add_state("high", torch.tensor(float("-inf")), dist_reduce_fx="max")

    def update(self, values: Tensor) -> None:
        if values.numel() == 0:
            return
        values = values.detach()
        self.count += values.numel()
        part = values.sum()
        for half in (part.float(), (part - part.float()).float()):
            total = self.total + half
            kept = total - self.total
            self.lost += (self.total - (total - kept)) + (half - kept)  # Knuth's exact sum of two numbers
            self.total = total
        self.low = torch.minimum(self.low, values.min().float())
        self.high = torch.maximum(self.high, values.max().float())

    def compute(self) -> dict[str, Tensor]:
        mean = (self.total.item() + self.lost.item()) / max(int(self.count), 1)
        return {"mean": torch.full_like(self.total, mean), "min": self.low, "max": self.high}
