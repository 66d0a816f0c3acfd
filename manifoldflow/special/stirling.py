r"""Log-gammas by what is left of Stirling's formula: their differences at large arguments, without cancellation.

.. math:: \log\Gamma(x) = (x - \tfrac12) \log x - x + \tfrac12 \log 2\pi + S(x), \qquad
          S(x) = \sum_k \frac{B_{2k}}{2k (2k - 1) x^{2k - 1}} + \dots

Whoever writes a difference of log-gammas as logarithms of ratios and differences of S loses no digits to the
large terms, which cancel.
"""

import math

import torch
from torch import Tensor

from .series import STIRLING, horner

__all__ = [
    "bregman_entropy",
    "log1p_excess",
    "stirling",
    "stirling_divergence",
    "stirling_slope",
]

_LARGE = 16.0  # from here on, the series reaches the last bit of float64
_SLOPES = tuple(-(2 * k + 1) * c for k, c in enumerate(STIRLING))
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_EXPM1 = tuple(1 / math.factorial(k + 2) for k in range(14))
_ATANH = tuple(1 / (2 * k + 3) for k in range(17))


def _series(x: Tensor) -> Tensor:
    """S(x) for x >= _LARGE, float64."""
    inverse = x.reciprocal()
    return inverse * horner(STIRLING, inverse * inverse)


def _series_slope(x: Tensor) -> Tensor:
    """S'(x) for x >= _LARGE, float64."""
    square = (x * x).reciprocal()
    return square * horner(_SLOPES, square)


def stirling(x: Tensor) -> Tensor:
    """S(x) for x > 0, float64."""
    large = x >= _LARGE
    low = torch.where(large, 1.0, x)
    below = torch.lgamma(low) - ((low - 0.5) * low.log() - low + _HALF_LOG_TWO_PI)
    return torch.where(large, _series(torch.where(large, x, _LARGE)), below)


def stirling_slope(x: Tensor) -> Tensor:
    """S'(x) = digamma(x) - log x + 1/(2x) for x > 0, float64."""
    large = x >= _LARGE
    low = torch.where(large, 1.0, x)
    below = torch.digamma(low) - low.log() + 0.5 / low
    return torch.where(large, _series_slope(torch.where(large, x, _LARGE)), below)


def log1p_excess(x: Tensor, log1p: Tensor | None = None) -> Tensor:
    """x - log(1 + x) for x > -1, with all its digits near 0, float64; `log1p` where x has lost digits near -1."""
    near = x.abs() < 0.5
    small, far = torch.where(near, x, 0.0), torch.where(near, 1.0, x)
    s = small / (2 + small)  # log(1 + x) = 2 atanh(s), and x - 2 s = x s
    series = small * s - 2 * s * s * s * horner(_ATANH, s * s)
    return torch.where(near, series, far - _far_log1p(far, near, log1p))


def bregman_entropy(x: Tensor, log1p: Tensor | None = None) -> Tensor:
    """(1 + x) log(1 + x) - x for x > -1, with all its digits near 0, float64; `log1p` as in `log1p_excess`."""
    near = x.abs() < 0.5
    small, far = torch.where(near, x, 0.0), torch.where(near, 1.0, x)
    series = small * small - (1 + small) * log1p_excess(small)
    return torch.where(near, series, (1 + far) * _far_log1p(far, near, log1p) - far)


def _far_log1p(far: Tensor, near: Tensor, log1p: Tensor | None) -> Tensor:
    return torch.log1p(far) if log1p is None else torch.where(near, 0.0, log1p)


def stirling_divergence(x: Tensor, y: Tensor) -> Tensor:
    """S(y) - S(x) - (y - x) S'(x) for x, y > 0, with all its digits where x and y are close; float64."""
    x, y = torch.broadcast_tensors(x, y)
    large = torch.minimum(x, y) >= _LARGE
    # Below, up to _LARGE by log Gamma(x) = log Gamma(x + 1) - log x, whose divergences are sums of positive terms.
    shift = torch.where(large, 0.0, _LARGE)
    high = _series_divergence(x + shift, y + shift, y - x)  # y - x as it was: sums round
    low_x, low_y = torch.where(large, 1.0, x), torch.where(large, 1.0, y)
    steps = torch.arange(int(_LARGE) + 1, dtype=x.dtype, device=x.device)
    base, log1p = low_x[..., None] + steps, ((low_y[..., None] + steps) / (low_x[..., None] + steps)).log()
    relative = (low_y - low_x)[..., None] / base
    excess = log1p_excess(relative, log1p)
    ends = base[..., (0, -1)] * bregman_entropy(relative[..., (0, -1)], log1p[..., (0, -1)])
    below = excess[..., :-1].sum(-1) + 0.5 * (excess[..., -1] - excess[..., 0]) + ends[..., 1] - ends[..., 0]
    return high + torch.where(large, 0.0, below)


def _series_divergence(x: Tensor, y: Tensor, difference: Tensor) -> Tensor:
    """The same for x, y >= _LARGE: near each other, x^-m [(1 + r)^-m - 1 + m r] for each power m, r = y/x - 1."""
    r = difference / x
    near = r.abs() < 0.5
    small = torch.where(near, r, 0.0)
    log1p, excess = torch.log1p(small), log1p_excess(small)
    total, inverse = torch.zeros_like(x), x.reciprocal()
    for k, coefficient in enumerate(STIRLING):
        m = 2 * k + 1
        total = total + coefficient * inverse**m * (_expm1_excess(-m * log1p) + m * excess)
    return torch.where(near, total, _series(y) - _series(x) - difference * _series_slope(x))


def _expm1_excess(x: Tensor) -> Tensor:
    """e^x - 1 - x, with all its digits near 0."""
    near = x.abs() < 0.5
    small = torch.where(near, x, 0.0)
    series = small * small * horner(_EXPM1, small)
    far = torch.where(near, 0.0, x)
    return torch.where(near, series, torch.expm1(far) - far)
