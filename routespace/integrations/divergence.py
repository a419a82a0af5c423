"""Why the loss of a step is no number, as far as it can be told: what was given, the weights, or the rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from routespace.integrations.artifact import not_finite
from routespace.integrations.fault import RunError

SLOWER = "start again with a lower `lr` or a longer `warmup`"


def broken_image(images: Sequence[Tensor] | Tensor) -> int | None:
    """The place of the first of some images that holds NaN or infinity.

    >>> import torch
    >>> broken_image([torch.zeros(2), torch.tensor([0.0, float("nan")])])
    1
    """
    return next((place for place, image in enumerate(images) if not bool(image.isfinite().all())), None)


def broken_item(name: str) -> RunError:
    """The error for an item of a set whose image is not finite."""
    return RunError(f"{name} holds NaN or infinity", "leave it out, or mend what reads it")


def diverged(
    step: int,
    losses: Mapping[str, float],
    images: Sequence[Tensor] | Tensor,
    module: nn.Module,
    what: str = "loss",
    *,
    item: Callable[[int], str],
    moved: bool,
) -> RunError:
    """The error for a `step` whose loss or gradient is not finite, before it changes a weight; `losses` are its parts.

    `item` names the image at a place of the batch. The rate is blamed only where weights have `moved` by it before.
    """
    place = broken_image(images)
    if place is not None:
        return broken_item(item(place))
    told = ", ".join(f"{name} {value:.3g}" for name, value in losses.items())
    message = f"the {what} of step {step} is not finite ({told})"
    weight = not_finite(dict(module.named_parameters()) | dict(module.named_buffers()))
    if weight is not None:
        message += f": `{weight}` was not before it"
    if moved:
        return RunError(message, SLOWER)
    if weight is not None:
        return RunError(message, "start from weights that are finite")
    largest = max((float(image.abs().max()) for image in images if image.numel()), default=0.0)
    return RunError(
        f"{message}, and no step came before it; its images reach {largest:.3g}",
        "look at the range of the images, and at ops, gates and budgets of your own: `lr` is not the cause",
    )
