"""Weighted Frechet means, many at a time."""

import torch
from torch import Tensor

from .._geomstats import Manifold
from .adapter import broadcasting
from .space import Space
from .tracing import is_eager

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
        atol: Length of the mean log at which a set is done; by default 8 eps of the dtype.

    Returns:
        Means `(*batch, *space.shape)`. The iteration m <- exp_m(a sum w_i log_m x_i) starts at the projected
        average (in a foreign space: at the heaviest point), with a = 1, halved for a set whose mean log grew.
        In flat metrics it is done in one step. Where the points lie within a quarter of a closed geodesic of
        the mean it converges to the unique one.

    Raises:
        CutLocusError: A point is antipodal to an iterate.
        ValueError: A set is empty, or its weights are negative or sum to 0.

    Reference: H. Karcher, Riemannian center of mass and mollifier smoothing, 1977, section 1.
    """
    metric = broadcasting(space.metric)
    ndim = len(space.shape)
    batch, k = points.shape[: points.ndim - ndim - 1], points.shape[points.ndim - ndim - 1]
    if k == 0:
        raise ValueError("points: expected at least one point to a set, got none")
    if weights is None:
        weights = points.new_ones(k)
    total = weights.sum(-1, keepdim=True)
    if is_eager() and not bool(((weights >= 0).all(-1) & (total > 0).squeeze(-1)).all()):
        raise ValueError("weights: expected nonnegative weights with a positive sum, got others; pass weights >= 0")
    batch = torch.broadcast_shapes(batch, weights.shape[:-1])
    points = points.expand(*batch, k, *space.shape)
    shares = (weights / total).expand(*batch, k).reshape(*batch, k, *(1,) * ndim)

    def average(arrays: Tensor) -> Tensor:
        return (shares * arrays).sum(-1 - ndim)

    if isinstance(space, Space):
        mean = space.projection(average(points))
    else:
        heaviest = shares.argmax(-1 - ndim, keepdim=True).expand(*batch, 1, *space.shape)
        mean = points.gather(-1 - ndim, heaviest).squeeze(-1 - ndim)
    least = 8 * torch.finfo(points.dtype).eps if atol is None else atol
    step, last = points.new_ones(batch), points.new_full(batch, torch.inf)
    for _ in range(max_steps):
        gradient = average(metric.log(points, mean.unsqueeze(-1 - ndim)))
        size = metric.norm(gradient, mean).detach()
        step = torch.where(size > last, step / 2, step)
        mean = metric.exp(step.reshape(*batch, *(1,) * ndim) * gradient, mean)
        # Rounding ends the descent of a set a little above `least`: its steps have then been halved away.
        if is_eager() and bool(((size <= least) | (step < 2e-3)).all()):
            break
        last = torch.minimum(size, last)
    return mean
