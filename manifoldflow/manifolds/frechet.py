"""Weighted Frechet means, many at a time."""

import torch
from torch import Tensor

from .._geomstats import Manifold
from .adapter import broadcasting

__all__ = ["frechet_mean"]


def frechet_mean(
    space: Manifold,
    points: Tensor,
    weights: Tensor | None = None,
    *,
    max_steps: int = 100,
    atol: float | None = None,
) -> Tensor:
    r"""Minimiser of :math:`\sum_i w_i d(m, x_i)^2`, for a whole batch of point sets at once.

    Args:
        space: Any geomstats space with a metric.
        points: Points `(*batch, k, *space.shape)`, k to a set.
        weights: Nonnegative weights `(*batch, k)`, broadcastable; equal by default. They need not sum to 1.
        max_steps: Most steps of the iteration.
        atol: Length of the mean log at which it stops; by default 4 eps of the dtype.

    Returns:
        Means `(*batch, *space.shape)`. The iteration m <- exp_m(sum w_i log_m x_i) starts at the heaviest point
        of each set and halves a set's step when the mean log grew; in flat metrics one step is exact. Where
        the points lie within a quarter of a closed geodesic it converges to the unique mean.

    Raises:
        CutLocusError: A point is antipodal to the mean.
        ValueError: A set is empty, or its weights are negative or sum to 0.
    """
    metric = broadcasting(space.metric)
    ndim = len(space.shape)
    batch, k = points.shape[: -ndim - 1], points.shape[-ndim - 1]
    if k == 0:
        raise ValueError("points: expected at least one point to a set, got none")
    if weights is None:
        weights = points.new_ones(k)
    total = weights.sum(-1, keepdim=True)
    if bool((weights < 0).any()) or not bool((total > 0).all()):
        raise ValueError("weights: expected nonnegative weights with a positive sum, got others; pass weights >= 0")
    weights = (weights / total).expand(*batch, k)
    shares = weights.reshape(*batch, k, *(1,) * ndim)
    atol = 4 * torch.finfo(points.dtype).eps if atol is None else atol

    heaviest = weights.argmax(-1).reshape(*batch, 1, *(1,) * ndim).expand(*batch, 1, *space.shape)
    mean = points.gather(-ndim - 1, heaviest).squeeze(-ndim - 1)
    step = points.new_ones(batch + (1,) * ndim)
    last = points.new_full(batch, torch.inf)
    for _ in range(max_steps):
        logs = metric.log(points, mean.unsqueeze(-ndim - 1))
        gradient = (shares * logs).sum(-ndim - 1)
        size = metric.norm(gradient, mean)
        grew = (size > last).reshape(step.shape)
        step = torch.where(grew, step / 2, step)
        mean = metric.exp(step * gradient, mean)
        if bool((size <= atol).all()):
            break
        last = size
    return mean
