"""The angle to the mean direction as a distribution of its own: CDF, quantiles, and its Gaussianised form."""

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ..special import log1mexp, log_ndtri
from ._angle import (
    ReparameterisedAngle,
    angle_from_normal,
    angle_log_density,
    angle_log_tail,
    angle_to_normal,
)
from .constraints import check_floating, finite_nonnegative

__all__ = ["VonMisesFisherAngle"]


class VonMisesFisherAngle(TorchDistribution):
    r"""Angle :math:`\theta \in [0, \pi]` between a von Mises-Fisher draw and its mean direction, in radians.

    .. math:: f(\theta) \propto e^{\kappa\cos\theta} \sin^{n-2}\theta

    Args:
        concentration: :math:`\kappa \ge 0`, any shape: the batch shape.
        ambient_dim: n >= 2.

    The angle, not its cosine, is the variable that keeps its digits: at :math:`\kappa = 10^8` and n = 3 the
    cosines differ from 1 by 1e-8. Tail probabilities are Gauss-Legendre quadratures over the tail away from
    the bulk (relative error about 1e-12 at n = 785, growing with n), so neither tail is ever 1 minus the other.
    Computed in float64; results have the dtype of the argument. All are differentiable in the argument and in
    the concentration, twice.

    Raises:
        ValueError: n < 2 or not an integer, or a concentration is negative, infinite or NaN.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {"concentration": finite_nonnegative}
    support = constraints.interval(0, math.pi + 1e-6)  # float32's nearest number to pi lies above it
    has_rsample = True

    def __init__(self, concentration: Tensor | float, ambient_dim: int, *, validate_args: bool | None = None) -> None:
        if isinstance(ambient_dim, bool) or not isinstance(ambient_dim, int) or ambient_dim < 2:
            raise ValueError(f"ambient_dim: expected an integer >= 2, got {ambient_dim!r}")
        # A plain number, an integer too, is of torch's default dtype.
        self.concentration = concentration if isinstance(concentration, Tensor) else torch.tensor(float(concentration))
        check_floating("concentration", self.concentration)
        self.ambient_dim = ambient_dim
        super().__init__(self.concentration.shape, Size(), validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> "VonMisesFisherAngle":
        new = self._get_checked_instance(VonMisesFisherAngle, _instance)
        new.concentration = self.concentration.expand(batch_shape)
        new.ambient_dim = self.ambient_dim
        super(VonMisesFisherAngle, new).__init__(Size(batch_shape), Size(), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _float64(self, value: Tensor) -> tuple[Tensor, Tensor]:
        theta, kappa = torch.broadcast_tensors(value.double(), self.concentration.double())
        return theta, kappa

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to d theta."""
        if self._validate_args:
            self._validate_sample(value)
        theta, kappa = self._float64(value)
        return angle_log_density(theta, kappa, self.ambient_dim).to(value.dtype)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Log probability of a smaller angle."""
        return self._log_probability(value, above=False)

    def log_survival(self, value: Tensor) -> Tensor:
        """Log probability of a larger angle."""
        return self._log_probability(value, above=True)

    def _log_probability(self, value: Tensor, *, above: bool) -> Tensor:
        theta, kappa = self._float64(value)
        log_tail, upwards = angle_log_tail(theta, kappa, self.ambient_dim)
        direct = upwards if above else ~upwards
        return torch.where(direct, log_tail, log1mexp(log_tail.clamp(max=0))).to(value.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of a smaller angle."""
        return self.log_cdf(value.double()).exp().to(value.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        """The angle below which the probability is `value`, in [0, 1]."""
        return self.from_normal(log_ndtri(value.double().log())).to(value.dtype)

    def to_normal(self, value: Tensor) -> Tensor:
        """Gaussianise: the standard normal quantile of `cdf(value)`, increasing, exact in both tails."""
        theta, kappa = self._float64(value)
        return angle_to_normal(theta, kappa, self.ambient_dim).to(value.dtype)

    def from_normal(self, value: Tensor) -> Tensor:
        """The inverse of `to_normal`."""
        z, kappa = self._float64(value)
        return angle_from_normal(z, kappa, self.ambient_dim).to(value.dtype)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        shape = self._extended_shape(sample_shape)
        theta = ReparameterisedAngle.apply(self.concentration.double().expand(shape), self.ambient_dim)
        return theta.to(self.concentration.dtype)
