"""What an item of a set of labelled images has to be: a pair `(image, label)` of tensors that fit each other, the space
and its classes. Whatever learns from such sets or measures on them asks here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Pair: TypeAlias = tuple[Tensor, Tensor]
Size: TypeAlias = tuple[int, int]


IGNORED = 255


def ignored_of(classes: int) -> int:
    """The label of pixels of no class: 255, or -1 where there are so many classes that 255 is one.

    >>> ignored_of(255), ignored_of(256)
    (255, -1)
    """
    return IGNORED if classes <= IGNORED else -1


@dataclass(frozen=True)
class Pairs:
    """What the items of the set `name` have to be; what is None is not asked for.

    Labels are whole numbers below `classes`, or `ignore`. An image has `channels` and the dtype `dtype`. `label_size`
    gives the size (H, W) of the label of an image of a size, and raises `ValueError` for sizes that do not fit.
    """

    name: str
    classes: int | None = None
    ignore: int = IGNORED
    channels: int | None = None
    dtype: torch.dtype | None = None
    label_size: Callable[[Size], Size] | None = None

    def pair(self, index: int, item: object) -> Pair:
        """Item `index` with its labels as int64. Raises `ValueError` that names the set and the item.

        >>> image, label = Pairs("photos", classes=2).pair(0, (torch.zeros(3, 4, 4), torch.ones(4, 4).byte()))
        >>> label.dtype
        torch.int64
        >>> Pairs("photos", classes=2).pair(7, (image, label + 1))
        Traceback (most recent call last):
        ...
        ValueError: `photos` has a class 2: there are 0 to 1, and 255 is ignored; do its labels count from 1? (item 7)
        """
        try:
            return self._checked(item)
        except ValueError as error:
            raise ValueError(f"`{self.name}` {error} (item {index})") from None

    def batch(self, items: Sequence[tuple[int, object]]) -> Pair:
        """The images and the labels of numbered items, stacked. Raises `ValueError` as `pair` does, and where sizes
        differ."""
        pairs = [self.pair(index, item) for index, item in items]
        for what, place in (("images", 0), ("labels", 1)):
            sizes = [tuple(pair[place].shape) for pair in pairs]
            other = next((at for at, size in enumerate(sizes) if size != sizes[0]), None)
            if other is not None:
                raise ValueError(
                    f"`{self.name}` gives {what} {sizes[0]} and {sizes[other]} for one batch (items {items[0][0]} and "
                    f"{items[other][0]}): crop, pad or resize them to one size, or take batches of 1"
                )
        return torch.stack([image for image, _ in pairs]), torch.stack([label for _, label in pairs])

    def _checked(self, item: object) -> Pair:
        image, label = split(item)
        if self.dtype is not None and image.dtype != self.dtype:
            raise ValueError(f"gives images of {image.dtype}, {self.dtype} is needed")
        if self.channels is not None and (image.dim() != 3 or image.shape[0] != self.channels or not image.numel()):
            raise ValueError(f"gives images {tuple(image.shape)}, ({self.channels}, H, W) is needed")
        try:
            label = as_labels(label, self.classes, self.ignore)
        except ValueError as error:
            raise ValueError(f"has {error}") from None
        if self.label_size is not None:
            self._check_size(image, label, self.label_size)
        return image, label

    def _check_size(self, image: Tensor, label: Tensor, label_size: Callable[[Size], Size]) -> None:
        if label.shape != image.shape[1:]:
            raise ValueError(
                f"gives labels {tuple(label.shape)} for images {tuple(image.shape)}: one class for each pixel is needed"
            )
        height, width = image.shape[1:]
        try:
            made = label_size((height, width))
        except ValueError as error:
            raise ValueError(f"gives images {tuple(image.shape)}: {error}") from None
        if made != (height, width):
            raise ValueError(f"gives labels {tuple(label.shape)}, the space makes a map of {made} of them")


def split(item: object) -> Pair:
    """The image and the label of an item. Raises `ValueError` for what is no pair of tensors."""
    wanted = "a pair `(image, label)` of tensors is needed"
    if isinstance(item, Mapping):
        raise ValueError(f"gives a dictionary of {', '.join(f'`{key}`' for key in item) or 'nothing'}: {wanted}")
    if not isinstance(item, (tuple, list)):
        raise ValueError(f"gives {_kind(item)}: {wanted}")
    if len(item) != 2:
        raise ValueError(f"gives a {type(item).__name__} of {len(item)}: {wanted}")
    image, label = item
    if isinstance(label, int):
        label = torch.tensor(label)
    for what, value in (("images", image), ("labels", label)):
        if not isinstance(value, Tensor):
            raise ValueError(f"gives {_kind(value)} for {what}: {wanted}, as `torch.as_tensor` makes them")
    return image, label


def as_labels(labels: Tensor, classes: int | None = None, ignore: int = IGNORED) -> Tensor:
    """`labels`, of whatever whole numbers, as int64. Raises `ValueError` for other dtypes, and for a class that is not
    among `classes`, if they are given, nor `ignore`.

    >>> as_labels(torch.tensor([[0, 255]], dtype=torch.uint8), classes=20)
    tensor([[  0, 255]])
    """
    if labels.is_floating_point() or labels.is_complex() or labels.is_quantized:
        raise ValueError(f"labels of {labels.dtype}: whole numbers are needed, as torch.int64")
    labels = labels.long()
    if classes is None:
        return labels
    unknown = labels[((labels < 0) | (labels >= classes)) & (labels != ignore)]
    if unknown.numel():
        first = int(unknown[0])
        hint = f"; a pixel of no class is {ignore}" if first < 0 else ""
        if first == classes and not bool((labels == 0).any()):
            hint = "; do its labels count from 1?"
        raise ValueError(f"a class {first}: there are 0 to {classes - 1}, and {ignore} is ignored{hint}")
    return labels


def unscored(name: str, counts: Sequence[int], ignored: int, ignore: int, use: str = "scored") -> str | None:
    """What to warn of where labels say next to nothing: one class, or none, beside pixels that are ignored.

    `counts` are pixels by class; `use` is what labels of the set are for.

    >>> print(unscored("masks", [96, 0], 32, 255))
    labels of `masks` hold class 0 and 255 only, and 255 is no class: all that is scored is class 0. A mask of two \
classes is 0 and 1
    >>> unscored("masks", [96, 4], 32, 255)
    """
    there = [place for place, count in enumerate(counts) if count]
    if not ignored or len(there) > 1:
        return None
    if not there:
        return f"labels of `{name}` hold {ignore} only, and {ignore} is no class: nothing is {use}"
    return (
        f"labels of `{name}` hold class {there[0]} and {ignore} only, and {ignore} is no class: all that is {use} is "
        f"class {there[0]}. A mask of two classes is 0 and 1"
    )


def _kind(value: object) -> str:
    return f"`{type(value).__module__}.{type(value).__name__}`".replace("builtins.", "")
