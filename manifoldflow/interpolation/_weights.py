"""Weighted sums of points at all times in one pass over the output."""

import torch
from torch import Tensor

from ..manifolds import is_eager

__all__ = ["product_is_exact", "two_point_sum", "weighted_sum"]


def product_is_exact(points: Tensor) -> bool:
    """Whether a matrix product with `points` keeps their digits: 1 x + 0 y is x. Not asked while compiling."""
    return is_eager() and points.device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"


def weighted_sum(weights: Tensor, points: Tensor, event_dim: int) -> Tensor:
    """Sums over k: weights `(*batch, m, k)` and points `(*batch, k, *event)` give `(*batch, m, *event)`.

    On CPUs a matrix product writes the output once, where a multiplication and an addition pass over it three
    times. A matrix product is not used where the caller has allowed it to round its factors (TensorFloat-32,
    bfloat16): end points would come back with three digits.
    """
    event = points.shape[points.ndim - event_dim :]
    flat = points.flatten(points.ndim - event_dim)
    if product_is_exact(points):
        total = weights @ flat
    else:
        total = weights[..., :1] * flat[..., :1, :]
        for k in range(1, weights.shape[-1]):
            total = torch.addcmul(total, weights[..., k : k + 1], flat[..., k : k + 1, :])
    return total.unflatten(-1, event) if event_dim > 1 else total


def two_point_sum(first: Tensor, last: Tensor, start: Tensor, end: Tensor, event_dim: int) -> Tensor:
    """`first * start + last * end` with weights `(*batch, m)` or `(m,)` and points `(*batch, *event)`."""
    axis = start.ndim - event_dim
    return weighted_sum(torch.stack([first, last], -1), torch.stack([start, end], axis), event_dim)
