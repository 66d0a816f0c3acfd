r"""A Gaussian of a tangent space laid round a sphere: sums over all turns, at a cost that does not grow with the scale.

At the angle :math:`\theta` to the mean the density is :math:`\sin^{1-d}\theta\, \sum_k h(\theta + 2 \pi k)`, over all
integers k, with :math:`h(r) = (2 \pi \sigma^2)^{-d/2} |r|^{d-1} e^{-r^2 / 2 \sigma^2}`. Poisson's formula makes of the
sum the integral of h over :math:`2 \pi` and Fourier coefficients that fall like :math:`e^{-\sigma^2/4}`, except where
d is even: there h has a kink at 0, whose part is the asymptotic series of Euler and Maclaurin in :math:`\sigma^{-2}`,

.. math:: -2 (2 \pi \sigma^2)^{-d/2} \sum_i \frac{(-1)^i}{i! (2 \sigma^2)^i} (2 \pi)^{d-1+2i}
          \frac{B_{d+2i}(\theta / 2 \pi)}{d + 2i}.

Everything takes and returns float64.
"""

import functools
import math
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..manifolds import is_eager
from ..special import log_sphere_area

__all__ = ["log_normal", "log_wrapped", "polar_rule"]

_WIDE = 13.0  # e^(-13^2/4) is below the last bit: from this scale on the sum is its integral and the kink's part
_KINKED = 28  # the last even dimension in which the kink shows at that scale
_TERMS = 12


def log_normal(square: Tensor, scale: Tensor, dim: int) -> Tensor:
    """Log density of an isotropic Gaussian on R^dim at the squared distance from its mean."""
    return -0.5 * square / scale.square() - dim * (scale.log() + 0.5 * math.log(2 * math.pi))


def log_wrapped(square: Tensor, near: Tensor, scale: Tensor, d: int) -> Tensor:
    """Log density on S^d at squared angles to the mean; where `near`, of the nearest preimage alone if d > 1."""
    theta = torch.where(near, 1.0, square).sqrt()  # a root of zero has no gradient
    theta = torch.where(near, 0.0, theta) if d == 1 else theta
    wide = scale >= _WIDE
    total = _turns(theta, torch.where(near, 0.0, square), near, scale.clamp(max=_WIDE), d)
    if is_eager() and not bool(wide.any()):
        return total
    far = _flat(theta, scale.clamp(min=_WIDE), d)
    if d > 1:
        far = torch.where(near, log_normal(square, scale, d), far)
    return torch.where(wide, far, total)


def _turns(theta: Tensor, square: Tensor, near: Tensor, sigma: Tensor, d: int) -> Tensor:
    """The sum itself. Which turns count is read off the largest scale in eager execution only."""
    largest = float(sigma.detach().max()) if is_eager() and sigma.numel() else _WIDE
    # r^(d-1) exp(-r^2 / 2 sigma^2) has fallen below the last bit some 9 sigma past its maximum.
    turns = math.ceil(largest * (math.sqrt(d - 1) + 9) / (2 * math.pi))
    # log(theta / sin theta) from the sine of pi - theta, which is exact at both ends.
    ratio = (d - 1) * (theta.log() - theta.sin().log()) if d > 1 else torch.zeros_like(theta)
    terms = [log_normal(square, sigma, d) + torch.where(near, 0.0, ratio)]
    for turn in range(turns):
        for r in (2 * math.pi * (turn + 1) - theta, 2 * math.pi * (turn + 1) + theta):
            volume = (d - 1) * (r.log() - theta.sin().log()) if d > 1 else 0.0
            term = log_normal(r.square(), sigma, d) + volume
            terms.append(torch.where(near, -math.inf, term) if d > 1 else term)
    return torch.stack(torch.broadcast_tensors(*terms)).logsumexp(0)


def _flat(theta: Tensor, sigma: Tensor, d: int) -> Tensor:
    """The integral, and the kink's part, for scales of at least _WIDE."""
    constant = math.lgamma(0.5 * d) - math.log(2.0) - (0.5 * d + 1) * math.log(math.pi)
    value = constant - (d - 1) * theta.sin().log() if d > 1 else torch.full_like(theta, constant)
    if d % 2 or d > _KINKED:
        return value + torch.zeros_like(sigma)
    rows = torch.tensor(_kink(d), dtype=theta.dtype, device=theta.device)
    q = 0.5 / sigma.square()
    powers = torch.stack([q ** (d // 2 + i) for i in range(len(rows))], -1)
    square = (math.pi - theta).square()
    monomials = torch.stack([square**k for k in range(rows.shape[-1])], -1)
    return value + torch.log1p(((powers @ rows) * monomials).sum(-1))


_KINKS: dict[int, tuple[tuple[float, ...], ...]] = {}


def _kink(d: int) -> tuple[tuple[float, ...], ...]:
    """The kink's part over the integral, as a polynomial in 1/(2 sigma^2) (rows) and (pi - theta)^2 (columns)."""
    if d not in _KINKS:
        _KINKS[d] = _build_kink(d)
    return _KINKS[d]


_kink._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as special._debye.series


def _build_kink(d: int) -> tuple[tuple[float, ...], ...]:
    last = d + 2 * (_TERMS - 1)
    numbers = _bernoulli(last)
    table = []
    for i in range(_TERMS):
        n, row = d + 2 * i, []
        for k in range(last // 2 + 1):
            # Bernoulli's polynomials about 1/2, where they are even: B_m(1/2) = (2^(1-m) - 1) B_m
            m = n - 2 * k
            middle = (Fraction(2) / 2**m - 1) * numbers[m] if m >= 0 else Fraction(0)
            row.append(float(math.comb(n, 2 * k) * middle) * (2 * math.pi) ** m if m >= 0 else 0.0)
        factor = -2 * (-1) ** i / (math.gamma(0.5 * d) * math.factorial(i) * n)
        table.append(tuple(factor * c for c in row))
    return tuple(table)


def _bernoulli(last: int) -> list[Fraction]:
    numbers = [Fraction(1)]
    for m in range(1, last + 1):
        total = sum((math.comb(m + 1, k) * b for k, b in enumerate(numbers)), Fraction(0))
        numbers.append(-total / (m + 1))
    return numbers


@functools.cache
def _smooth_rule(count: int = 200) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1] that crowd at both ends, where integrands may be logarithmic."""
    x, w = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(count))
    u, w = 0.5 * (x + 1), 0.5 * w
    return u**3 * (10 - 15 * u + 6 * u * u), w * 30 * u**2 * (1 - u) ** 2


def polar_rule(scale: Tensor, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Angles `(*batch, nodes)`, the probabilities that they stand for, and the log density there, on S^d."""
    u, w = (v.to(scale.device) for v in _smooth_rule())
    reach = (scale * (math.sqrt(d) + 9)).clamp(max=math.pi)[..., None]
    theta = reach * u
    log_density = log_wrapped(theta.square(), torch.zeros_like(theta, dtype=torch.bool), scale[..., None], d)
    log_mass = log_density + (d - 1) * theta.sin().log() + log_sphere_area(d)
    return theta, reach * w * log_mass.exp(), log_density
