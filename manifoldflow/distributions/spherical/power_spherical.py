"""The power spherical distribution: like von Mises-Fisher, with a closed-form normaliser."""

import math
from functools import partial

import torch
from torch import Size, Tensor
from torch.distributions import Gamma

from ...manifolds import is_eager
from ...special import digamma_difference, log_gamma_ratio
from ..laws import Law, Statistic, law_of
from .angle_laws import PowerSphericalAngle
from .polar import AroundMean, OnCircle
from .rotational import AroundLoc, around
from .von_mises_fisher import cone

__all__ = ["PowerSpherical"]


class PowerSpherical(AroundLoc):
    r"""Power spherical distribution on the unit sphere of R^n, n >= 2.

    .. math:: p(s) \propto (1 + \mu \cdot s)^\kappa

    with respect to surface area; :math:`(1 + \mu\cdot s)/2` has the law
    :math:`\mathrm{Beta}(\tfrac{n-1}{2} + \kappa, \tfrac{n-1}{2})`.

    Args:
        loc: Mean direction :math:`\mu`, unit vectors of shape `(*batch, n)`.
        concentration: :math:`\kappa \ge 0`, shape broadcastable to `batch`; 0 is the uniform distribution.
        validate_args: As in torch: whether parameters and samples are checked.

    Raises:
        ValueError: As `VonMisesFisher`.

    Reference: N. De Cao and W. Aziz, The power spherical distribution, arXiv 2006.04437, eq. 9 and section 4.
    """

    def _beta(self) -> tuple[Tensor, float]:
        half = 0.5 * (self.ambient_dim - 1)
        return half + self.concentration.double(), half

    @property
    def mean_resultant_length(self) -> Tensor:
        """kappa / (kappa + n - 1), shape `batch`."""
        return self.concentration / (self.concentration + (self.ambient_dim - 1))

    @property
    def cosine_variance(self) -> Tensor:
        """The variance of mu.s, shape `batch`."""
        a, b = self._beta()
        return (4 * a * b / ((a + b).square() * (a + b + 1))).to(self.loc.dtype)

    @property
    def transverse_variance(self) -> Tensor:
        """E[1 - (mu.s)^2] / (n - 1) = 4 E[t (1 - t)] / (n - 1) with t = (1 + mu.s) / 2, shape `batch`."""
        a, b = self._beta()
        return (2 * a / ((a + b) * (a + b + 1))).to(self.loc.dtype)

    def _log_mode(self) -> Tensor:
        """Log density at the mode, float64: from there the density falls by kappa log((1 + mu.s) / 2)."""
        a, b = self._beta()
        return log_gamma_ratio(a, torch.tensor(b)) - 2 * b * math.log(2.0) - b * math.log(math.pi)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to surface area; -inf at the antipode of the mode, unless kappa = 0."""
        value = self._checked(value)
        quarter = 0.25 * self._squared_chord(value)  # (1 - mu.s) / 2
        total = value.double() + self._row.double()
        opposite = 0.25 * (total * total).sum(-1)  # (1 + mu.s) / 2
        near, antipode = quarter < 0.5, opposite == 0
        fall = torch.log1p(-torch.where(near, quarter, 0.0))
        far = torch.where(near | antipode, 1.0, opposite).log()
        kappa = self.concentration.double()
        bend = kappa * torch.where(near, fall, far)
        bend = torch.where(antipode & (kappa > 0), -torch.inf, bend)  # a constant: its gradient is zero, not NaN
        return (self._log_mode() + bend).to(value.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy with respect to surface area, in nats."""
        return self._entropy64().to(self.loc.dtype)

    def _entropy64(self) -> Tensor:
        a, b = self._beta()
        return self.concentration.double() * digamma_difference(a, torch.tensor(b)) - self._log_mode()

    def rsample(self, sample_shape: Size = Size()) -> Tensor:  # noqa: B008 (immutable)
        """Exact draws, differentiable in both parameters."""
        shape = self._extended_shape(sample_shape)
        a, b = self._beta()
        a = a.expand(shape[:-1])
        # Two gammas keep the digits of 1 - t, which a beta draw near 1 would lose.
        one = torch.ones_like(a.detach())
        towards, away = (Gamma(x, one, validate_args=False).rsample() for x in (a, b * one))
        total = towards + away
        return around(self._row, (towards - away) / total, 2 * towards.sqrt() * away.sqrt() / total, shape)


@law_of.register
def _(base: PowerSpherical) -> Law:
    n = base.ambient_dim
    kind = OnCircle if n == 2 else AroundMean
    return Law.of(
        base,
        "power spherical",
        lift=kind(base.loc, base.concentration, partial(PowerSphericalAngle, n=n)),
        statistic=Statistic("cosine to the mean direction", lambda x: (x * base.loc).sum(-1)),
        is_uniform=is_eager() and bool((base.concentration == 0).all()),
        variational=cone,
    )
