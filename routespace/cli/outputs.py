"""What the pictures and numbers of images are called, and that they replace nothing that is read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from routespace.cli.ending import USAGE, Trouble
from routespace.diagnostics import quoted

PICTURE, DRAWING, NUMBERS, MAPS = ".png", ".svg", ".json", ".gates.png"
ENDINGS = (PICTURE, DRAWING, NUMBERS, MAPS)
_CURE = "give another folder: `-o routes`"


def plan_outputs(images: Sequence[Path], folder: Path, read: Iterable[Path]) -> dict[Path, Path]:
    """For each of `images`, files of one folder, the path in `folder` that its outputs share but for their endings.

    Raises `Trouble` where outputs would lie among the images, or would replace one of them or of the files and folders
    that are `read` otherwise.
    """
    home = _real(folder)
    if any(home in (_real(one.parent), _real(one).parent) for one in images):
        raise Trouble(f"{quoted(folder)} is the folder of the images: pictures would lie among them", _CURE, code=USAGE)
    stems = dict(zip(images, (folder / name for name in names_of(images)), strict=True))
    kept = {_real(one): one for one in (*images, *read)}
    if home in kept:
        raise Trouble(f"{quoted(folder)} is read by this run: pictures would lie in it", _CURE, code=USAGE)
    for image, stem in stems.items():
        for ending in ENDINGS:
            output = with_ending(stem, ending)
            replaced = kept.get(_real(output))
            if replaced is not None:
                raise Trouble(
                    f"{quoted(output)}, an output of {quoted(image)}, would replace {quoted(replaced)}",
                    _CURE,
                    code=USAGE,
                )
    return stems


def _real(path: Path) -> Path:
    """Where a path leads, which `Path.resolve` does not say of links in a circle."""
    return Path(os.path.realpath(path))


def with_ending(stem: Path, ending: str) -> Path:
    """`stem` with `ending` behind its whole name."""
    return stem.with_name(f"{stem.name}{ending}")


def names_of(images: Sequence[Path]) -> list[str]:
    """A name for each image, its own without the suffix where that gives outputs that no other image has.

    >>> names_of([Path("a.png"), Path("b.png"), Path("b.jpg")])
    ['a', 'b.png', 'b.jpg']
    >>> names_of([Path("a.png"), Path("a.bmp"), Path("a.png.bmp"), Path("b.gates.png"), Path("b.png")])
    ['a.png', 'a.bmp', 'a.png.bmp', 'b.gates.png', 'b.png']
    """
    names = [one.stem for one in images]
    while True:
        uses = Counter(f"{name}{ending}" for name in names for ending in ENDINGS)
        shared = [any(uses[f"{name}{ending}"] > 1 for ending in ENDINGS) for name in names]
        wanted = [image.name if twice else name for image, name, twice in zip(images, names, shared, strict=True)]
        if wanted == names:
            return names
        names = wanted
