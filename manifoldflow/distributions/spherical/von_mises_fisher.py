"""The von Mises-Fisher distribution, on spheres of any dimension."""

from functools import partial

import torch
from torch import Size, Tensor

from ...manifolds import is_eager
from ...manifolds.rows import is_recorded
from ...manifolds.sphere_kernels import angle_of
from ...special import (
    log_sphere_area,
    vmf_concentration,
    vmf_divergence,
    vmf_log_partition,
    vmf_log_peak,
    vmf_mean_length,
    vmf_mean_length_derivative,
    vmf_transverse_variance,
)
from ..fitting import refuse_coinciding, unit_vectors, weighted_mean
from ..laws import Law, LogDensityLaw, Statistic, constant_log_density, law_of
from .angle import ReparameterisedAngle, VonMisesFisherAngle, haversine_in_space, sample_haversine
from .polar import AroundMean, OnCircle
from .rotational import AroundLoc, around

__all__ = ["VonMisesFisher"]


class VonMisesFisher(AroundLoc):
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

    _peak: tuple[Tensor, int, Tensor] | None = None

    @property
    def mean_resultant_length(self) -> Tensor:
        """A(kappa) = E[mu.s], shape `batch`."""
        return vmf_mean_length(self.concentration, self.ambient_dim)

    @property
    def cosine_variance(self) -> Tensor:
        """A'(kappa), the variance of mu.s, shape `batch`."""
        return vmf_mean_length_derivative(self.concentration, self.ambient_dim)

    @property
    def transverse_variance(self) -> Tensor:
        """A(kappa) / kappa, the variance in each direction orthogonal to the mean, shape `batch`."""
        return vmf_transverse_variance(self.concentration, self.ambient_dim)

    @property
    def log_normalizer(self) -> Tensor:
        """log C_n(kappa), shape `batch`."""
        log_partition = vmf_log_partition(self.concentration.double(), self.ambient_dim)
        return (-log_sphere_area(self.ambient_dim) - log_partition).to(self.loc.dtype)

    @property
    def angle(self) -> VonMisesFisherAngle:
        """The distribution of the angle to the mean direction, batch shape `batch`."""
        return VonMisesFisherAngle(self.concentration, self.ambient_dim, validate_args=False)

    def cosine_cdf(self, value: Tensor) -> Tensor:
        """P(mu.s <= value) for cosines in [-1, 1]; `angle` has log tails and more digits near 1."""
        value = self._as_value(value)
        w = value.double()
        inside = w.abs() < 1
        inner = torch.where(inside, w, 0.0)
        end = torch.where(w >= 1, 0.0, torch.where(w <= -1, torch.pi, w))  # NaN stays NaN
        theta = torch.where(inside, 2 * torch.atan2((1 - inner).sqrt(), (1 + inner).sqrt()), end)
        return self.angle.log_survival(theta).exp().to(value.dtype)

    def cosine_icdf(self, value: Tensor) -> Tensor:
        """The cosine below which mu.s lies with probability `value`, in [0, 1]."""
        value = self._as_value(value)
        p = value.double()
        return self.angle.from_normal(-torch.special.ndtri(p)).cos().to(value.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy with respect to surface area, in nats."""
        divergence = vmf_divergence(self.concentration.double(), self.ambient_dim)
        return (log_sphere_area(self.ambient_dim) - divergence).to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to surface area; free of cancellation at any concentration."""
        value = self._checked(value)
        kappa = self.concentration.double()
        return (self._log_peak() - 0.5 * kappa * self._squared_chord(value)).to(value.dtype)

    def _log_peak(self) -> Tensor:
        """Log density at the mode, float64; kept where no derivative through the concentration can be asked for."""
        kappa = self._concentration  # as it was given: an expanded view would be another object each time
        keeps = not (is_recorded(kappa) or kappa.is_inference() or torch.is_inference_mode_enabled())
        if keeps and self._peak is not None and self._peak[0] is kappa and self._peak[1] == kappa._version:
            return self._peak[2]
        peak = vmf_log_peak(kappa.double(), self.ambient_dim) - log_sphere_area(self.ambient_dim)
        if keeps:
            self._peak = kappa, kappa._version, peak
        return peak

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws, differentiable in both parameters: by the closed quantile in space, else by that of the angle.

        The latter's derivative is implicit.
        """
        shape = self._extended_shape(sample_shape)
        kappa = self.concentration.double()
        h = haversine_in_space(kappa, shape[:-1]) if kappa.requires_grad and self.ambient_dim == 3 else None
        if h is not None:
            cos, sin = 1 - 2 * h, 2 * (h * (1 - h)).sqrt()
        elif kappa.requires_grad:
            theta = ReparameterisedAngle.apply(kappa.expand(shape[:-1]), self.ambient_dim)
            cos, sin = theta.cos(), theta.sin()
        else:
            h = sample_haversine(kappa, self.ambient_dim, shape[:-1])
            rest = 1 - h
            sin = (rest * h).sqrt_().mul_(2)
            cos = rest.sub_(h)
        return around(self._row, cos, sin, shape)

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> "VonMisesFisher":
        """The maximum-likelihood distribution of unit vectors `(*batch, m, n)`, one for each batch.

        Args:
            points: Points on the sphere.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: There are no points, they are not of unit norm, a weight is negative or all are zero, or all
                points coincide, where the likelihood has no maximum.
        """
        x, w = unit_vectors(points, weights)
        mean = weighted_mean(x, w)
        length = torch.linalg.vector_norm(mean, dim=-1)
        # 1 - R^2 is the variance of unit vectors; 1 - R as a difference would lose the digits of high concentrations.
        variance = (w * (x - mean[..., None, :]).square().sum(-1)).sum(-1)
        refuse_coinciding(variance)
        loc = mean / length.clamp(min=torch.finfo(x.dtype).tiny)[..., None]
        axis = torch.nn.functional.one_hot(torch.tensor(0, device=x.device), x.shape[-1]).to(x)
        loc = torch.where(length[..., None] > 0, loc, axis)  # any direction is a maximum
        concentration = vmf_concentration(length, x.shape[-1], complement=variance / (1 + length))
        return cls(loc.to(points.dtype), concentration.to(points.dtype))


@law_of.register
def _(base: VonMisesFisher) -> Law:
    n = base.ambient_dim
    kind = OnCircle if n == 2 else AroundMean
    uniform = is_eager() and bool((base.concentration == 0).any())
    return Law.of(
        base,
        "von Mises-Fisher",
        lift=kind(base.loc, base.concentration, partial(VonMisesFisherAngle, ambient_dim=n, validate_args=False)),
        log_density=constant_log_density if uniform else partial(_log_density_law, base),
        statistic=Statistic("cosine to the mean direction", lambda x: (x * base.loc).sum(-1)),
        is_uniform=is_eager() and bool((base.concentration == 0).all()),
        variational=cone,
        tempered=lambda t: VonMisesFisher(base.loc, base.concentration / t**2, validate_args=False),
    )


def cone(place: Tensor, spread: Tensor) -> VonMisesFisher:
    """A von Mises-Fisher distribution from two outputs of a network; its angle does not depend on the dimension."""
    loc = place / torch.linalg.vector_norm(place, dim=-1, keepdim=True)
    return VonMisesFisher(loc, 1 + place.shape[-1] * torch.nn.functional.softplus(spread[..., 0]))


def _log_density_law(base: VonMisesFisher, samples: int) -> LogDensityLaw:
    """The log-density is a constant plus kappa times the cosine to the mean, and falls with the angle."""
    angle = base.angle

    def log_tails(points: Tensor) -> tuple[Tensor, Tensor]:
        loc = base.loc.expand(points.shape).double()
        theta = angle_of(points.double() - loc, points.double() + loc)[..., 0]
        return angle.log_survival(theta), angle.log_cdf(theta)

    deviation = base.concentration.double() * base.cosine_variance.double().sqrt()
    return LogDensityLaw(-base.entropy().double(), deviation, log_tails, base.log_prob)
