"""The power spherical distribution: like von Mises-Fisher, with a closed-form normaliser."""

import math
from functools import partial
from typing import Self

import torch
from torch import Size, Tensor
from torch.distributions import Gamma

from ...manifolds import is_eager
from ...special import digamma_difference, log_gamma_ratio
from ..fitting import refuse_coinciding, unit_vectors, weighted_mean
from ..laws import Law, Statistic, law_of
from .angle_laws import PowerSphericalAngle
from .polar import AroundMean, OnCircle
from .rotational import AroundLoc, around
from .von_mises_fisher import cone

__all__ = ["PowerSpherical"]

_MOST_STEPS = 60


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

    @classmethod
    def fit(cls, points: Tensor, weights: Tensor | None = None) -> Self:
        """The maximum-likelihood distribution of unit vectors `(*batch, m, n)`, one for each batch.

        The likeliest direction does not depend on the concentration; both are found by Newton's method.

        Args:
            points: Points on the sphere.
            weights: Nonnegative weights, shape broadcastable to `(*batch, m)`; equal if not given.

        Raises:
            ValueError: As `VonMisesFisher.fit`.
        """
        x, w = unit_vectors(points, weights)
        loc = _likeliest_direction(x, w)
        quarter = 0.25 * (x - loc[..., None, :]).square().sum(-1)
        missing = -(w * torch.log1p(-quarter.clamp(max=1 - 1e-16))).sum(-1)  # -E log((1 + mu.s) / 2)
        refuse_coinciding(missing)
        concentration = _concentration(missing, x.shape[-1])
        return cls(loc.to(points.dtype), concentration.to(points.dtype))


def _likeliest_direction(x: Tensor, w: Tensor) -> Tensor:
    """The unit vector mu with the largest sum of w log(1 + mu.x), from the mean direction on."""

    def value(loc: Tensor) -> Tensor:
        return (w * (1 + (x @ loc[..., None])[..., 0]).clamp(min=1e-300).log()).sum(-1)

    mean = weighted_mean(x, w)
    length = torch.linalg.vector_norm(mean, dim=-1, keepdim=True)
    loc = torch.where(length > 0, mean / length.clamp(min=1e-300), x[..., 0, :])
    best = value(loc)
    for _ in range(_MOST_STEPS):
        root = w.sqrt() / (1 + (x @ loc[..., None])[..., 0]).clamp(min=1e-150)
        gradient = ((w.sqrt() * root)[..., None, :] @ x)[..., 0, :]
        along = (gradient * loc).sum(-1, keepdim=True)
        across = gradient - along * loc
        rows = root[..., None] * (x - (x @ loc[..., None]) * loc[..., None, :])
        step = _solve_ridge(along, rows, across)
        rising = (step * across).sum(-1, keepdim=True) > 0  # Newton's step, unless the likelihood bends upwards here
        step = torch.where(rising, step, _solve_ridge(along.abs() + 1e-3, rows, across))
        scale, better = torch.ones_like(best), torch.zeros_like(best, dtype=torch.bool)
        for _ in range(30):
            trial = loc + scale[..., None] * step
            trial = trial / torch.linalg.vector_norm(trial, dim=-1, keepdim=True)
            better = value(trial) >= best - 1e-14  # what rounding leaves of it
            if bool(better.all()):
                break
            scale = torch.where(better, scale, 0.5 * scale)
        loc = torch.where(better[..., None], trial, loc)
        best = value(loc)
        if bool((~better | (torch.linalg.vector_norm(step, dim=-1) < 1e-15)).all()):
            break
    return loc


def _solve_ridge(ridge: Tensor, rows: Tensor, right: Tensor) -> Tensor:
    """(ridge I + rows' rows)^-1 right, through the smaller of the two Gram matrices."""
    m, n = rows.shape[-2:]
    identity = torch.eye(min(m, n), dtype=rows.dtype, device=rows.device)
    if n <= m:
        return torch.linalg.solve(ridge[..., None] * identity + rows.mT @ rows, right)
    inner = torch.linalg.solve(ridge[..., None] * identity + rows @ rows.mT, (rows @ right[..., None])[..., 0])
    return (right - (inner[..., None, :] @ rows)[..., 0, :]) / ridge


def _concentration(missing: Tensor, n: int) -> Tensor:
    """kappa with -E log((1 + mu.s)/2) = `missing`; 0 where even the uniform distribution misses less."""
    half = torch.full_like(missing, 0.5 * (n - 1))
    kappa = (half / missing - half).clamp(min=1e-3)
    for _ in range(_MOST_STEPS):
        gap = digamma_difference(half + kappa, half)
        slope = torch.polygamma(1, 2 * half + kappa) - torch.polygamma(1, half + kappa)
        # Newton's method for 1/gap, which is nearly linear; far out the slope is a difference, and a secant does
        slope = torch.where(kappa > 1e6 * half, -gap / kappa, slope)
        new = (kappa + gap * (missing - gap) / missing / slope).clamp(min=0)
        done = (new - kappa).abs() <= 1e-15 * kappa
        kappa = new
        if bool(done.all()):
            break
    return torch.where(missing >= digamma_difference(half, half), 0.0, kappa)


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
