"""Statistics of points: weighted Frechet means, many at a time, and principal components in the tangent space."""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor

from .._geomstats import Manifold
from ..checks import as_tensor, check_integer, check_number, check_tensors, is_eager
from ..errors import CutLocusError
from .adapter import broadcasting
from .space import Space, check_points, check_space

__all__ = ["FrechetMean", "TangentPCA", "frechet_mean"]


@dataclass(frozen=True)
class FrechetMean:
    """What `frechet_mean(..., full_output=True)` returns.

    Attributes:
        mean: Means `(*batch, *space.shape)`.
        variance: Weighted mean `(*batch,)` of the squared distances from them.
        converged: Whether the mean log of each set has come down to rounding, `(*batch,)`.
        steps: Number of steps taken.
    """

    mean: Tensor
    variance: Tensor
    converged: Tensor
    steps: int


@overload
def frechet_mean(
    space: Manifold,
    points: Tensor,
    weights: Any = ...,
    *,
    max_steps: int = ...,
    atol: float | None = ...,
    starts: int = ...,
    full_output: Literal[False] = ...,
) -> Tensor: ...


@overload
def frechet_mean(
    space: Manifold,
    points: Tensor,
    weights: Any = ...,
    *,
    max_steps: int = ...,
    atol: float | None = ...,
    starts: int = ...,
    full_output: Literal[True],
) -> FrechetMean: ...


def frechet_mean(
    space: Manifold,
    points: Tensor,
    weights: Any = None,
    *,
    max_steps: int = 100,
    atol: float | None = None,
    starts: int = 1,
    full_output: bool = False,
) -> Tensor | FrechetMean:
    r"""Minimiser of :math:`\sum_i w_i d(m, x_i)^2`, for a whole batch of point sets at once.

    Args:
        space: Any geomstats space with a metric.
        points: Points `(*batch, k, *space.shape)`, k per set.
        weights: Nonnegative weights `(*batch, k)`, broadcastable; equal by default. They need not sum to 1.
        max_steps: Most steps of the iteration.
        atol: Length of the mean log at which a set is done; by default 8 eps of the dtype.
        starts: Number of starting points; the end with the least variance is kept. The first is the average, the
            others are points of the set. Scattered sets have several local minima, of which one start may find any.
        full_output: Return a `FrechetMean` that also says which sets converged.

    Returns:
        Means `(*batch, *space.shape)`. The iteration m <- exp_m(a sum w_i log_m x_i) starts at the projected
        average (in a foreign space: at the heaviest point), with a = 1, halved for a set whose mean log grew.
        In flat metrics it is done in one step. Where the points lie within a quarter of a closed geodesic of
        the mean it converges to the unique one.

    Raises:
        CutLocusError: A point is antipodal to an iterate, and there is one start.
        OffManifoldError: A point is off the space, or not finite.
        TypeError: The points are not a floating-point tensor, or the weights not numbers.
        ValueError: A set is empty, shapes do not fit, or weights are negative or sum to 0.

    Warns:
        UserWarning: A set did not converge in `max_steps`, and `full_output` is False.

    torch.compile leaves it out of its graph, which would hold every step.
    Reference: H. Karcher, Riemannian center of mass and mollifier smoothing, 1977, section 1.

    >>> from manifoldflow.manifolds import Hypersphere
    >>> frechet_mean(Hypersphere(1), torch.eye(2))
    tensor([0.7071, 0.7071])
    """
    solve = _solve
    if torch.compiler.is_compiling():  # a graph would hold every step
        solve = torch.compiler.disable(_solve)
    found = solve(space, points, weights, max_steps, atol, starts, not full_output)
    return found if full_output else found.mean


