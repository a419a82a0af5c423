"""Gradients of gates through routes that are shut.

A gate whose activation decides hard weighs a shut route with 0, so the output does not depend on the weight in value
but it does in slope: d(α·e)/dα is e, what the branch would have delivered. A `Surrogate` keeps that e beside a stream,
and gives the weight ⟨∂L/∂y, e⟩ wherever the stream is added to something. The value is left as it is: no product with 0
is taken, so a branch that is not finite spoils the gradient of its gate and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Surrogate(NamedTuple):
    """The weight (N, 1, 1, 1) of a shut route, or (N, 1, H, W) of one decided per position, what the route's op `made`
    (N, C, H, W), without gradients, and `where` (as the weight, bool) it was shut and teaches."""

    weight: Tensor
    made: Tensor
    where: Tensor

    def among(self, images: Tensor) -> Surrogate:
        """The same for the images (N,) of a mask alone."""
        return self._replace(where=self.where & images.view(-1, 1, 1, 1))

    def rows(self, rows: Tensor) -> Surrogate:
        """The rows of a batch that an index (n,) names."""
        return Surrogate(*(one.index_select(0, rows) for one in self))


def attached(value: Tensor, surrogates: Iterable[Surrogate]) -> Tensor:
    """`value` (N, C, H, W), whose gradient reaches the weights of `surrogates` too.

    >>> weight = torch.zeros(1, 1, 1, 1, requires_grad=True)
    >>> shut = Surrogate(weight, torch.full((1, 2, 1, 1), 3.0), torch.ones(1, 1, 1, 1, dtype=torch.bool))
    >>> y = attached(torch.ones(1, 2, 1, 1), [shut])
    >>> y.sum().backward()
    >>> y.flatten().tolist(), weight.grad.item()
    ([1.0, 1.0], 6.0)
    """
    for one in surrogates:
        value = _attach(value, one.weight, one.made, one.where)
    return value


class _Attach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, weight: Tensor, made: Tensor, where: Tensor) -> Tensor:
        ctx.save_for_backward(made, where)
        ctx.dtype = weight.dtype
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (slope,) = slopes
        made, where = ctx.saved_tensors
        product = slope.to(ctx.dtype) * made.to(ctx.dtype)
        return slope, torch.where(where, product.sum_to_size(where.shape), 0.0), None, None


class _Zeros(torch.autograd.Function):
    """A zero that parameters have a part in: all of them get a gradient of zeros."""

    @staticmethod
    def forward(ctx: Any, *parameters: Tensor) -> Tensor:
        ctx.parameters = parameters
        return parameters[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, ...]:
        return tuple(one.new_zeros(()).expand(one.shape) for one in ctx.parameters)


def zero_of(parameters: Iterable[Tensor]) -> Tensor | None:
    """A zero whose backward pass gives zeros to the parameters that learn; None where there are none, or gradients are
    not recorded."""
    learning = [one for one in parameters if one.requires_grad] if torch.is_grad_enabled() else []
    return _zeros(*learning) if learning else None


_attach: Callable[..., Tensor] = _Attach.apply
_zeros: Callable[..., Tensor] = _Zeros.apply
