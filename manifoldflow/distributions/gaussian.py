"""The Gaussian with independent coordinates as a base on R^d, and what is known about torch's Gaussians."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Size, Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, constraints
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..checks import check_finite
from ..manifolds import Euclidean, is_eager
from ..special import log_gammainc, log_gammaincc
from .base import BaseDistribution, Parameter
from .constraints import as_parameter, check_vector, finite_positive
from .fitting import refuse_coinciding, weighted, weighted_mean
from .laws import Law, LogDensityLaw, Statistic, coordinates_law, law_of
from .lifts import Shifted

__all__ = ["Gaussian"]


class Gaussian(BaseDistribution):
    r"""Normal distribution on R^d with independent coordinates, with respect to Lebesgue measure.

    Args:
        loc: Mean, shape `(*batch, d)`.
        scale: Standard deviations > 0, shape broadcastable with that of `loc`.

    Raises:
        ValueError: A shape does not broadcast, or `scale` is not positive and finite.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {
        "loc": constraints.real_vector,
        "scale": constraints.independent(finite_positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True
    loc = Parameter(event_dim=1)
    scale = Parameter(event_dim=1, like="loc")

    def __init__(self, loc: Tensor, scale: Tensor | float = 1.0, *, validate_args: bool | None = None) -> None:
        check_vector("loc", loc, least=1, size="d")
        scale = as_parameter("scale", scale, loc)
        try:
            shape = torch.broadcast_shapes(loc.shape, scale.shape)
        except RuntimeError:
            raise ValueError(
                f"scale: expected a shape that broadcasts with {tuple(loc.shape)} of loc, got {tuple(scale.shape)}"
            ) from None
        self.loc, self.scale = loc, scale
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def manifold(self) -> Manifold:
        return Euclidean(self.event_shape[-1])

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale.square()

    @property
    def covariance_matrix(self) -> Tensor:
        """The squared scales on the diagonal, shape `(*batch, d, d)`."""
        return torch.diag_embed(self.variance)

    def log_prob(self, value: Tensor) -> Tensor:
        value = self._checked(value)
        standard = (value - self.loc) / self.scale
        return -(0.5 * standard.square() + self.scale.log() + 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Tensor:
        return (self.scale.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        shape = self._extended_shape(sample_shape)
        return self.loc + self.scale * torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> Self:
        """The maximum-likelihood distribution of points `(*batch, m, d)`, one for each batch.

        Args:
            points: Finite points.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: There are no points, some are not finite, a coordinate has the same value in all of a batch, a
                weight is negative or all are zero.
        """
        x, w = weighted(points, weights, least=1)
        check_finite(points=points)
        mean = weighted_mean(x, w)
        variance = (w[..., None, :] @ (x - mean[..., None, :]).square())[..., 0, :]
        refuse_coinciding(variance, "values of each coordinate")
        return cls(mean.to(points.dtype), variance.sqrt().to(points.dtype))


def _gaussian_law(
    base: Any,
    whiten: Callable[[Tensor], Tensor],
    scale: Tensor,
    *,
    coordinates: Normal | None,
    is_standard: bool,
    tempered: Callable[[float], Any],
) -> Law:
    """The law of a Gaussian: `whiten` takes x - loc to a standard normal, `scale` has the factors of its volume."""
    event_dim = len(base.event_shape)
    return Law.of(
        base,
        "Gaussian",
        space=Euclidean(base.event_shape[0]) if event_dim == 1 else None,
        lift=Shifted(base.mean, event_dim),
        coordinates=coordinates,
        log_density=partial(_log_density, base.mean, whiten, scale, event_dim),
        statistic=Statistic("norm |z|", lambda x: torch.linalg.vector_norm(x.flatten(x.ndim - event_dim), dim=-1)),
        is_standard=is_standard,
        is_convex=True,
        is_unbounded=True,
        tempered=tempered,
    )


def _log_density(
    loc: Tensor, whiten: Callable[[Tensor], Tensor], scale: Tensor, event_dim: int, samples: int
) -> LogDensityLaw:
    """|whitened x|^2 has the chi-square law with n degrees of freedom, and the log-density is -1/2 of it."""
    n = loc.shape[loc.ndim - event_dim :].numel()
    log_volume = scale.log().flatten(scale.ndim - event_dim).sum(-1).double()
    constant = -0.5 * n * math.log(2 * math.pi) - log_volume

    def half_square(points: Tensor) -> Tensor:
        return 0.5 * whiten(points - loc).square().flatten(points.ndim - event_dim).sum(-1).double()

    def log_tails(points: Tensor) -> tuple[Tensor, Tensor]:
        x = half_square(points)
        return log_gammaincc(n / 2, x), log_gammainc(n / 2, x)

    return LogDensityLaw(
        constant - n / 2,
        torch.tensor(math.sqrt(n / 2), dtype=torch.float64, device=loc.device),
        log_tails,
        lambda points: constant - half_square(points),
    )


def _all_equal(*pairs: tuple[Tensor, Any]) -> bool:
    """Whether all numbers are as stated; under the compiler, which cannot look, no."""
    return is_eager() and all(bool((found == stated).all()) for found, stated in pairs)


@law_of.register
def _(base: Gaussian) -> Law:
    return _gaussian_law(
        base,
        lambda x: x / base.scale,
        base.scale,
        coordinates=Normal(base.loc, base.scale, validate_args=False),
        is_standard=_all_equal((base.loc, 0), (base.scale, 1)),
        tempered=lambda t: Gaussian(base.loc, base.scale * t, validate_args=False),
    )


@law_of.register
def _(base: Independent) -> Law:
    law = base.base_dist
    if not isinstance(law, Normal):
        return coordinates_law(base, law)
    standard = _all_equal((law.loc, 0), (law.scale, 1))
    return _gaussian_law(
        base,
        lambda x: x / law.scale,
        law.scale,
        coordinates=law,
        is_standard=standard,
        tempered=lambda t: Independent(
            Normal(law.loc, law.scale * t, validate_args=False), base.reinterpreted_batch_ndims, validate_args=False
        ),
    )


@law_of.register
def _(base: MultivariateNormal) -> Law:
    lower = base.scale_tril
    standard = _all_equal((base.loc, 0), (lower, torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)))
    return _gaussian_law(
        base,
        lambda x: torch.linalg.solve_triangular(lower, x[..., None], upper=False)[..., 0],
        lower.diagonal(dim1=-2, dim2=-1),
        coordinates=Normal(0.0, 1.0, validate_args=False) if standard else None,
        is_standard=standard,
        tempered=lambda t: MultivariateNormal(base.loc, scale_tril=lower * t, validate_args=False),
    )
