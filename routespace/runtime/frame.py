"""What one call of a compiled module carries along: sizes, batch, and what has been run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from routespace.runtime.again import seen
from routespace.runtime.aside import aside
from routespace.runtime.blanks import BlankStore
from routespace.runtime.entered import Blocks, Handle, settings
from routespace.runtime.errors import InputError
from routespace.runtime.packed import forget
from routespace.runtime.unpickled import Unpickled
from routespace.space.shape import Stride

Size = tuple[int, int]
Sizes: TypeAlias = "Size | tuple[tuple[str, Size], ...]"
SizesOf = Callable[[Sizes], tuple[dict[Stride, Size], Mapping[str, Size]]]


@dataclass
class Frame:
    """One call: the batch size, sizes of streams by stride and by name, images that ran, by unit, and images `missed`,
    which a pruned route was open for.

    `size` is that of the images, or of every input by its name; `inputs` are the tensors, `images` the first of them;
    `roots` are the module that is called; `blocks` are those that the call was made in; `derived` is what holds of the
    ops of the module in this call.
    """

    batch: int
    size: Sizes
    sizes: dict[Stride, Size]
    values: Mapping[str, Size]
    inputs: Mapping[str, Tensor]
    images: Tensor
    blanks: BlankStore
    roots: tuple[nn.Module, ...]
    blocks: Blocks = ()
    ran: dict[int, list[int]] = field(default_factory=dict)
    missed: set[int] = field(default_factory=set)
    shares: list[tuple[int, Sequence[int], Sequence[int] | None]] = field(default_factory=list)
    relus: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    derived: dict[object, object] = field(default_factory=dict)

    def setting(self, handle: Handle) -> Any:
        """What the blocks that the call was made in say of a part of the module; None where they say nothing."""
        return next(settings(self.blocks, handle), None) if self.blocks else None

    @property
    def dtype(self) -> torch.dtype:
        return self.images.dtype

    @property
    def deciding(self) -> Tensor:
        """An empty tensor of the device and the dtype that gates decide in: float32, and float64 of such images."""
        return self.images.new_empty(0, dtype=torch.promote_types(self.dtype, torch.float32))

    def rectified(self, x: Tensor) -> Tensor:
        """relu(x), computed once for the routes of a node that all begin with it; nobody writes into it."""
        known = self.relus.get(id(x))
        return known[1] if known is not None else self._keep(x, F.relu(x))

    def rectify(self, x: Tensor) -> None:
        """Make x its own relu, before anybody reads it."""
        self._keep(F.relu_(x), x)

    def _keep(self, x: Tensor, relu: Tensor) -> Tensor:
        """Remember the relu of x, as long as the images of one node take."""
        if len(self.relus) >= self.batch:
            self.relus.clear()
        self.relus[id(x)] = (x, relu)
        return relu

    def anchored(self, value: Tensor) -> Tensor:
        """`value`, which passes gradients of zero on where they are recorded and it was made of nothing that has some:
        a loss of it has a backward pass, whatever was skipped."""
        if value.requires_grad or not torch.is_grad_enabled():
            return value
        sources = chain(self.inputs.values(), self.parameters())
        source = next((one for one in sources if one.requires_grad), None)
        return value if source is None else value + source.flatten()[:0].sum().to(value)

    def parameters(self) -> Iterator[Tensor]:
        """The parameters of the module, once each, as tools that replace or wrap them left them."""
        return chain.from_iterable(root.parameters() for root in self.roots)

    def share(self, unit: int | None, images: Sequence[int], positions: Sequence[int] | None) -> None:
        """Note that a unit of the ledger ran for `images` at that many positions each; None is all of them."""
        if unit is not None:
            self.shares.append((unit, images, positions))

    def log(self, unit: int, images: tuple[int, ...]) -> None:
        """Note that a unit of the ledger ran for `images`."""
        self.ran.setdefault(unit, []).extend(images)


class Opening(nn.Module):
    """What opens the frame of a call. `roots` is the compiled module it is a part of, whose weights images must fit.

    A replica of a module holds the blocks that it was made in, wherever it runs, and no parameters.
    """

    held: Blocks = ()

    def __init__(self) -> None:
        super().__init__()
        self.unpickled = Unpickled()
        self.blanks = BlankStore()
        self.roots: tuple[nn.Module, ...] = ()

    def train(self, mode: bool = True) -> Opening:
        """Every change of modes gives up what is derived of weights: they may have been written to without a trace."""
        self.refresh()
        return super().train(mode)

    def refresh(self) -> None:
        """Give up what is derived of the weights of the module."""
        self.blanks.refresh()
        for root in self.roots:
            for part in root.modules():
                forget(part)

    def follow(self) -> None:
        """Give up what is derived of weights behind a call that recorded gradients: an optimizer may have moved them
        since, and kernels that move many at one go ("fused") leave no trace on them."""
        if torch.is_grad_enabled():
            self.blanks.learns = True
        elif self.blanks.learns:
            self.refresh()

    def entered(self) -> Blocks:
        """The blocks that a call is made in."""
        return (*self.held, *seen())

    def __getstate__(self) -> dict[str, Any]:
        """A copy is a part of the module that it is put into."""
        return {**self.__dict__, "roots": ()}

    def _replicate_for_data_parallel(self) -> Opening:
        replica: Opening = super()._replicate_for_data_parallel()  # type: ignore[no-untyped-call]
        replica.held, replica.roots = self.entered(), ()
        return replica


class Begin(Opening):
    """Checks the images and opens the frame of a call.

    `sizes_of` gives, for an image size, the sizes of streams by stride and by name; it raises `InputError` where a
    size does not fit.
    """

    def __init__(
        self,
        name: str,
        channels: int,
        sizes_of: SizesOf,
    ) -> None:
        super().__init__()
        self.name, self.channels = name, channels
        self.sizes_of = lru_cache(maxsize=64)(sizes_of)

    @aside
    def forward(self, images: Tensor) -> Frame:
        if not isinstance(images, Tensor) or images.dim() != 4:
            shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise InputError(f"input `{self.name}` must be (N, {self.channels}, H, W), not {shape}")
        if images.shape[1] != self.channels:
            raise InputError(f"input `{self.name}` has {images.shape[1]} channels; the space declares {self.channels}")
        if not images.is_floating_point():
            raise InputError(f"input `{self.name}` is {images.dtype}; a floating-point tensor is needed")
        size = size_of(images)
        if min(size) < 1:
            raise InputError(f"images of {size[0]}x{size[1]} have no positions")
        check_against(images, self.roots)
        inputs = {self.name: images}
        self.follow()
        return Frame(
            images.shape[0], size, *self.sizes_of(size), inputs, images, self.blanks, self.roots, self.entered()
        )


class BeginPyramid(Opening):
    """Checks the levels of a pyramid and opens the frame of a call. `levels` are (name of the input, label, channels,
    stride), finest first; the rest as in `Begin`."""

    def __init__(
        self,
        name: str,
        levels: Sequence[tuple[str, str, int, Stride]],
        sizes_of: SizesOf,
    ) -> None:
        super().__init__()
        self.name, self.levels = name, tuple(levels)
        self.sizes_of = lru_cache(maxsize=64)(sizes_of)

    @aside
    def forward(self, given: Mapping[str, Tensor] | Sequence[Tensor]) -> Frame:
        tensors = self.tensors(given)
        first = tensors[0]
        for place, ((name, _, channels, stride), tensor) in enumerate(zip(self.levels, tensors, strict=True)):
            self.check(name, channels, tensor, first)
            if place:
                self.check_size(name, stride, tensor, place, tensors[place - 1])
        size = tuple((name, size_of(tensor)) for (name, *_), tensor in zip(self.levels, tensors, strict=True))
        inputs = {name: tensor for (name, *_), tensor in zip(self.levels, tensors, strict=True)}
        self.follow()
        return Frame(first.shape[0], size, *self.sizes_of(size), inputs, first, self.blanks, self.roots, self.entered())

    def tensors(self, given: Mapping[str, Tensor] | Sequence[Tensor]) -> list[Tensor]:
        """What is given, in order of the levels."""
        labels = [label for _, label, _, _ in self.levels]
        known = f"its levels are {', '.join(labels)}"
        if isinstance(given, Mapping):
            missing = [label for label in labels if label not in given]
            if missing:
                raise InputError(f"input `{self.name}` is given without the level `{missing[0]}`; {known}")
            extra = [label for label in given if label not in labels]
            if extra:
                raise InputError(f"input `{self.name}` has no level `{extra[0]}`; {known}")
            return [given[label] for label in labels]
        if not isinstance(given, (list, tuple)) or len(given) != len(labels):
            several = isinstance(given, (list, tuple))
            what = f"{len(given)} tensors are" if several else f"one {type(given).__name__} is"
            raise InputError(
                f"input `{self.name}` takes a mapping by level, or a list in their order; {known}, {what} given"
            )
        return list(given)

    def check(self, name: str, channels: int, tensor: object, first: Tensor) -> None:
        if not isinstance(tensor, Tensor) or tensor.dim() != 4:
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise InputError(f"level `{name}` must be (N, {channels}, H, W), not {shape}")
        if tensor.shape[1] != channels:
            raise InputError(f"level `{name}` has {tensor.shape[1]} channels; the space declares {channels}")
        if not tensor.is_floating_point():
            raise InputError(f"level `{name}` is {tensor.dtype}; a floating-point tensor is needed")
        if min(tensor.shape[2:]) < 1:
            raise InputError(f"level `{name}` has no positions: {tensor.shape[2]}x{tensor.shape[3]}")
        if tensor.shape[0] != first.shape[0] or tensor.dtype != first.dtype or tensor.device != first.device:
            raise InputError(
                f"level `{name}` has {tensor.shape[0]} images, {tensor.dtype} on {tensor.device}; "
                f"`{self.levels[0][0]}` has {first.shape[0]}, {first.dtype} on {first.device}"
            )
        check_against(tensor, self.roots)

    def check_size(self, name: str, stride: Stride, tensor: Tensor, place: int, finer: Tensor) -> None:
        """Each level has its share of the positions of the one before it, rounded up or down."""
        before, _, _, finest = self.levels[place - 1]
        factor = stride / finest
        for own, larger in zip(tensor.shape[2:], finer.shape[2:], strict=True):
            if not larger // factor <= own <= -(-larger // factor):
                raise InputError(
                    f"level `{name}` (stride {stride}) is {tensor.shape[2]}x{tensor.shape[3]}, which does not fit "
                    f"`{before}` (stride {finest}) of {finer.shape[2]}x{finer.shape[3]}"
                )


def size_of(images: Tensor) -> Size:
    """Height and width, as numbers: sizes of streams and costs follow from them, so what is exported is of one size."""
    height, width = images.shape[2:]
    if torch.compiler.is_exporting() and any(isinstance(side, torch.SymInt) for side in (height, width)):
        warnings.warn(
            f"height and width of an exported program are those of its example, {int(height)}x{int(width)}: leave them "
            "out of `dynamic_shapes`, and export a program for each size",
            stacklevel=2,
        )
    return int(height), int(width)


def check_against(images: Tensor, roots: Sequence[nn.Module]) -> None:
    """Images must live where the first parameter of a module lives, and have its dtype (autocast excepted)."""
    parameters = chain.from_iterable(root.parameters() for root in roots)
    parameter = next((one for one in parameters if one.is_floating_point()), None)
    if parameter is None:
        return
    if images.device != parameter.device:
        raise InputError(f"images are on {images.device}, the module's weights on {parameter.device}")
    if images.dtype != parameter.dtype and not torch.is_autocast_enabled(images.device.type):
        raise InputError(f"images are {images.dtype}, the module's weights {parameter.dtype}")
