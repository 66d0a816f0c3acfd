"""Laws of angles: a product of von Mises distributions on the torus."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Size, Tensor
from torch.distributions import constraints, register_kl
from torch.distributions.constraints import Constraint

from .._geomstats import Manifold
from ..manifolds import Torus
from ..manifolds.rows import is_eager
from ..manifolds.torus import wrap
from ..special import (
    log_ndtri,
    vmf_concentration,
    vmf_divergence,
    vmf_log_peak,
    vmf_mean_length,
    vmf_mean_length_complement,
)
from .base import BaseDistribution, Parameter
from .constraints import OnSpace, check_floating, finite_nonnegative, joint_batch
from .fitting import weighted
from .laws import Law, Statistic, law_of
from .lifts import Lift, spread
from .spherical.angle import ReparameterisedAngle, VonMisesFisherAngle, sample_angle

__all__ = ["VonMises"]

_LOG_TURN = math.log(2 * math.pi)


class _Angles(Parameter):
    """Angles of any turn, wrapped where they are read."""

    def __get__(self, law: Any, owner: type | None = None) -> Any:
        return self if law is None else wrap(super().__get__(law, owner))


class VonMises(BaseDistribution):
    r"""Independent von Mises distributions of the angles of a point of `Torus(d)`.

    .. math:: p(x) = \prod_i e^{\kappa_i \cos(x_i - \mu_i)} / 2 \pi I_0(\kappa_i)

    with respect to d angle, in radians.

    Args:
        loc: Mean angles :math:`\mu`, shape `(*batch, d)`; other turns are wrapped to [-pi, pi].
        concentration: :math:`\kappa \ge 0`, shape broadcastable to that of `loc`; 0 is the uniform distribution.
        validate_args: As in torch: whether parameters and samples are checked.

    Concentrations to 1e8, float32 and float64; unlike torch's `VonMises`, draws are differentiable in both parameters
    and do not need rejection of more than a constant share.

    Raises:
        ValueError: `loc` is not finite, a concentration is negative or infinite, or the shapes do not broadcast.

    >>> law = VonMises(torch.tensor([0.0, 3.0]), torch.tensor([2.0, 8.0]))
    >>> law.log_prob(torch.tensor([0.1, -3.0]))
    tensor(-0.8865)

    Reference: K. V. Mardia and P. E. Jupp, Directional Statistics, 2000, section 3.5.4.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {
        "loc": constraints.independent(constraints.real, 1),
        "concentration": constraints.independent(finite_nonnegative, 1),
    }
    has_rsample = True

    loc = _Angles(event_dim=1)
    concentration = Parameter(event_dim=1)

    def __init__(self, loc: Tensor, concentration: Tensor | float, *, validate_args: bool | None = None) -> None:
        check_floating("loc", loc)
        if loc.dim() < 1 or loc.shape[-1] < 1:
            raise ValueError(f"loc: expected shape (*batch, d) with d >= 1, got {tuple(loc.shape)}")
        concentration = torch.as_tensor(concentration, dtype=loc.dtype, device=loc.device)
        try:
            shape = torch.broadcast_shapes(loc.shape, concentration.shape)
        except RuntimeError:
            raise ValueError(
                f"concentration: expected a shape that broadcasts with {tuple(loc.shape)}, that of loc, "
                f"got {tuple(concentration.shape)}"
            ) from None
        self.loc, self.concentration = loc, concentration
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def __repr__(self) -> str:
        return f"VonMises(batch={tuple(self.batch_shape)}, event={tuple(self.event_shape)})"

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Constraint:
        return OnSpace(self.manifold)

    @property
    def manifold(self) -> Manifold:
        return Torus(self.event_shape[-1])

    @property
    def mean(self) -> Tensor:
        """The mean angles, `loc`: the directions of E[cos x], E[sin x]."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The mean angles."""
        return self.loc

    @property
    def mean_resultant_length(self) -> Tensor:
        """E[cos(x - mu)] of each angle, shape `(*batch, d)`."""
        return vmf_mean_length(self.concentration, 2)

    @property
    def variance(self) -> Tensor:
        """The circular variance 1 - E[cos(x - mu)] of each angle, shape `(*batch, d)`, as torch's `VonMises` has it."""
        return vmf_mean_length_complement(self.concentration, 2)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to d angle; free of cancellation at any concentration."""
        if self._validate_args:
            self._validate_sample(value)
        if is_eager() and not self.concentration.requires_grad and not bool(self.concentration.any()):  # uniform
            joint = torch.broadcast_shapes(value.shape, self.loc.shape)
            return (0 * value.expand(joint)).sum(-1) - _LOG_TURN * joint[-1]
        kappa = self.concentration.double()
        half = (0.5 * (value.double() - self.loc.double())).sin()
        each = vmf_log_peak(kappa, 2) - _LOG_TURN - 2 * kappa * half * half
        return each.sum(-1).to(value.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """The probability `(*batch, d)` of each angle from half a turn before its mean up to `value`."""
        z = _to_normal(value.double(), self.loc.double(), self.concentration.double())
        return torch.special.ndtr(z).to(value.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        """The angles `(*batch, d)` at which `cdf` is `value`."""
        z = torch.special.ndtri(value.double())
        return wrap(self.loc.double() + _from_normal(z, self.concentration.double())).to(value.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy with respect to d angle, in nats."""
        each = _LOG_TURN - vmf_divergence(self.concentration.double(), 2)
        return each.sum(-1).to(self.loc.dtype)

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws, differentiable in both parameters: implicit reparameterisation of the angle to the mean."""
        shape = self._extended_shape(sample_shape)
        kappa = self.concentration.double().expand(shape)
        if is_eager() and not kappa.requires_grad and not bool(self.concentration.any()):  # uniform
            turn = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
            return wrap(self.loc + 2 * math.pi * turn)
        theta = ReparameterisedAngle.apply(kappa, 2) if kappa.requires_grad else sample_angle(kappa, 2)
        sign = torch.randint(0, 2, shape, dtype=theta.dtype, device=theta.device).mul_(2).sub_(1)
        return wrap(self.loc + (sign * theta).to(self.loc.dtype))

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> Self:
        """The maximum-likelihood distribution of angles `(*batch, m, d)`, one for each batch.

        Args:
            points: Angles in radians, of any turn.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: There are no points, they are not finite, a weight is negative or all are zero, or all values
                of an angle coincide, where the likelihood has no maximum.
        """
        x, w = weighted(points, weights, least=1)
        if not bool(x.isfinite().all()):
            raise ValueError("points: expected finite angles, got an infinite one or NaN; remove it first")
        w = w.unsqueeze(-1)
        direction = torch.atan2((w * x.sin()).sum(-2), (w * x.cos()).sum(-2))
        half = (0.5 * (x - direction.unsqueeze(-2))).sin()
        missing = (2 * w * half * half).sum(-2)  # 1 - R without cancellation
        if bool((missing <= 0).any()):
            raise ValueError(
                "points: expected at least two different values of each angle, got coinciding ones: the likelihood "
                "grows without bound in the concentration"
            )
        concentration = vmf_concentration((1 - missing).clamp(min=0), 2, complement=missing.clamp(max=1))
        return cls(direction.to(points.dtype), concentration.to(points.dtype))


def _to_normal(x: Tensor, loc: Tensor, kappa: Tensor) -> Tensor:
    """The standard normal quantile of the probability of the arc from half a turn before the mean, both tails kept."""
    difference = wrap(x - loc)
    g = VonMisesFisherAngle(kappa, 2, validate_args=False).to_normal(difference.abs())
    # P(difference > x) is half of P(|difference| > x) for x > 0.
    z = -log_ndtri(math.log(0.5) + torch.special.log_ndtr(-g))
    return torch.where(difference < 0, -z, z)


def _from_normal(z: Tensor, kappa: Tensor) -> Tensor:
    """The signed angle to the mean, the inverse of `_to_normal`."""
    tail = (torch.special.log_ndtr(-z.abs()) - math.log(0.5)).clamp_max(0)
    theta = VonMisesFisherAngle(kappa, 2, validate_args=False).from_normal(-log_ndtri(tail).clamp(-38, 38))
    return torch.where(z < 0, -theta, theta)


@dataclass(frozen=True, repr=False)
class Angles(Lift):
    """Independent angles, each symmetric about its mean: the signed difference from it, Gaussianised.

    Args:
        loc: The means, `(*batch, d)`.
        concentration: The concentrations, `(*batch, d)`.
    """

    loc: Tensor
    concentration: Tensor

    def encode(self, points: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        return _to_normal(points.double(), self.loc.double(), self.concentration.double()), None

    def decode(self, normal: Tensor, direction: Tensor | None) -> Tensor:
        turned = _from_normal(normal.double(), self.concentration.double())
        return wrap(self.loc.double() + turned).to(self.loc.dtype)

    def spread(self, count: int = 1) -> Lift:
        return Angles(spread(self.loc, 1, count), spread(self.concentration, 1, count))


@law_of.register
def _(base: VonMises) -> Law:
    return Law.of(
        base,
        "von Mises on the torus",
        lift=Angles(base.loc, base.concentration),
        statistic=Statistic("mean cosine to the mean angles", lambda x: (x - base.loc).cos().mean(-1)),
        tempered=lambda t: VonMises(base.loc, base.concentration / t**2, validate_args=False),
    )


@register_kl(VonMises, VonMises)
def _same_family(p: VonMises, q: VonMises) -> Tensor:
    """As von Mises-Fisher on the circle, angle by angle."""
    batch = joint_batch(p, q)
    kappa_p, kappa_q = p.concentration.double(), q.concentration.double()
    half = (0.5 * (p.loc.double() - q.loc.double())).sin()
    gap = vmf_mean_length_complement(kappa_p, 2) + vmf_mean_length(kappa_p, 2) * 2 * half * half
    each = vmf_divergence(kappa_p, 2) - vmf_log_peak(kappa_q, 2) + kappa_q * gap
    return each.sum(-1).clamp(min=0).to(p.loc.dtype).expand(batch)
