"""What is run: an artifact, or the space of a file with weights; checked before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from routespace.cli.ending import USAGE, Trouble
from routespace.cli.spaces import STDIN
from routespace.diagnostics import quoted


def check_subject(subject: Path) -> None:
    """Raises `Trouble` where there is nothing at the path."""
    if str(subject) != STDIN and not subject.exists():
        raise Trouble(f"{quoted(subject)} does not exist", "give a .route file, or the folder `artifact` of a training")


def check_weights(weights: Path | None, seed: int | None) -> None:
    """Raises `Trouble` unless either weights or the seed of random ones are given."""
    if weights is not None and seed is not None:
        raise Trouble("`--weights` and `--seed` exclude each other: a seed is for random weights", code=USAGE)
    if weights is None and seed is None:
        raise Trouble("give the weights with `--weights FILE`, or `--seed N` for random ones", code=USAGE)


def form_of(form: str | None, net: str | None) -> str:
    """The form to run in. Raises `Trouble` where a net and the form do not go together."""
    if form == "fixed" and net is None:
        raise Trouble("the fixed form is that of a net", "add `--net NAME`", code=USAGE)
    if net is not None and form not in (None, "fixed"):
        raise Trouble(f"net `{net}` runs in the fixed form, not in {form}", f"leave out `--form {form}`", code=USAGE)
    return form or ("fixed" if net else "sparse")