def _solve(
    space: Manifold, points: Tensor, weights: Any, max_steps: int, atol: float | None, starts: int, warn: bool
) -> FrechetMean:
    points, shares = _sets(space, points, weights)
    check_integer("max_steps", max_steps)
    least = 8 * torch.finfo(points.dtype).eps if atol is None else check_number("atol", atol, 0.0)
    first = _starts(space, points, shares, check_integer("starts", starts))
    mean, size, steps = _descend(space, points, shares, first, max_steps, least)
    # well above where rounding ends a descent in our metrics; foreign ones round more
    converged = size <= max(least, (1 if isinstance(space, Space) else 16) * torch.finfo(points.dtype).eps ** 0.5)
    axis = -1 - len(space.shape)
    squares = shares.flatten(shares.ndim + axis) * broadcasting(space.metric).squared_dist(points, mean.unsqueeze(axis))
    variance = squares.sum(-1)
    best = variance.detach().argmin(0)
    mean, variance, converged = (_take(a, best) for a in (mean, variance, converged))
    if warn and is_eager() and not bool(converged.all()):
        warnings.warn(
            f"frechet_mean: {int((~converged).sum())} of {converged.numel()} sets did not converge in {max_steps} "
            "steps; allow more with max_steps, or pass full_output=True to see which",
            stacklevel=3,
        )
    return FrechetMean(mean, variance, converged, steps)


def _sets(space: Manifold, points: Any, weights: Any) -> tuple[Tensor, Tensor]:
    """The points `(*batch, k, *shape)` and their shares `(*batch, k, *(1, ...))`, which sum to 1, checked."""
    check_points(space, points=points)
    ndim = len(space.shape)
    if points.ndim == ndim or points.shape[-1 - ndim] == 0:
        raise ValueError(f"points: expected at least one point per set, got shape {tuple(points.shape)}")
    k = points.shape[-1 - ndim]
    weights = points.new_ones(k) if weights is None else as_tensor("weights", weights).to(points)
    if weights.ndim == 0 or weights.shape[-1] != k:
        raise ValueError(f"weights: expected shape (*batch, {k}), one per point, got {tuple(weights.shape)}")
    total = weights.sum(-1, keepdim=True)
    if is_eager() and not bool(((weights >= 0).all(-1) & (total > 0).squeeze(-1) & total.isfinite().squeeze(-1)).all()):
        raise ValueError("weights: expected nonnegative weights with a positive sum, got others; pass weights >= 0")
    try:
        batch = torch.broadcast_shapes(points.shape[: points.ndim - ndim - 1], weights.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"weights: expected leading dimensions that broadcast with those of points, {tuple(points.shape)}, "
            f"got {tuple(weights.shape)}"
        ) from None
    shares = (weights / total).expand(*batch, k).reshape(*batch, k, *(1,) * ndim)
    return points.expand(*batch, k, *space.shape), shares


