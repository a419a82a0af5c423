"""Streams of the sparse form: which images of a batch have a value, in which tensors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from routespace.runtime.frame import Frame
from routespace.runtime.surrogate import Surrogate, attached


class Piece(NamedTuple):
    """`value` (n, C, H, W) of `images` (n of them); a `blank` piece has one row, the same for all its images.

    On its way from a route to the sum that alone reads it, a piece of one image may stand for `gain` times its value,
    and the sum may write into a value that is its `own`.
    """

    value: Tensor
    images: tuple[int, ...]
    blank: bool = False
    gain: float = 1.0
    own: bool = False


class Shut(NamedTuple):
    """What shut routes would have delivered to `images`, row by row; see `Surrogate`."""

    surrogate: Surrogate
    images: tuple[int, ...]

    def among(self, wanted: Collection[int]) -> Shut | None:
        """The same for the images wanted; None where there are none."""
        keep = [place for place, image in enumerate(self.images) if image in wanted]
        if len(keep) == len(self.images):
            return self
        if not keep:
            return None
        rows = torch.tensor(keep, device=self.surrogate.made.device)
        return Shut(self.surrogate.rows(rows), tuple(self.images[place] for place in keep))


class Rows(NamedTuple):
    """Pieces of different images, and the images that have zeros. `shut` is of images that have nothing: a sum gives it
    the gradient that zeros would get."""

    pieces: tuple[Piece, ...]
    zeros: tuple[int, ...] = ()
    shut: tuple[Shut, ...] = ()

    def images(self) -> set[int]:
        return {image for piece in self.pieces for image in piece.images} | set(self.zeros)

    def among(self, wanted: frozenset[int]) -> list[Piece]:
        """Pieces cut down to the images wanted."""
        found = []
        for piece in self.pieces:
            if wanted.issuperset(piece.images):
                found.append(piece)
                continue
            keep = [place for place, image in enumerate(piece.images) if image in wanted]
            if keep:
                value = piece.value if piece.blank else take(piece.value, keep)
                found.append(piece._replace(value=value, images=tuple(piece.images[place] for place in keep)))
        return found

    def taught(self, shut: Sequence[Shut]) -> Rows:
        """The same stream, to which `shut` is added: images that have something, be it zeros, pass their gradient
        to it, for those that have nothing it is kept."""
        if not shut:
            return self
        pieces = list(self.pieces)
        spelled = [part for one in shut if (part := one.among(self.zeros)) is not None]
        written = tuple(sorted({image for part in spelled for image in part.images}))
        if written:
            made = spelled[0].surrogate.made
            pieces.append(Piece(made.new_zeros(len(written), *made.shape[1:]), written))
        here = {image for piece in pieces for image in piece.images}
        left = [part for one in shut if (part := one.among(set(one.images) - here)) is not None]
        return Rows(
            tuple(piece._replace(value=taught(piece.value, piece.images, shut)) for piece in pieces),
            tuple(image for image in self.zeros if image not in here),
            (*self.shut, *left),
        )


def taught(value: Tensor, images: Sequence[int], shut: Sequence[Shut]) -> Tensor:
    """`value` of `images`, whose gradient reaches what was shut for them."""
    for one in shut:
        part = one.among(images)
        if part is None:
            continue
        if part.images == tuple(images):
            value = attached(value, [part.surrogate])
            continue
        rows = torch.tensor([images.index(image) for image in part.images], device=value.device)
        value = value.index_copy(0, rows, attached(value.index_select(0, rows), [part.surrogate]))
    return value


def each(piece: Piece) -> Iterator[tuple[int, Piece]]:
    """The images of a piece with a piece each."""
    if piece.blank or len(piece.images) == 1:
        for image in piece.images:
            yield image, piece
        return
    for place, image in enumerate(piece.images):
        yield image, piece._replace(value=piece.value[place : place + 1], images=(image,))


def take(value: Tensor, places: Sequence[int]) -> Tensor:
    """Rows of a batch, in their memory format; a run of rows is a view."""
    first, last = places[0], places[-1]
    if last - first + 1 == len(places):
        return value[first : last + 1]
    return torch.cat([value[place : place + 1] for place in places])


def join(pieces: Sequence[Piece]) -> list[Piece]:
    """One piece of everything, in order of images, so that batch statistics see all of it."""
    if len(pieces) < 2 and not any(piece.blank for piece in pieces):
        return list(pieces)
    rows = sorted(
        (image, piece.value if piece.blank else piece.value[place : place + 1])
        for piece in pieces
        for place, image in enumerate(piece.images)
    )
    return [Piece(torch.cat([row for _, row in rows]), tuple(image for image, _ in rows))]


def assemble(rows: Rows, images: tuple[int, ...], frame: Frame, name: str, channels: int) -> Tensor:
    """The stream as one tensor of `images`, zeros where it has none."""
    for piece in rows.pieces:
        if not piece.blank and piece.images == images:
            return piece.value
    found: dict[int, Tensor] = {}
    for piece in rows.pieces:
        for place, image in enumerate(piece.images):
            found[image] = piece.value if piece.blank else piece.value[place : place + 1]
    missing = [image for image in images if image not in found]
    if missing:
        zero = blank(frame, name, channels)
        found.update(dict.fromkeys(missing, zero))
    return torch.cat([found[image] for image in images])


def laid_out(images: Tensor) -> Tensor:
    """Images in the memory format of inference plans."""
    return images.contiguous(memory_format=torch.channels_last)


def blank(frame: Frame, name: str, channels: int) -> Tensor:
    """Zeros of one image, of the size that the value called `name` has."""
    size = frame.values[name]
    zeros = torch.zeros(1, channels, *size, dtype=frame.dtype, device=frame.images.device)
    return zeros.contiguous(memory_format=torch.channels_last)


def zeros_of(frame: Frame, name: str, channels: int, images: tuple[int, ...], training: bool) -> Piece:
    """A piece of zeros of the size that the value called `name` has; blank in inference, where it is always the same
    tensor, so that what is made of it is known."""
    key = (channels, frame.values[name], frame.dtype, frame.images.device)
    value = frame.blanks.constant(key, lambda: blank(frame, name, channels))
    return Piece(value.expand(len(images), -1, -1, -1), images) if training else Piece(value, images, True)


def presence(frame: Frame, stream: Rows) -> Tensor | None:
    """Images (N,) that have a value; None for all."""
    images = stream.images()
    if len(images) == frame.batch:
        return None
    mask = torch.zeros(frame.batch, dtype=torch.bool)
    mask[sorted(images)] = True
    return mask.to(frame.images.device)
