"""Statistics of points: weighted Frechet means, many at a time, and principal components in the tangent space."""

import torch
from torch import Tensor

from .._geomstats import Manifold
from .adapter import broadcasting
from .rows import is_eager
from .space import Space

__all__ = ["TangentPCA", "frechet_mean"]


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


class TangentPCA:
    """PCA of the logs of points at a base point; geomstats' own needs numpy arrays and fails under torch.

    Args:
        space: Any geomstats space with a metric.
        n_components: Number r of components; by default as many as there are.

    After `fit`, `components_` `(r, *space.shape)` are tangent vectors at `base_point_`, orthonormal in its inner
    product (not merely in the ambient one), `explained_variance_` `(r,)` the variances along them in decreasing
    order (unbiased), and `mean_` the average log.
    """

    components_: Tensor
    explained_variance_: Tensor
    base_point_: Tensor
    mean_: Tensor

    def __init__(self, space: Manifold, n_components: int | None = None) -> None:
        self.space = space
        self.metric = broadcasting(space.metric)
        self.n_components = n_components

    def fit(self, X: Tensor, base_point: Tensor | None = None) -> "TangentPCA":
        """Find the components of points `(k, *space.shape)` at `base_point`, by default their Frechet mean."""
        if len(X) < 2:
            raise ValueError(f"X: expected at least two points, got {len(X)}")
        rank = min(len(X) - 1, self.space.dim)
        r = rank if self.n_components is None else self.n_components
        if not 1 <= r <= rank:
            raise ValueError(f"n_components: expected 1 to {rank} for {len(X)} points of this space, got {r}")
        self.base_point_ = frechet_mean(self.space, X) if base_point is None else base_point
        logs = self.metric.log(X, self.base_point_)
        self.mean_ = logs.mean(0)
        centred = logs - self.mean_
        # The Gram matrix holds all that PCA needs and asks only for inner products: any metric will do.
        gram = self.metric.inner_product(centred[:, None], centred[None], self.base_point_)
        values, vectors = torch.linalg.eigh(gram)
        values, vectors = values.flip(0)[:r].clamp_min(0), vectors.flip(1)[:, :r]
        scale = torch.where(values > 0, values, 1.0).rsqrt()
        self.components_ = torch.einsum("kr,k...->r...", vectors * scale, centred)
        self.explained_variance_ = values / (len(X) - 1)
        return self

    def transform(self, X: Tensor) -> Tensor:
        """Coordinates `(k, r)` of points along the components."""
        logs = self.metric.log(X, self.base_point_) - self.mean_
        ndim = len(self.space.shape)
        return self.metric.inner_product(logs.unsqueeze(-1 - ndim), self.components_, self.base_point_)

    def inverse_transform(self, X: Tensor) -> Tensor:
        """Points `(k, *space.shape)` with the given coordinates."""
        tangent = self.mean_ + torch.einsum("kr,r...->k...", X, self.components_)
        return self.metric.exp(tangent, self.base_point_)

    def fit_transform(self, X: Tensor, base_point: Tensor | None = None) -> Tensor:
        """`fit`, then `transform` of the same points."""
        return self.fit(X, base_point).transform(X)