def _starts(space: Manifold, points: Tensor, shares: Tensor, count: int) -> Tensor:
    """Starting points `(count, *batch, *shape)`: the projected average or heaviest point, then points of the set."""
    axis = -1 - len(space.shape)
    k = points.shape[axis]
    if isinstance(space, Space):
        first = space.projection((shares * points).sum(axis))
    else:
        heaviest = shares.argmax(axis, keepdim=True).expand(*points.shape[:axis], 1, *space.shape)
        first = points.gather(axis, heaviest).squeeze(axis)
    others = [points.select(axis, i * k // (count - 1)) for i in range(count - 1)] if count > 1 else []
    return torch.stack([first, *others])


def _descend(
    space: Manifold, points: Tensor, shares: Tensor, mean: Tensor, max_steps: int, least: float
) -> tuple[Tensor, Tensor, int]:
    """The ends `(starts, *batch, *shape)` of the descents, the lengths of their last mean logs, and the steps taken."""
    metric, ndim = broadcasting(space.metric), len(space.shape)
    batch = mean.shape[: mean.ndim - ndim]
    step, last = points.new_ones(batch), points.new_full(batch, torch.inf)
    size, steps = last, 0
    for _ in range(max_steps):
        steps += 1
        try:
            logs = metric.log(points, mean.unsqueeze(-1 - ndim), cut_locus="raise" if len(mean) == 1 else "choose")
        except CutLocusError as error:
            raise CutLocusError(
                "points: expected sets without a point antipodal to an iterate of their mean, got one; "
                "move the points, or pass starts=2 or more to descend from points of the set too"
            ) from error
        gradient = (shares * logs).sum(-1 - ndim)
        size = metric.norm(gradient, mean).detach()
        step = torch.where(size >= last, step / 2, step)
        mean = metric.exp(step.reshape(*batch, *(1,) * ndim) * gradient, mean)
        # Rounding ends the descent of a set a little above `least`: its steps have then been halved away.
        if is_eager() and bool(((size <= least) | (step < 2e-3)).all()):
            break
        last = torch.minimum(size, last)
    return mean, size, steps


def _take(arrays: Tensor, best: Tensor) -> Tensor:
    """From `(starts, *batch, ...)` the start named by `best` `(*batch,)`, for each set."""
    if len(arrays) == 1:
        return arrays[0]
    index = best.reshape(1, *best.shape, *(1,) * (arrays.ndim - 1 - best.ndim))
    return arrays.gather(0, index.expand(1, *arrays.shape[1:])).squeeze(0)


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
        check_space(space)
        self.space = space
        self.metric = broadcasting(space.metric)
        self.n_components = n_components

    def fit(self, X: Tensor, base_point: Tensor | None = None) -> "TangentPCA":
        """Find the components of points `(k, *space.shape)` at `base_point`, by default their Frechet mean."""
        check_points(self.space, X=X)
        if X.ndim != 1 + len(self.space.shape) or len(X) < 2:
            raise ValueError(
                f"X: expected at least two points, got {len(X) if X.ndim else 'one'}; "
                f"shape (k, {', '.join(map(str, self.space.shape))}) is needed, not {tuple(X.shape)}"
            )
        rank = min(len(X) - 1, self.space.dim)
        r = rank if self.n_components is None else self.n_components
        if r is not None and not (isinstance(r, int) and 1 <= r <= rank):
            raise ValueError(f"n_components: expected 1 to {rank} for {len(X)} points of this space, got {r}")
        self.base_point_ = frechet_mean(self.space, X) if base_point is None else base_point
        logs = self.metric.log(X, self.base_point_)
        self.mean_ = logs.mean(0)
        centred = logs - self.mean_
        # The Gram matrix holds all that PCA needs and asks only for inner products: any metric will do.
        gram = self.metric.inner_product(centred[:, None], centred[None], self.base_point_)
        # torch has no eigenvectors in half precision
        values, vectors = (
            a.to(gram) for a in torch.linalg.eigh(gram.to(torch.promote_types(gram.dtype, torch.float32)))
        )
        values, vectors = values.flip(0)[:r].clamp_min(0), vectors.flip(1)[:, :r]
        scale = torch.where(values > 0, values, 1.0).rsqrt()
        self.components_ = torch.einsum("kr,k...->r...", vectors * scale, centred)
        self.explained_variance_ = values / (len(X) - 1)
        return self

    def transform(self, X: Tensor) -> Tensor:
        """Coordinates `(k, r)` of points along the components."""
        self._fitted()
        check_tensors({"X": X}, self.space.shape)
        logs = self.metric.log(X, self.base_point_) - self.mean_
        ndim = len(self.space.shape)
        return self.metric.inner_product(logs.unsqueeze(-1 - ndim), self.components_, self.base_point_)

    def inverse_transform(self, X: Tensor) -> Tensor:
        """Points `(k, *space.shape)` with the given coordinates."""
        self._fitted()
        check_tensors({"X": X}, (len(self.components_),))
        tangent = self.mean_ + torch.einsum("kr,r...->k...", X, self.components_)
        return self.metric.exp(tangent, self.base_point_)

    def _fitted(self) -> None:
        if not hasattr(self, "components_"):
            raise ValueError("TangentPCA: expected a fitted one; call fit first")

    def __repr__(self) -> str:
        return f"TangentPCA({self.space!r}, n_components={self.n_components})"

    def fit_transform(self, X: Tensor, base_point: Tensor | None = None) -> Tensor:
        """`fit`, then `transform` of the same points."""
        return self.fit(X, base_point).transform(X)
