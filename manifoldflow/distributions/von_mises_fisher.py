"""The von Mises-Fisher distribution, on spheres of any dimension."""

from typing import Any, ClassVar

import torch
from pyro.distributions.constraints import sphere
from torch import Size, Tensor
from torch.distributions.constraints import Constraint

from .. import manifolds
from .._geomstats import Manifold
from ..charts import Chart, Stereographic
from ..special import (
    log_sphere_area,
    vmf_divergence,
    vmf_log_partition,
    vmf_log_peak,
    vmf_mean_length,
    vmf_mean_length_derivative,
)
from ._angle import ReparameterisedAngle
from ._directions import around
from .base import BaseDistribution
from .constraints import finite_nonnegative

__all__ = ["VonMisesFisher"]


class VonMisesFisher(BaseDistribution):
    r"""von Mises-Fisher distribution on the unit sphere of R^n, n >= 2.

    .. math:: p(s) = C_n(\kappa) e^{\kappa \mu \cdot s}, \quad
              C_n(\kappa) = \frac{\kappa^\nu}{(2\pi)^{n/2} I_\nu(\kappa)}, \quad \nu = n/2 - 1,

    with respect to surface area (Mardia and Jupp, Directional Statistics, 2000, eq. 9.3.4).

    Args:
        loc: Mean direction :math:`\mu`, unit vectors of shape `(*batch, n)`.
        concentration: :math:`\kappa \ge 0`, shape broadcastable to `batch`; 0 is the uniform distribution.
        validate_args: As in torch: whether parameters and samples are checked.

    n from 2 to 200,000 and concentrations from 0 to 1e8, float32 and float64; results have the dtype and
    device of `loc`, the normaliser and the angle to the mean are float64 inside.

    Raises:
        ValueError: n < 2, `loc` is not of unit norm, `concentration` is negative, infinite or NaN, or the
            shapes do not broadcast.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {"loc": sphere, "concentration": finite_nonnegative}
    support = sphere
    has_rsample = True

    def __init__(self, loc: Tensor, concentration: Tensor | float, *, validate_args: bool | None = None) -> None:
        if loc.dim() < 1 or loc.shape[-1] < 2:
            raise ValueError(f"loc: expected shape (*batch, n) with n >= 2, got {tuple(loc.shape)}")
        concentration = torch.as_tensor(concentration, dtype=loc.dtype, device=loc.device)
        try:
            batch_shape = torch.broadcast_shapes(loc.shape[:-1], concentration.shape)
        except RuntimeError:
            raise ValueError(
                f"concentration: expected a shape that broadcasts with {tuple(loc.shape[:-1])}, the batch shape "
                f"of loc, got {tuple(concentration.shape)}"
            ) from None
        self.loc = loc.expand(*batch_shape, loc.shape[-1])
        self.concentration = concentration.expand(batch_shape)
        # One mean direction for the whole batch is kept as one row, which sampling is faster with.
        self._row = loc if loc.dim() == 1 else self.loc
        super().__init__(batch_shape, loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> "VonMisesFisher":
        new = self._get_checked_instance(VonMisesFisher, _instance)
        batch_shape = Size(batch_shape)
        new.loc = self.loc.expand(batch_shape + self.event_shape)
        new.concentration = self.concentration.expand(batch_shape)
        new._row = self._row if self._row.dim() == 1 else new.loc
        super(VonMisesFisher, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def ambient_dim(self) -> int:
        """n, the number of coordinates."""
        return self.event_shape[-1]

    @property
    def manifold(self) -> Manifold:
        return manifolds.Hypersphere(self.ambient_dim - 1)

    def default_chart(self) -> Chart:
        return Stereographic(self.ambient_dim - 1)

    @property
    def mode(self) -> Tensor:
        """The mean direction (any direction, where the concentration is 0)."""
        return self.loc

    @property
    def mean(self) -> Tensor:
        """The expectation in R^n, A(kappa) mu, inside the sphere."""
        return self.mean_resultant_length[..., None] * self.loc

    @property
    def mean_resultant_length(self) -> Tensor:
        """A(kappa) = E[mu.s], shape `batch`."""
        return vmf_mean_length(self.concentration, self.ambient_dim)

    @property
    def cosine_variance(self) -> Tensor:
        """A'(kappa), the variance of mu.s, shape `batch`."""
        return vmf_mean_length_derivative(self.concentration, self.ambient_dim)

    @property
    def log_normalizer(self) -> Tensor:
        """log C_n(kappa), shape `batch`."""
        log_partition = vmf_log_partition(self.concentration.double(), self.ambient_dim)
        return (-log_sphere_area(self.ambient_dim) - log_partition).to(self.loc.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy with respect to surface area, in nats."""
        divergence = vmf_divergence(self.concentration.double(), self.ambient_dim)
        return (log_sphere_area(self.ambient_dim) - divergence).to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to surface area; free of cancellation at any concentration."""
        if self._validate_args:
            self._validate_sample(value)
        difference = value - self._row
        chord = (difference * difference).sum(-1).double()
        peak = vmf_log_peak(self.concentration.double(), self.ambient_dim) - log_sphere_area(self.ambient_dim)
        return (peak - 0.5 * self.concentration.double() * chord).to(value.dtype)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws, differentiable in both parameters by implicit reparameterisation."""
        shape = self._extended_shape(sample_shape)
        concentration = self.concentration.double().expand(shape[:-1])
        theta = ReparameterisedAngle.apply(concentration, self.ambient_dim)
        return around(self._row, theta, shape)
